"""Images and maps are paired by name; maps are grey images or arrays over the whole image."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from tests.importance.shards import heatmap, photo
from zoo_eval.errors import BadInput
from zoo_eval.files.members import of_zip
from zoo_eval.importance import folder
from zoo_eval.importance.preparation import BLURRED_BEFORE, PUBLISHED
from zoo_eval.stimuli.brainscore import MemberImages
from zoo_eval.stimuli.crops import random_crops
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.stimuli.stimulus_set import StimulusSet


@pytest.fixture
def both(tmp_path):
    """Three photos of 64 px, and their maps as 8-bit PNG, 16-bit PNG and an array."""
    images, maps = tmp_path / "images", tmp_path / "maps"
    for name in ("a_1.jpg", "b_2.png", "below/c_3.png"):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(0, 64)).save(images / name)
    (maps / "below").mkdir(parents=True)
    Image.fromarray(heatmap(0, 64)).save(maps / "a_1.png")
    Image.fromarray(heatmap(1, 64).astype(np.uint16) * 256).save(maps / "b_2.png")
    np.save(maps / "below" / "c_3.npy", heatmap(2, 64).astype(np.float64)[..., None] - 7)
    return images, maps


def read(both, *, include=("*",), label_pattern=None, **more):
    images, maps = both
    photos = read_folder("people", images, include=include, label_pattern=label_pattern)
    chosen = {"preparation": BLURRED_BEFORE, "exact": include == ("*",), **more}
    return photos, folder.read("people", photos, maps, **chosen)


def test_maps_of_every_kind_are_read_in_the_order_of_the_images(both):
    photos, maps = read(both, label_pattern=r"_(\d)", human_ceiling=0.7)
    assert photos.ids == maps.stimulus_ids == ("a_1.jpg", "b_2.png", "below/c_3.png")
    assert photos.labels == (1, 2, 3)
    assert maps.human_ceiling == 0.7
    for i in range(3):
        # Resized from 64 to 224 px: compared where the two grids have a pixel in common.
        shrunk = maps.maps[i].reshape(32, 7, 32, 7).mean(axis=(1, 3))
        expected = heatmap(i, 64).reshape(32, 2, 32, 2).mean(axis=(1, 3)) / 255
        # Means of 7 and of 2 px are of a line the same, and a level of 255 is half a unit off.
        curved = max(
            np.abs(np.diff(heatmap(i, 64).astype(float), 2, axis)).max() for axis in (0, 1)
        )
        assert_allclose(shrunk, expected, rtol=0, atol=(2 * curved + 0.5) / 255)


def test_the_preparation_is_the_one_asked_for(both):
    assert read(both, preparation=PUBLISHED)[1].preparation == PUBLISHED


def test_a_palette_of_greys_is_a_map_and_an_alpha_channel_is_dropped(both):
    grey = Image.fromarray(heatmap(0, 64))
    expected = read(both)[1].digest
    for other in (grey.convert("RGB").quantize(256), grey.convert("RGBA"), grey.convert("LA")):
        other.save(both[1] / "a_1.png")
        assert read(both)[1].digest == expected


def test_a_picture_in_colour_is_no_map(both):
    Image.fromarray(photo(0, 64)).save(both[1] / "a_1.png")
    with pytest.raises(BadInput, match=r"a_1.png: map is a picture in colour"):
        read(both)


def test_a_missing_map_names_its_image(both):
    (both[1] / "b_2.png").unlink()
    with pytest.raises(BadInput, match=r"has no map for 'b_2.png' \(1 such images\)"):
        read(both)


def test_a_missing_map_is_offered_the_nearest_of_those_without_an_image(both):
    (both[1] / "b_2.png").rename(both[1] / "b2.png")
    with pytest.raises(BadInput, match=r"no map for 'b_2.png' \(1 such images; nearest: b2\)"):
        read(both)


def test_a_crop_does_not_take_the_map_of_its_photo(both):
    photos, whole = read(both)
    assert whole.stimulus_ids == photos.ids
    crops = random_crops("crops", [photos], n=3, size_px=32, seed=0)
    with pytest.raises(BadInput, match=r"has no map for 'people/a_1.jpg#000'"):
        folder.read("people", crops, both[1], preparation=BLURRED_BEFORE, exact=False)


def test_an_id_that_is_no_files_name_is_whole(both):
    images = tuple(photo(0, 64) for _ in range(2))
    angles = ("10.0 degrees", "10.5 degrees")
    shown = StimulusSet("gratings", angles, images, groups=angles)
    for number, angle in enumerate(angles):
        np.save(both[1] / f"{angle}.npy", heatmap(number, 64))
    found = folder.read("people", shown, both[1], preparation=BLURRED_BEFORE, exact=False)
    apart = read(both, exact=False)[1]
    assert np.array_equal(found.maps[0], apart.maps[0])
    assert not np.array_equal(found.maps[0], found.maps[1])


def test_a_map_too_many_is_refused_unless_images_were_narrowed(both):
    (both[0] / "b_2.png").unlink()
    with pytest.raises(BadInput, match=r"b_2.png has no image \(1 such maps\)"):
        read(both)
    assert read(both, include=["*.jpg"])[0].ids == ("a_1.jpg",)


def test_two_files_of_one_name_are_refused(both):
    np.save(both[1] / "a_1.npy", heatmap(0, 64))
    with pytest.raises(BadInput, match="maps of the same name; keep one"):
        read(both)
    (both[1] / "a_1.npy").unlink()
    Image.fromarray(photo(0, 64)).save(both[0] / "a_1.png")
    with pytest.raises(BadInput, match="two images are called 'a_1'"):
        read(both)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((64, 64, 3)), r"must be numbers \(row, column\), got float64 \[64, 64, 3\]"),
        (np.zeros((0, 64)), "must be numbers"),
        (np.zeros((64, 64), complex), "must be numbers"),
        (np.full((64, 64), np.nan), r"c_3\.npy: has a NaN"),
        (np.array([[{}]], dtype=object), "needs code to load"),
    ],
)
def test_arrays_that_are_no_map_are_refused(both, values, reason):
    np.save(both[1] / "below" / "c_3.npy", values)
    with pytest.raises(BadInput, match=reason):
        read(both)


def test_a_map_of_other_proportions_leaves_its_image_undefined_with_the_reason(both):
    np.save(both[1] / "below" / "c_3.npy", np.arange(64.0 * 32).reshape(64, 32))
    _, maps = read(both)
    reason = "the human map is 32 x 64 px, its image 64 x 64: other proportions"
    assert maps.undefined == {"below/c_3.png": reason}
    assert maps.maps[0].max() == 1


@pytest.mark.parametrize("name", ["a_1.png", "below/c_3.npy"])
def test_a_damaged_map_is_refused_by_name(both, name):
    path = both[1] / name
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BadInput, match=name):
        read(both)


def test_a_grey_map_in_ink_is_read_as_what_it_shows(both):
    expected = read(both)[1].maps[0]
    black = Image.fromarray(255 - heatmap(0, 64))
    nothing = Image.new("L", black.size)
    Image.merge("CMYK", [nothing, nothing, nothing, black]).save(both[1] / "a_1.jpg", quality=100)
    (both[1] / "a_1.png").unlink()
    # JPEG's rounding moves a level or two of 255.
    assert_allclose(read(both)[1].maps[0], expected, rtol=0, atol=4 / 255)


@pytest.mark.parametrize("exif", ["ignore", "apply"])
def test_maps_are_turned_where_their_photos_are(both, exif):
    upside_down = Image.Exif()
    upside_down[274] = 3
    images, maps = both
    expected = read(both)[1].maps[0]
    Image.fromarray(photo(0, 64)).save(images / "a_1.jpg", exif=upside_down)
    Image.fromarray(heatmap(0, 64)).save(maps / "a_1.png", exif=upside_down)
    photos = read_folder("people", images, exif=exif)
    found = folder.read("people", photos, maps, preparation=BLURRED_BEFORE).maps[0]
    turned = expected[::-1, ::-1] if exif == "apply" else expected
    assert_allclose(found, turned, rtol=0, atol=1e-6)
    packed = replace(photos, images=in_an_archive(images, photos.ids, exif))
    found = folder.read("people", packed, maps, preparation=BLURRED_BEFORE).maps[0]
    assert_allclose(found, turned, rtol=0, atol=1e-6)


def in_an_archive(images, names, exif):
    """The same files within a ZIP archive."""
    path = images.parent / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.write(images / name, name)
    return MemberImages(tuple(of_zip("here", path)), exif)


@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_a_map_that_is_another_file_is_told(both, suffix):
    (both[1] / "a_1.png").unlink()
    (both[1] / f"a_1{suffix}").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(BadInput, match=rf"a_1{suffix}.* Git LFS pointer; run `git lfs pull`"):
        read(both)
