"""Labels in bounded time, from one place, in one range, however they are given."""

import os

import numpy as np
import pytest
from PIL import Image

import zoo_eval
from zoo_eval.errors import BadInput
from zoo_eval.stimuli import classes, labels
from zoo_eval.stimuli.folder import read_folder

GOLDFISH = "n01443537"


def photos(tmp_path, *names):
    for name in names:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    return tmp_path / "photos"


@pytest.mark.parametrize(
    "pattern", ["(?:a{5000}){5000}", "((a{100}){100}){2}", "a{0,999999999999}", "a{20000,}"]
)
def test_a_pattern_that_would_be_written_out_for_ever_is_refused(pattern):
    with pytest.raises(
        BadInput, match=r"label_pattern .* repeats something up to \d+ times; write"
    ):
        labels.from_names("set", pattern, ["a_1.png"])


def test_a_pattern_of_more_brackets_than_can_be_read_is_one_line():
    with pytest.raises(BadInput, match="is no regular expression"):
        labels.from_names("set", "(" * 3000 + ")" * 3000, ["a_1.png"])


def test_all_names_together_have_a_time(monkeypatch):
    now = iter(range(1000))
    monkeypatch.setattr(labels, "monotonic", lambda: next(now))
    # The clock says that a second passes with every name, of which each may take a little.
    with pytest.raises(BadInput, match=r"takes more than 1\.02 s on names such as 'a{30}"):
        labels.from_names("set", r"_(\d)|(?:(?:a|aa)+)+!$", ["x_1!", *["a" * 30] * 20])


def test_counts_as_patterns_have_them_are_fine():
    assert labels.from_names("set", r"^[a-z]{1,9}_(\d{4})_\d{8}\.png$", ["val_0007_00000001.png"]) == (7,)  # fmt: skip


def test_two_sources_of_labels_are_refused(tmp_path):
    folder = photos(tmp_path, "1/a.png")
    with pytest.raises(BadInput, match="`labels` and `label_pattern` say both; remove one"):
        read_folder("set", folder, labels="folders", label_pattern=r"(\d)/")


def test_labels_of_tables_with_decimal_commas(tmp_path):
    folder, file = photos(tmp_path, "a.png", "b.png"), tmp_path / "labels.csv"
    file.write_text("image;label\na;3,0\nb;4\n")
    assert read_folder("set", folder, labels=file).labels == (3, 4)
    file.write_text("image;label\na;3,5\nb;4\n")
    with pytest.raises(BadInput, match=r"labels\.csv, line 2: label 3\.5 is no class index"):
        read_folder("set", folder, labels=file)


def test_python_takes_the_names_of_folders(tmp_path):
    folder = photos(tmp_path, "goldfish/a.png", "17/b.png")
    assert dict(zip(*_ids_and_labels(zoo_eval.images(folder, labels="folders")), strict=True)) == {
        "17/b.png": 17, "goldfish/a.png": 1,
    }  # fmt: skip
    files = [folder / "goldfish" / "a.png", folder / "17" / "b.png"]
    assert zoo_eval.images(files, labels="folders").images.labels == (1, 17)
    with pytest.raises(BadInput, match="labels 'goldfish': give a list"):
        zoo_eval.images(folder, labels="goldfish")
    with pytest.raises(BadInput, match="labels 'folders': give a list"):
        zoo_eval.images([np.zeros((4, 4, 3), np.uint8)], labels="folders")


def _ids_and_labels(section):
    return section.images.ids, section.images.labels


def test_python_takes_whole_floats_and_refuses_others():
    pixels = [np.zeros((4, 4, 3), np.uint8)] * 2
    assert zoo_eval.images(pixels, labels=np.array([3.0, 4.0])).images.labels == (3, 4)
    assert zoo_eval.images(pixels, labels=[np.int64(3), np.str_(GOLDFISH)]).images.labels == (3, 1)
    for wrong in (np.nan, np.inf, 1.5, -1.0, 10**400, 2**31, np.int64(-5), None, [1]):
        with pytest.raises(BadInput, match="is no class index") as error:
            zoo_eval.images(pixels, labels=[wrong, 0])
        assert "\n" not in str(error.value)


def test_the_largest_label_is_one_that_tables_hold():
    assert classes.label("here", str(2**31 - 1)) == 2**31 - 1
    with pytest.raises(BadInput, match="is no class index"):
        classes.label("here", str(2**31))


def test_a_file_name_that_no_table_holds_is_refused_in_one_line(tmp_path):
    folder = photos(tmp_path, "a.png")
    (folder / "a.png").rename(folder / os.fsdecode(b"caf\xe9.png"))
    with pytest.raises(
        BadInput, match=r"the name 'caf\\udce9\.png' is no text in UTF-8 \(1 such\)"
    ):
        read_folder("set", folder)


def test_the_folder_of_a_wordnet_id_labels_what_is_below_it(tmp_path):
    # As Tiny ImageNet is laid out.
    folder = photos(tmp_path, f"{GOLDFISH}/images/{GOLDFISH}_0.JPEG", "n02012849/images/a.png")
    for given in (None, "folders"):
        assert read_folder("set", folder, labels=given).labels == (1, 134)
    assert labels.from_folders("set", [f"goldfish/{GOLDFISH}/a.png", "x/goldfish/b.png"]) == (1, 1)
    with pytest.raises(BadInput, match="'images' is no class index"):
        labels.from_folders("set", ["goldfish/images/a.png"])
