"""THINGS-EEG2: pickled dicts are read without running anything; targets are channels by times."""

from collections import OrderedDict

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.recordings import eeg2_files as files
from tests.recordings.eeg2_files import CHANNELS, IMAGES, TIMES
from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import things_eeg2
from zoo_eval.recordings.things_eeg2 import ThingsEeg2Section

TRAINING, TEST = "preprocessed_eeg_training.npy", "preprocessed_eeg_test.npy"


def read(folder, most=2**30, **options):
    section = ThingsEeg2Section(
        stimuli="things",
        path=SweepPath.of(".", folder),
        images=SweepPath.of("image_metadata.npy", folder),
        **options,
    )
    return section.presentations("recording 'e'", most)


def expected(channels=CHANNELS, low=-200, high=800):
    """Responses (image and repetition, channel x time), one by one."""
    bins = [one for one, time in enumerate(TIMES) if low - 0.01 <= 1000 * time <= high + 0.01]
    places = [(CHANNELS.index(channel), one) for channel in channels for one in bins]
    rows = [
        [files.planted(part)[image, repetition, *place] for place in places]
        for part, (n_images, n_repetitions) in files.SHAPES.items()
        for image in range(n_images)
        for repetition in range(n_repetitions)
    ]
    return np.array(rows)


def all_of(found):
    return found.read(np.arange(found.targets.num_rows))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return files.folder(tmp_path_factory.mktemp("eeg2"))


def test_presentations_are_images_by_repetitions(folder):
    found = read(folder)
    assert_array_equal(all_of(found), expected())
    shown = [one for one in IMAGES["training"] for _ in range(4)]
    shown += [one for one in IMAGES["test"] for _ in range(6)]
    assert list(found.stimulus_ids) == shown
    assert list(found.splits["things"]) == ["train"] * 16 + ["test"] * 12
    assert found.sessions is None
    assert found.itemsize == 8
    assert {path.name for path in found.files} == {TRAINING, TEST, "image_metadata.npy"}


def test_targets_are_channels_by_bins_of_time(folder):
    targets = read(folder).targets.to_pydict()
    assert targets["channel"] == [one for one in CHANNELS for _ in TIMES]
    assert targets["time_ms"] == [-200, -100, 0, 100, 200, 300, 400, 500, 600, 700, 800] * 3
    assert targets["target_id"][:2] == ["Pz_-200ms", "Pz_-100ms"]
    assert len(set(targets["target_id"])) == 33


def test_channels_and_a_window_are_taken(folder):
    found = read(folder, channels=("Oz", "Pz"), window_ms=(100, 250))
    assert found.targets.column("target_id").to_pylist() == [
        "Oz_100ms", "Oz_200ms", "Pz_100ms", "Pz_200ms",
    ]  # fmt: skip
    wanted = expected(("Oz", "Pz"), 100, 250)
    assert_array_equal(all_of(found), wanted)
    assert_array_equal(found.read(np.array([1, 2])), wanted[:, [1, 2]])


def test_blocks_of_one_image_are_read_like_all_at_once(folder, monkeypatch):
    monkeypatch.setattr(things_eeg2, "BLOCK_BYTES", 1)
    assert_array_equal(all_of(read(folder)), expected())


def test_values_stay_in_the_file_until_they_are_asked_for(tmp_path):
    files.folder(tmp_path)
    files.part(tmp_path / TRAINING, np.zeros((4, 2000, 3, 11), np.float32))
    found = read(tmp_path, most=2**18)
    assert len(found.stimulus_ids) == 4 * 2000 + 12


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"channels": ("Pz", "P5")}, "no channel 'P5'; nearest: P"),
        ({"window_ms": (700, 900)}, r"window_ms 700 to 900 is not within the recording \(-200 to 800 ms\)"),
        ({"window_ms": (-300, 0)}, "is not within the recording"),
        ({"window_ms": (110, 190)}, "is not within the recording"),
        ({"window_ms": (300, 100)}, "is not within the recording"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_in_the_recording_is_refused(folder, options, match):
    with pytest.raises(BadInput, match=match):
        read(folder, **options)


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda f: (f / TEST).unlink(), "test.npy is missing; name the folder"),
        (lambda f: (f / TEST).write_bytes((f / TEST).read_bytes()[:-9]), "cut off"),
        (lambda f: (f / TEST).write_bytes(b"<html>"), "HTML page"),
        (lambda f: files.part(f / TEST, files.planted("test"), more=OrderedDict()), "needs 'collections.OrderedDict'"),
        (lambda f: np.save(f / TEST, {"ch_names": CHANNELS}), "has no 'preprocessed_eeg_data'"),
        (lambda f: np.save(f / TEST, files.planted("test")), "no dict"),
        (lambda f: files.part(f / TEST, files.planted("test")[..., 0]), "is no array .image"),
        (lambda f: files.part(f / TEST, files.planted("test") > 0), "is no array .image"),
        (lambda f: files.part(f / TEST, [1.0]), "is no array .image"),
        (lambda f: files.part(f / TEST, files.planted("test"), channels=["Pz"]), "for 1 channels and 11 times"),
        (lambda f: files.part(f / TEST, files.planted("test"), channels=["Pz"] * 3), "for 3 channels"),
        (lambda f: files.part(f / TEST, files.planted("test"), channels=[1, 2, 3]), "no list of names"),
        (lambda f: files.part(f / TEST, files.planted("test"), times=TIMES[::-1]), "times in seconds that ascend"),
        (lambda f: files.part(f / TEST, files.planted("test"), times=None), "NoneType"),
        (lambda f: files.part(f / TEST, files.planted("test"), times=TIMES + 1), "have other channels or times"),
        (lambda f: files.metadata(f / "image_metadata.npy", IMAGES | {"test": ["a"]}), "'test_img_files' has 1 images"),
        (lambda f: np.save(f / "image_metadata.npy", {"train_img_files": []}), "has 0 images, preprocessed_eeg_tr"),
        (lambda f: np.save(f / "image_metadata.npy", {"files": []}), "has no 'train_img_files'; nearest: files"),
    ],
)  # fmt: skip
def test_damage_is_one_line(tmp_path, damage, match):
    damage(files.folder(tmp_path))
    with pytest.raises(BadInput, match=match) as caught:
        read(tmp_path)
    assert str(tmp_path) in str(caught.value) or "recording 'e'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_first_images_of_the_test_are_read_by_themselves(folder, monkeypatch):
    whole = read(folder, channels=["Oz"])
    n_training = 16
    assert_array_equal(
        whole.sample.read(np.array([0, 3])), whole.read(np.array([0, 3]))[n_training:]
    )
    assert whole.sample.stimulus_ids == whole.stimulus_ids[n_training:]
    # One image's bytes at a time: one is read.
    monkeypatch.setattr(things_eeg2, "BLOCK_BYTES", 1)
    one = read(folder, channels=["Oz"]).sample
    assert one.stimulus_ids == ["bench_05n.jpg"] * 6
    assert_array_equal(one.read(np.array([1])), expected(["Oz"])[n_training : n_training + 6, [1]])
