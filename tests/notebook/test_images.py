"""Stimuli from arrays, PIL images, files and folders: the same pixels, ids and digests."""

import numpy as np
import pytest
from PIL import Image

import zoo_eval
from zoo_eval.errors import BadInput
from zoo_eval.stimuli.folder import read_folder

N = 4
NAMES = [f"{letter}.png" for letter in "abcd"]


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (N, 5, 7, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, pixels):
    for name, image in zip(NAMES, pixels, strict=True):
        Image.fromarray(image).save(tmp_path / name)
    return tmp_path


def shown(section):
    """The stimulus set; it asks for no other part of a sweep."""
    return section.read("shown", None)


def test_whatever_holds_them_they_are_the_same_stimuli(pixels, folder):
    expected = read_folder("shown", folder).digest
    for source in (
        folder,
        str(folder),
        [folder / name for name in NAMES],
        [Image.fromarray(image) for image in pixels],
        list(pixels),
        pixels,
    ):
        found = shown(zoo_eval.images(source, ids=NAMES))
        assert found.digest == expected, type(source)
        assert found.name == "shown"
        assert all(np.array_equal(a, b) for a, b in zip(found.images, pixels, strict=True))
    assert shown(zoo_eval.images(folder)).ids == tuple(NAMES)
    assert shown(zoo_eval.images([folder / name for name in NAMES])).ids == tuple(NAMES)


def test_images_without_names_are_numbered(pixels):
    found = shown(zoo_eval.images(pixels))
    assert found.ids == found.groups == ("0", "1", "2", "3")
    assert found.labels is None


def test_labels_and_groups_are_in_order_or_by_id(pixels):
    by_id = zoo_eval.images(
        pixels, ids="dcba", labels={"a": 1, "b": 2, "c": 3, "d": np.int64(4)}, groups=[1, 1, 2, 2]
    )
    found = shown(by_id)
    assert found.labels == (4, 3, 2, 1)
    assert found.groups == ("1", "1", "2", "2")


def test_ids_of_files_may_lack_their_suffix(folder):
    found = shown(zoo_eval.images(folder, labels={"a": 0, "b.png": 1, "c": 2, "d": 3}))
    assert found.labels == (0, 1, 2, 3)
    with pytest.raises(BadInput, match=r"labels: image 'a.png' is named twice"):
        zoo_eval.images(folder, labels={"a": 0, "a.png": 1})
    with pytest.raises(BadInput, match=r"'e.png' is no image's id \(2 such; known: a.png"):
        zoo_eval.images(folder, labels={"e.png": 0, "f.png": 1})


@pytest.mark.parametrize("part", ["ids", "labels", "groups"])
def test_what_is_in_a_folders_order_is_refused_where_names_have_two(tmp_path, pixels, part):
    names = ("1.png", "10.png", "2.png", "3.png")
    for name, image in zip(names, pixels, strict=True):
        Image.fromarray(image).save(tmp_path / name)
    with pytest.raises(BadInput, match=rf"^{part}: .*'10.png' before '2.png'.*; give") as refusal:
        zoo_eval.images(tmp_path, **{part: range(N)})
    assert "\n" not in str(refusal.value)
    # In a list the order is whoever's who wrote it.
    files = [tmp_path / name for name in names]
    assert getattr(shown(zoo_eval.images(files, **{part: range(N)})), part)[1] in (1, "1")
    by_id = zoo_eval.images(tmp_path, labels={"1": 1, "2": 2, "3": 3, "10": 10})
    assert shown(by_id).labels == (1, 10, 2, 3)


def test_images_of_several_sizes_and_colours():
    grey = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    seen_through = Image.new("RGBA", (4, 5), (1, 2, 3, 0))
    found = shown(zoo_eval.images([grey, seen_through]))
    assert found.shapes == ((2, 3, 3), (5, 4, 3))
    assert found.images[0][1, 2].tolist() == [5, 5, 5]
    assert found.images[1][0, 0].tolist() == [1, 2, 3]


def test_what_is_written_to_an_array_later_changes_nothing(pixels):
    section = zoo_eval.images(pixels)
    before = pixels.copy()
    pixels[:] = 0
    assert np.array_equal(np.stack(shown(section).images), before)


@pytest.mark.parametrize(
    ("source", "more", "said"),
    [
        (np.zeros((2, 4, 4, 3)), {}, r"floats may mean .*\* 255\).round"),
        (np.zeros((2, 3, 8, 8), np.uint8), {}, r"colours first.*transpose\(0, 2, 3, 1\)"),
        (np.zeros((2, 8, 8), np.uint8), {}, r"expected an array \(image, row, column, RGB\)"),
        ([np.zeros((8, 8), np.uint8)], {}, r"image 0: expected uint8 \(row, column, RGB\)"),
        (np.zeros((2, 8, 8, 3), np.int64), {}, "got int64"),
        ("no/such/folder", {}, "is no folder"),
        (np.zeros((2, 4, 4, 3), np.uint8), {"ids": ["a", "a"]}, "'a' stands twice"),
        (np.zeros((2, 4, 4, 3), np.uint8), {"ids": ["a"]}, "2 images but 1 ids"),
        (np.zeros((2, 4, 4, 3), np.uint8), {"labels": [1]}, "2 images but 1 labels"),
        (np.zeros((2, 4, 4, 3), np.uint8), {"labels": ["cat", "dog"]}, "'cat' is no class index"),
        (np.zeros((2, 4, 4, 3), np.uint8), {"labels": {"0": 1}}, "none for image '1'"),
        (np.zeros((2, 4, 4, 3), np.uint8), {"groups": {"0": 1, "x1": 2}}, "'x1' is no image's id"),
        ([], {}, "no images"),
    ],
)
def test_what_are_no_images_is_one_line(source, more, said):
    with pytest.raises(BadInput, match=said) as refusal:
        zoo_eval.images(source, **more)
    assert "\n" not in str(refusal.value)
