"""Rows without ids: in an order that names leave no doubt about, or that somebody says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.recordings.rdm_files import shown_set
from zoo_eval.errors import BadInput
from zoo_eval.stimuli import order
from zoo_eval.stimuli.crops import random_crops
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.stimuli.order import disputed, lexicographic, natural

NAMES = ["a/b.png", "a-b.png", "a.png", "a/10.png", "a/9.png", "B.png", "a1/x.png"]
TWO_ORDERS = sorted(f"{number}.png" for number in range(1, 13))


def test_a_folders_order_is_that_of_text_folder_by_folder(tmp_path):
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    found = read_folder("shown", tmp_path).ids
    assert list(found) == sorted(NAMES, key=lexicographic)
    assert disputed(found) == ("a/10.png", "a/9.png")


@given(st.lists(st.integers(0, 10**30), min_size=1, unique=True))
def test_by_number_is_the_order_of_the_numbers(numbers):
    names = [f"img {number}.png" for number in numbers]
    assert sorted(names, key=natural) == [f"img {number}.png" for number in sorted(numbers)]
    as_text = sorted(names, key=lexicographic)
    assert (disputed(as_text) is None) == (as_text == sorted(names, key=natural))


@given(st.lists(st.text(st.characters(exclude_categories=["Nd", "Cs"]), min_size=1), unique=True))
def test_without_digits_both_orders_are_one(names):
    assert sorted(names, key=natural) == sorted(names, key=lexicographic)
    assert disputed(sorted(names, key=lexicographic)) is None


def test_numbers_of_any_length_and_with_zeros_have_an_order():
    names = ["9" * 5000, "1" + "0" * 5000, "7", "007", "07"]
    assert sorted(names, key=natural)[:3] == ["007", "07", "7"]
    assert sorted(names, key=natural)[3:] == names[:2]


def test_rows_are_as_the_images_or_by_number():
    shown = shown_set(TWO_ORDERS)
    assert order.rows("here", 12, shown, "images") == list(range(12))
    by_number = order.rows("here", 12, shown, "natural")
    assert [by_number[TWO_ORDERS.index(f"{n}.png")] for n in range(1, 13)] == list(range(12))
    with pytest.raises(BadInput, match=r"^here: its rows have no ids.*'10.png' before '2.png'"):
        order.rows("here", 12, shown, None)
    with pytest.raises(BadInput, match=r"11 rows, but stimuli 'shown' has 12; give one row each"):
        order.rows("here", 11, shown, "images")


def test_an_order_that_somebody_gave_is_taken():
    given_so = shown_set(["10.png", "2.png", "1.png"])
    assert order.rows("here", 3, given_so, None) == [0, 1, 2]
    assert order.rows("here", 3, given_so, "natural") == [2, 1, 0]


@pytest.mark.parametrize(
    ("n", "line"),
    [
        (1, "row 1 is '0'"),
        (2, "row 1 is '0', row 2 is '1'"),
        (4, "row 1 is '0', row 2 is '1', row 4 is '3'"),
    ],
)
def test_the_first_rows_and_the_last_are_told(n, line):
    shown = shown_set([str(number) for number in range(n)])
    told = order.told(order.rows("here", n, shown, None), shown)
    assert told.endswith(f"by their order: {line}")


@pytest.mark.parametrize("n", [8, 30])
def test_crops_are_in_doubt_where_their_photos_are(n):
    photos = shown_set(TWO_ORDERS)
    larger = tuple(np.zeros((40, 40, 3), np.uint8) for _ in photos.ids)
    photos = type(photos)(photos.name, photos.ids, larger, groups=photos.ids)
    crops = random_crops("crops", [photos], n=n, size_px=32, seed=0)
    for one in (crops, random_crops("again", [crops], n=n, size_px=32, seed=0)):
        with pytest.raises(BadInput, match=r"'10.png' before '2.png' as text"):
            order.rows("here", n, one, None)
        assert order.rows("here", n, one, "images") == list(range(n))
        assert order.rows("here", n, one.described(), "images") == list(range(n))
        with pytest.raises(BadInput, match="two orders"):
            order.rows("here", n, one.described(), None)
