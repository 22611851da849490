"""The split-half ceiling equals an explicit computation and converges to a planted reliability."""

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from zoo_eval.numerics.ceilings import splithalf_spearman_brown


def planted(*, stimuli: int, repetitions: int, targets: int, noise: float, seed: int = 0):
    """Responses = unit-variance signal + independent noise of that standard deviation."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((stimuli, 1, targets))
    return signal + noise * rng.standard_normal((stimuli, repetitions, targets))


def spearman_brown(responses, first, second):
    x, y = responses[:, list(first)].mean(1), responses[:, list(second)].mean(1)
    r = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(x.T, y.T)])
    return 2 * r / (1 + r)


def test_two_repetitions_have_one_split():
    responses = planted(stimuli=30, repetitions=2, targets=4, noise=1)
    expected = spearman_brown(responses, [0], [1])
    found = splithalf_spearman_brown(responses, n_splits=3, seed=0)
    assert_allclose(found, expected, rtol=1e-12)


def test_many_splits_average_over_all_halves():
    responses = planted(stimuli=60, repetitions=4, targets=3, noise=1)
    halves = [
        spearman_brown(responses, first, set(range(4)) - set(first))
        for first in combinations(range(4), 2)
    ]
    found = splithalf_spearman_brown(responses, n_splits=2000, seed=0)
    assert_allclose(found, np.mean(halves, axis=0), atol=2e-3)
    assert np.ptp(halves, axis=0).min() > 5e-3  # the splits differ, else nothing was averaged


@pytest.mark.parametrize("repetitions", [2, 6, 7])
@pytest.mark.parametrize("noise", [0.5, 1, 3])
def test_it_converges_to_the_planted_reliability(repetitions, noise):
    responses = planted(stimuli=20000, repetitions=repetitions, targets=4, noise=noise)
    # An odd repetition is left out of each split, so the ceiling is that of the even number.
    used = repetitions // 2 * 2
    exact = 1 / (1 + noise**2 / used)
    found = splithalf_spearman_brown(responses, n_splits=10, seed=0)
    assert_allclose(found, exact, atol=0.04)
    assert found.mean() == pytest.approx(exact, abs=0.02)


def test_a_constant_target_is_nan():
    responses = planted(stimuli=30, repetitions=4, targets=3, noise=1)
    responses[:, :, 1] = 2
    found = splithalf_spearman_brown(responses, n_splits=2, seed=0)
    assert np.isnan(found).tolist() == [False, True, False]


def test_the_same_seed_gives_the_same_ceiling():
    responses = planted(stimuli=30, repetitions=6, targets=3, noise=1)
    one, same, other = (
        splithalf_spearman_brown(responses, n_splits=2, seed=seed) for seed in (0, 0, 1)
    )
    assert_allclose(one, same, rtol=0)
    assert np.abs(one - other).max() > 0


def test_a_single_repetition_is_an_error():
    with pytest.raises(ValueError, match="at least two repetitions"):
        splithalf_spearman_brown(np.zeros((5, 1, 2)), n_splits=1, seed=0)
