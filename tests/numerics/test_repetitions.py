"""Responses to stimuli shown unequally often: means, padding, parts of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.rounding import float64_products
from zoo_eval.numerics import repetitions
from zoo_eval.numerics.repetitions import Repetitions

COUNTS = (2, 1, 4, 3)


@pytest.fixture
def uneven():
    """Some of 5 targets' responses to 4 stimuli, which were shown 1 to 4 times."""
    rng = np.random.default_rng(0)
    responses = rng.standard_normal((sum(COUNTS), 5)) + 3
    responses[rng.random(responses.shape) < 0.2] = np.nan
    responses[2, 1] = np.nan
    return Repetitions(responses, np.repeat(np.arange(4), COUNTS))


def test_a_mean_is_over_the_responses_that_there_are(uneven):
    for stimulus in range(4):
        own = uneven.responses[uneven.stimulus == stimulus]
        for target in range(5):
            there = own[~np.isnan(own[:, target]), target]
            expected = there.mean() if len(there) else np.nan
            rounding = float64_products(4, 10)
            assert_allclose(uneven.mean()[stimulus, target], expected, rtol=0, atol=rounding)
    assert np.isnan(uneven.mean()[1, 1])


def test_padded_responses_are_those_of_each_stimulus_one_after_another(uneven):
    padded = uneven.padded()
    assert padded.shape == (4, 4, 5)
    for stimulus, n in enumerate(COUNTS):
        assert_array_equal(padded[stimulus, :n], uneven.responses[uneven.stimulus == stimulus])
        assert np.isnan(padded[stimulus, n:]).all()
    assert_array_equal(uneven.padded(slice(1, 3)), padded[..., 1:3])


def test_a_rectangle_is_itself_bit_for_bit():
    responses = np.random.default_rng(0).standard_normal((7, 3, 4))
    found = Repetitions.of(responses)
    assert (found.is_even, found.is_complete, found.most) == (True, True, 3)
    assert_array_equal(found.padded(), responses)
    assert_array_equal(found.mean(), responses.mean(1))


def test_repetitions_without_any_response_are_no_presentations(uneven):
    again = Repetitions.of(uneven.padded())
    assert_array_equal(again.responses, uneven.responses)
    assert_array_equal(again.stimulus, uneven.stimulus)
    nothing = np.full((2, 3, 2), np.nan)
    nothing[0, 1] = 1
    assert Repetitions.of(nothing).counts.tolist() == [1, 1]


@pytest.mark.parametrize("block_bytes", [1, 300, 10**6])
def test_blocks_of_targets_change_nothing(uneven, monkeypatch, block_bytes):
    whole = uneven.mean()
    monkeypatch.setattr(repetitions, "BLOCK_BYTES", block_bytes)
    assert_array_equal(uneven.mean(), whole)
    found = uneven.by_target(lambda some: np.nanmax(some, axis=(0, 1)))
    assert_array_equal(found, np.nanmax(uneven.responses, axis=0))


def test_float32_is_averaged_in_float64():
    responses = (np.arange(6, dtype=np.float32) + np.float32(0.1)).reshape(2, 3)
    found = Repetitions(responses, np.array([0, 0])).mean()
    assert found.dtype == np.float64
    assert_array_equal(found[0], responses.astype(np.float64).mean(0))


def test_some_stimuli_are_numbered_anew(uneven):
    rows = np.array([2, 0])
    found = uneven.at(rows)
    assert found.counts.tolist() == [4, 2]
    assert_array_equal(found.mean(), uneven.mean()[rows])


@pytest.mark.parametrize(
    ("stimulus", "reason"),
    [([0, 0, 1, 1, 1, 1, 2, 2, 2], "10 presentations|9 presentations"),
     ([0, 1, 0, 1, 2, 2, 2, 3, 3, 3], "in the order of their stimuli"),
     ([0, 0, 0, 2, 2, 2, 2, 3, 3, 3], "none left out")],
)  # fmt: skip
def test_other_presentations_are_refused(uneven, stimulus, reason):
    with pytest.raises(ValueError, match=reason):
        Repetitions(uneven.responses, np.array(stimulus))
