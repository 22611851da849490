"""Ids are found with the suffix of their file or without it, and with no other name."""

import pytest

from tests.recordings.rdm_files import shown_set
from zoo_eval.errors import BadInput
from zoo_eval.stimuli import ids
from zoo_eval.stimuli.ids import Lookup, stem


@pytest.mark.parametrize(
    ("one", "found"),
    [
        ("a.png", "a"),
        ("below/a.v2.JPEG", "below/a.v2"),
        ("a.pth", "a"),
        ("10.5 degrees", "10.5 degrees"),
        ("photos/1.png#000", "photos/1.png#000"),
        (".png", ".png"),
        ("", ""),
    ],
)
def test_only_an_images_suffix_is_left_out(one, found):
    assert stem(one) == found


@pytest.mark.parametrize(
    ("known", "name", "number"),
    [
        (["1.png", "01.png"], "1", 0),
        (["1.png", "01.png"], "01", 1),
        (["1.png", "01.png"], "001", None),
        (["1.png", "2.png"], "2.0", 1),
        (["1.png", "2.png"], "2.5", None),
        (["1.png", "2.png"], "2.jpg", None),
        (["2", "1"], "1.png", 1),
        (["a", "a.png"], "a", 0),
        (["a", "a.png"], "a.png", 1),
        (["a", "a.png"], "a.jpg", 0),
        (["x/a.png", "a.png"], "a", 1),
    ],
)
def test_a_name_means_one_id_or_none(known, name, number):
    assert Lookup(known).meant("here", name) == number


def test_a_name_that_may_mean_two_is_asked_about():
    with pytest.raises(BadInput, match=r"^here: 'a' may be 'a.png' or 'a.jpg'; write the suffix"):
        Lookup(["a.png", "a.jpg"]).meant("here", "a")


def test_a_miss_is_counted_and_offered_the_nearest():
    shown = shown_set(["face_1.png", "face_2.png", "house.png"])
    with pytest.raises(BadInput, match=r"'faec_1' is not .* \(2 such; nearest: face_1.png"):
        ids.numbers("here", ["faec_1", "house", "huose.png"], shown)
    # Between short names a suffix would decide what is near.
    assert Lookup(["1.png", "house.png"]).nearest("01") == "nearest: 1.png"


def test_rows_are_put_in_the_order_of_the_stimuli():
    shown = shown_set(["b.png", "a.png", "c.png"])
    assert ids.rows("here", ["a", "b.png", "c"], shown) == [1, 0, 2]


def test_a_list_is_one_id_a_line(tmp_path):
    file = tmp_path / "ids.txt"
    file.write_bytes("\ufeffa b.png\r\nü.png\r\n\r\n".encode())
    assert ids.listed(file) == ("a b.png", "ü.png")
    file.write_bytes(b"a\n\nb")
    assert ids.listed(file) == ("a", "", "b")
    file.write_bytes("ü.png".encode("latin-1"))
    with pytest.raises(
        BadInput, match=r"ids\.txt, line 1: is no text in UTF-8; save it as list of ids"
    ):
        ids.listed(file)
