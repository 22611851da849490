"""Stimulus sets are decoded once, labelled exactly, and identified by their content."""

import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo_eval.errors import BadInput, Refusal
from zoo_eval.stimuli.crops import random_crops
from zoo_eval.stimuli.folder import Files, read_folder
from zoo_eval.stimuli.stimulus_set import StimulusSet


@pytest.fixture
def photos(tmp_path):
    """Five small photos (one in a folder below) beside a file that is no image."""
    rng = np.random.default_rng(0)
    for name in ("b_7.png", "a_3.png", "d_1.png", "c_9.png", "below/e_2.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(path)
    (tmp_path / "photos" / "notes.txt").write_text("not an image")
    return tmp_path / "photos"


def labels_file(photos, rows, header="image,label"):
    file = photos.parent / "labels.csv"
    file.write_text("\n".join([header, *rows]) + "\n")
    return file


ALL = ("a_3.png", "b_7.png", "below/e_2.png", "c_9.png", "d_1.png")


def test_a_folder_is_sorted_and_named_relative_to_it(photos):
    found = read_folder("set", photos)
    assert found.ids == found.groups == ALL
    assert found.labels is None
    assert found.images[0].shape == (40, 60, 3)
    assert np.array_equal(found.images[1], np.asarray(Image.open(photos / "b_7.png")))


def test_patterns_and_a_limit_narrow_it(photos):
    assert read_folder("set", photos, include=["[ab]_*"]).ids == ("a_3.png", "b_7.png")
    assert read_folder("set", photos, include=["a_*", "[a-b]_*"]).ids == (
        "a_3.png",
        "b_7.png",
    )
    assert read_folder("set", photos, limit=2).ids == ALL[:2]


def test_labels_come_from_names(photos):
    assert read_folder("set", photos, label_pattern=r"_(\d+)").labels == (3, 7, 2, 9, 1)


@pytest.mark.parametrize("pattern", [r"x(\d+)", r"_\d+"])
def test_a_pattern_without_a_number_names_the_first_image(photos, pattern):
    with pytest.raises(BadInput, match=r"label_pattern .* finds no number in 'a_3.png'"):
        read_folder("set", photos, label_pattern=pattern)


def test_labels_come_from_a_csv_in_any_order(photos):
    rows = [f"{name},{number}" for number, name in enumerate(reversed(ALL))]
    found = read_folder("set", photos, labels=labels_file(photos, rows))
    assert found.labels == (4, 3, 2, 1, 0)


def test_a_labels_csv_may_leave_suffixes_out_and_begin_with_a_byte_order_mark(photos):
    rows = [f"{name.removesuffix('.png')},{number}" for number, name in enumerate(ALL)]
    file = labels_file(photos, rows)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_folder("set", photos, labels=file).labels == (0, 1, 2, 3, 4)


def test_a_missing_label_names_its_image(photos):
    file = labels_file(photos, [f"{name},1" for name in ALL if name[0] != "c"])
    with pytest.raises(BadInput, match=r"no label for 'c_9.png' \(1 such images\)"):
        read_folder("set", photos, labels=file)
    file = labels_file(photos, [f"{name.replace('c_9', 'c9')},1" for name in ALL])
    with pytest.raises(BadInput, match=r"'c_9.png' \(1 such images; nearest: c9.png\)"):
        read_folder("set", photos, labels=file)


def test_a_folder_is_no_labels_file(photos):
    with pytest.raises(BadInput, match=r"photos cannot be read \(Is a directory\)"):
        read_folder("set", photos, labels=photos)


def test_a_label_of_no_image_is_named_unless_a_limit_explains_it(photos):
    file = labels_file(photos, [f"{name},1" for name in (*ALL, "zebra.png")])
    with pytest.raises(BadInput, match=r"labels 'zebra.png', which is not among the images"):
        read_folder("set", photos, labels=file)
    assert read_folder("set", photos, labels=file, limit=2).labels == (1, 1)


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        (["a_3.png,catt"], "image,label", r"line 2: label 'catt' is no class index"),
        (["a_3.png,1"], "file,class", "expected columns image,label, but there is no 'image'"),
        (["a_3.png"], "image,label", "line 2: 1 cells below 2 columns"),
    ],
)
def test_a_csv_of_another_kind_is_an_error(photos, rows, header, said):
    with pytest.raises(BadInput, match=said):
        read_folder("set", photos, labels=labels_file(photos, rows, header))


