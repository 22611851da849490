"""Planted maps are made of images once: a later plan opens none, and finds the very same maps."""

from functools import partial

import numpy as np
import pytest
from PIL import Image

from tests.importance.shards import photo
from zoo_eval.importance import kept
from zoo_eval.importance.planted import plant
from zoo_eval.importance.preparation import PUBLISHED, Preparation
from zoo_eval.stimuli.folder import read_folder

BUDGET = 2**30


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """A folder of three images, as any plan reads it anew; the cache folder is the test's own."""
    monkeypatch.setenv("ZOO_EVAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "images").mkdir()
    for i in range(3):
        Image.fromarray(photo(i, 64)).save(tmp_path / "images" / f"{i}.png")
    return lambda: read_folder("shown", tmp_path / "images").identified()


@pytest.fixture
def file(shown, tmp_path):
    """Where the maps of those images are kept, once they were made."""
    plant("people", shown(), PUBLISHED)
    (found,) = (tmp_path / "cache" / "planted_maps").iterdir()
    return found


def test_a_second_plan_opens_no_image(shown, file, monkeypatch):
    first = plant("people", shown(), PUBLISHED)
    images, opened = shown(), []
    monkeypatch.setattr(Image, "open", partial(counted, opened, Image.open))
    second = plant("people", images, PUBLISHED)
    assert not opened
    np.testing.assert_array_equal(second.maps, first.maps)
    assert (second.digest, second.key, second.undefined) == (first.digest, first.key, {})
    plant("people", images, Preparation(canvas_px=32))
    assert len(opened) == 3


def counted(calls, function, *args, **kwargs):
    calls.append(args)
    return function(*args, **kwargs)


def test_other_images_have_other_maps(shown, file, tmp_path):
    before = plant("people", shown(), PUBLISHED)
    Image.fromarray(photo(7, 64)).save(tmp_path / "images" / "1.png")
    after = plant("people", shown(), PUBLISHED)
    assert after.digest != before.digest
    np.testing.assert_array_equal(after.maps[[0, 2]], before.maps[[0, 2]])
    assert np.abs(after.maps[1] - before.maps[1]).max() > 0.1


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
        lambda content: b"0" * 32 + content[32:],
        lambda content: b"",
    ],
    ids=["truncated", "longer", "a flipped bit", "another digest", "empty"],
)
def test_damaged_maps_are_made_anew(shown, file, damage):
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    made = plant("people", shown(), PUBLISHED)
    assert file.read_bytes() == whole
    np.testing.assert_array_equal(plant("people", shown(), PUBLISHED).maps, made.maps)


def test_where_nothing_can_be_kept_maps_are_made_all_the_same(shown, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file, no folder")
    unkept = plant("people", shown(), PUBLISHED)
    (tmp_path / "cache").unlink()
    monkeypatch.setattr(kept, "MOST_KEPT_BYTES", unkept.maps.nbytes - 1)
    assert plant("people", shown(), PUBLISHED).digest == unkept.digest
    assert not (tmp_path / "cache" / "planted_maps").exists()


def test_many_maps_are_read_to_disk(shown, file):
    few, many = (
        kept.read("people", file.stem, (3, 224, 224), most_bytes) for most_bytes in (BUDGET, 1)
    )
    assert not isinstance(few, np.memmap)
    assert isinstance(many, np.memmap)
    np.testing.assert_array_equal(few, many)
