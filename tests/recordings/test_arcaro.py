"""Arcaro 2020: means of a window as maps, turned as the released code turns them; channels of one array."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.recordings import arcaro_files as files
from tests.recordings import rdm_files
from tests.recordings.arcaro_files import IDS, SHAPE
from tests.recordings.sweepmates import Mates
from zoo_eval.errors import BadInput
from zoo_eval.recordings.arcaro import ArcaroSection

SHOWN = rdm_files.shown_set(sorted(IDS))


def read(path, mates=None, **options):
    content = {"kind": "arcaro", "stimuli": "shown", "path": path.name, "window_ms": (2, 5)}
    section = ArcaroSection.model_validate({**content, **options}, context={"home": path.parent})
    return section.read("monkey", mates or Mates(SHOWN))


@pytest.fixture(scope="module")
def monkey(tmp_path_factory):
    return files.monkey(tmp_path_factory.mktemp("arcaro") / "monkey.mat")


def expected(channels=range(SHAPE[3]), window=(2, 5)):
    """Maps (image, row, column, channel) in the order of the stimuli, cell by cell."""
    stored, found = files.planted(), np.empty((4, 3, 4, len(channels)))
    for image, name in enumerate(sorted(IDS)):
        for row in range(3):
            for column in range(4):
                for place, channel in enumerate(channels):
                    times = stored[2 - row, 3 - column, slice(*window), channel, IDS.index(name)]
                    found[image, row, column, place] = sum(map(float, times)) / len(times)
    return found


@pytest.mark.parametrize("write", [rdm_files.mat, rdm_files.mat73])
def test_maps_are_means_of_the_window_with_both_axes_turned(tmp_path, write):
    found = read(files.monkey(tmp_path / "monkey.mat", write))
    assert_allclose(found.spatial().maps, expected(), rtol=1e-12)
    assert found.spatial().image_ids == tuple(sorted(IDS))
    assert found.channel_ids == tuple(f"channel_{number:02d}" for number in range(5))
    assert found.n_repetitions == 1
    assert found.by_position is None
    assert found.spatial_shape == (3, 4, 5)


def test_a_map_meets_its_stimulus_with_the_suffix_or_without(monkey):
    shown = rdm_files.shown_set(["face", "hand", "body", "round object"])
    found = read(monkey, Mates(shown)).spatial()
    rows = [sorted(IDS).index(one) for one in IDS]
    assert_allclose(found.maps, expected()[rows], rtol=1e-12)


@pytest.mark.parametrize(("channels", "numbers"), [
    ([1, 3], [1, 2, 3]), ([0, 0], [0]), ([4, 0, 2], [4, 0, 2]), ([[3, 4], 0], [3, 4, 0]), ([2], [2]),
    ([[0, 1], [3, 4]], [0, 1, 3, 4]),
])  # fmt: skip
def test_channels_of_one_array(monkey, channels, numbers):
    found = read(monkey, channels=channels)
    assert_allclose(found.spatial().maps, expected(numbers), rtol=1e-12)
    assert found.channel_ids == tuple(f"channel_{number:02d}" for number in numbers)


def test_any_window_within_the_recording(monkey):
    assert_allclose(
        read(monkey, window_ms=(0, 6)).spatial().maps, expected(window=(0, 6)), rtol=1e-12
    )
    usual = ArcaroSection.model_validate({"kind": "arcaro", "stimuli": "s", "path": "x"})
    assert usual.window_ms == (50, 90)
    assert_array_equal(read(monkey).spatial().maps, read(monkey).spatial().maps)


@pytest.mark.parametrize(("options", "match"), [
    ({"window_ms": (50, 90)}, r"window_ms 50 to 90 is not within the recording \(0 to 6 ms"),
    ({"window_ms": (-1, 3)}, "window_ms -1 to 3"),
    ({"window_ms": (3, 3)}, "window_ms 3 to 3"),
    ({"channels": [0, 5]}, "channels 0 to 5 are not among its 5"),
    ({"channels": [3, 2]}, "channels 3 to 2"),
    ({"channels": [[0, 1], -1]}, "channels -1 to -1"),
    ({"channels": [1, 2, 1]}, "channel 'channel_01' stands twice"),
    ({"channels": []}, "one channel"),
])  # fmt: skip
def test_what_is_not_in_the_recording_is_refused(monkey, options, match):
    with pytest.raises(BadInput, match=match) as caught:
        read(monkey, **options)
    assert "monkey.mat" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("changed", "match"), [
    ({"imageRF": files.planted()[..., 0]}, r"of shape \(3, 4, 6, 5\), not numbers \(x, y"),
    ({"imageRF": files.planted()[..., :3]}, "not the names of 3 images"),
    ({"imageRF": files.planted() * 1j}, "is complex"),
    ({"UniqueNames": np.arange(4.0)}, "`UniqueNames` is float64"),
    ({"UniqueNames": rdm_files.cells(["a/face.png", "b\\face.png", "c", "d"])}, "stands twice"),
    ({"imageRF": np.where(np.arange(4) == 2, np.nan, files.planted())}, "is nan; leave out"),
])  # fmt: skip
def test_files_of_another_kind_are_refused(tmp_path, changed, match):
    path = files.monkey(tmp_path / "monkey.mat", **changed)
    with pytest.raises(BadInput, match=match) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_missing_variable_is_named_with_what_there_is(tmp_path):
    path = rdm_files.mat(tmp_path / "monkey.mat", imageRf=np.eye(2))
    with pytest.raises(BadInput, match="has no `imageRF`; nearest: imageRf"):
        read(path)


def test_images_that_are_not_the_stimuli_are_refused(monkey):
    with pytest.raises(BadInput, match=r"monkey.mat.*'hand.png' is not in stimuli"):
        read(monkey, Mates(rdm_files.shown_set(["face", "body", "round object", "hands"])))


def test_more_than_the_budget_is_refused_before_it_is_read(monkey):
    mates = Mates(SHOWN)
    mates.memory_budget_bytes = 1000
    with pytest.raises(BadInput, match="memory_budget"):
        read(monkey, mates)