def test_an_image_labelled_twice_is_an_error(photos):
    for again in ("b_7.png", "b_7"):
        file = labels_file(photos, [f"{name},1" for name in (*ALL, again)])
        with pytest.raises(BadInput, match=r"labels 'b_7.png' twice"):
            read_folder("set", photos, labels=file)


def test_an_image_too_large_to_be_true_is_named(photos, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow refuses twice as many
    with pytest.raises(BadInput, match=r"a_3\.png: cannot be decoded"):
        _ = read_folder("set", photos).digest


def test_an_undecodable_image_is_named(photos):
    (photos / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing follows")
    with pytest.raises(BadInput, match=r"bad\.png: cannot be decoded as an image"):
        _ = read_folder("set", photos).digest


def test_a_truncated_image_is_named(photos):
    whole = (photos / "a_3.png").read_bytes()
    (photos / "a_3.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=r"a_3\.png: cannot be decoded"):
        _ = read_folder("set", photos).digest


def test_a_folder_without_images_is_an_error(photos):
    with pytest.raises(BadInput, match="stimuli 'set': no images"):
        read_folder("set", photos, include=["*.txt"])


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_every_kind_of_image_is_decoded_to_rgb(photos, mode):
    path = photos / ("x.tif" if mode == "CMYK" else "x.png")
    Image.new("RGB", (5, 4), (10, 20, 30)).convert(mode).save(path)
    (decoded,) = Files((path,))
    assert (decoded.shape, decoded.dtype) == ((4, 5, 3), np.uint8)


def test_crops_are_seeded_and_take_turns(photos):
    source = read_folder("photos", photos)
    one, same, other = (
        random_crops("crops", [source], n=12, size_px=32, seed=seed) for seed in (0, 0, 1)
    )
    assert one.digest == same.digest != other.digest
    assert one.groups == tuple(f"photos/{ALL[i % 5]}" for i in range(12))
    assert one.ids[:6] == (*(f"photos/{name}#000" for name in ALL), "photos/a_3.png#001")
    assert all(image.shape == (32, 32, 3) for image in one.images)


def test_a_crop_is_a_square_inside_its_photo():
    # A photo whose red and green count columns and rows: a crop's corners say where it was cut.
    row, column = np.mgrid[:200, :250]
    ramp = np.stack([column, row, np.zeros_like(row)], 2).astype(np.uint8)
    source = StimulusSet("s", ("x",), (ramp,), groups=("x",))
    for crop in random_crops("c", [source], n=20, size_px=64, seed=0).images:
        width, height = np.ptp(crop[..., 0]), np.ptp(crop[..., 1])
        assert abs(int(width) - int(height)) <= 3
        assert 0.35 * 200 - 4 <= width <= 0.85 * 200 + 1


def small_set(name="s", pixel=0, labels=(1, 2), order=1, groups=("a", "b")):
    images = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    images[0, 0, 0, 0] = pixel
    images[1] = 9
    return StimulusSet(
        name, ("a", "b")[::order], tuple(images[::order]), groups=groups[::order], labels=labels
    )


def test_a_digest_is_of_the_content_and_not_of_the_name():
    original = small_set().digest
    assert small_set(name="other").digest == original
    changed = [
        small_set(pixel=1).digest,
        small_set(labels=(1, 3)).digest,
        small_set(labels=None).digest,
        small_set(order=-1).digest,
        small_set(groups=("a", "a")).digest,
    ]
    assert len({original, *changed}) == 6


def test_the_same_bytes_in_another_shape_have_another_digest():
    flat, tall = (np.zeros(shape, dtype=np.uint8) for shape in ((2, 8, 3), (8, 2, 3)))
    one, other = (StimulusSet("s", ("a",), (image,), groups=("a",)) for image in (flat, tall))
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ids": ("a", "a")}, "id 'a' stands twice"),
        ({"ids": ("a",)}, "2 images but 1 ids"),
        ({"groups": ("a", "b", "c")}, "2 images but 3 groups"),
        ({"labels": (1,)}, "2 images but 1 labels"),
        ({"images": ()}, "no images"),
    ],
)
def test_parts_that_do_not_match_are_an_error(change, said):
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    parts = {"ids": ("a", "b"), "images": (image, image), "groups": ("a", "b"), "labels": (1, 2)}
    with pytest.raises(BadInput, match=re.escape(said)):
        StimulusSet("s", **{**parts, **change})


def test_images_are_decoded_when_they_are_shown(photos, decoded):
    found = read_folder("set", photos)
    shapes = found.shapes
    assert decoded == []
    assert shapes == tuple(image.shape for image in found.images)
    assert decoded == [Path(name).name for name in ALL]


def test_a_digest_that_is_known_is_not_computed_again(photos, decoded):
    digest = read_folder("set", photos).digest
    decoded.clear()
    again = read_folder("set", photos)
    assert again.has_known_digest
    assert (again.digest, decoded) == (digest, [])
    crops = random_crops("c", [again], n=7, size_px=32, seed=0)
    assert not crops.has_known_digest
    first = crops.digest
    decoded.clear()
    same = random_crops("c", [read_folder("set", photos)], n=7, size_px=32, seed=0)
    assert (same.digest, decoded) == (first, [])


def test_the_digest_is_the_same_however_it_is_come_by(photos, decoded):
    whole = read_folder("set", photos)
    assert whole.digest == whole.described().digest == whole.identified().digest
    assert sorted(decoded) == sorted(Path(name).name for name in ALL)
    in_memory = StimulusSet("set", whole.ids, tuple(whole.images), whole.groups)
    assert in_memory.digest == whole.digest


@pytest.mark.parametrize("part", ["labels", "groups", "ids"])
def test_a_known_digest_is_that_of_its_own_ids_labels_and_groups(photos, decoded, part):
    found = read_folder("set", photos).described()
    other = {
        "labels": tuple(range(len(found))),
        "groups": ("one",) * len(found),
        "ids": tuple(map(str, range(len(found)))),
    }
    with pytest.raises(RuntimeError, match="images are elsewhere"):
        _ = replace(found, **{part: other[part]}).digest


def test_a_file_that_changed_is_decoded_again(photos, decoded):
    before = read_folder("set", photos).digest
    Image.new("RGB", (6, 5), (9, 9, 9)).save(photos / ALL[0])
    assert read_folder("set", photos).digest != before


def test_an_image_that_is_another_than_was_planned_is_refused(photos):
    found = read_folder("set", photos).identified()
    Image.new("RGB", (60, 40), (9, 9, 9)).save(photos / ALL[1])
    assert found.image(0).shape == (40, 60, 3)
    with pytest.raises(Refusal, match=r"'b_7\.png' of stimuli 'set' changed since it was planned"):
        found.image(1)


def test_a_description_is_small_and_has_what_a_plan_needs(photos):
    found = read_folder("set", photos)
    described = pickle.loads(pickle.dumps(found.described()))
    assert (described.digest, described.shapes, len(described)) == (found.digest, found.shapes, len(found))  # fmt: skip
    assert len(pickle.dumps(described)) < 2000


def in_memory(stimuli):
    return replace(stimuli, images=tuple(stimuli.images))


def test_crops_of_sets_in_memory_and_on_disk_are_the_same(photos):
    lazy, held = (
        random_crops("c", [source], n=9, size_px=32, seed=3)
        for source in (read_folder("set", photos), in_memory(read_folder("set", photos)))
    )
    assert lazy.digest == held.digest
    for one, other in zip(lazy.images, held.images, strict=True):
        np.testing.assert_array_equal(one, other)


def test_crops_of_crops_stay_with_their_photo(photos):
    crops = random_crops("c", [read_folder("set", photos)], n=10, size_px=64, seed=0)
    inner = random_crops("d", [crops], n=10, size_px=32, seed=1)
    assert inner.groups == tuple(f"c/{group}" for group in crops.groups)
