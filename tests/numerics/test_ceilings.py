"""Ceilings equal explicit computations and converge to what was planted."""

from itertools import combinations
from typing import get_args

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import pearsonr

from tests.rounding import float64_correlation
from zoo_eval.numerics import ceilings, rdm_ceilings
from zoo_eval.numerics.ceilings import (
    SCALES,
    Scale,
    explainable_variance,
    internal_consistency,
    leave_one_out,
    max_pairwise_target,
    ncsnr,
    splithalf_spearman_brown,
)


def planted(*, stimuli: int, repetitions: int, targets: int, noise: float, seed: int = 0):
    """Responses = unit-variance signal + independent noise of that standard deviation."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((stimuli, 1, targets))
    return signal + noise * rng.standard_normal((stimuli, repetitions, targets))


def r_of_halves(responses, first, second):
    x, y = responses[:, list(first)].mean(1), responses[:, list(second)].mean(1)
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(x.T, y.T)])


def pairs_of_halves(n):
    """Every pair of halves of n // 2 repetitions each, once."""
    return [
        (first, second)
        for first in combinations(range(n), n // 2)
        for second in combinations(sorted(set(range(n)) - set(first)), n // 2)
        if first < second
    ]


@pytest.mark.parametrize("noise", [1, 30])
def test_two_repetitions_have_one_split(noise):
    responses = planted(stimuli=30, repetitions=2, targets=40, noise=noise)
    r = r_of_halves(responses, [0], [1])
    found = splithalf_spearman_brown(responses, n_splits=3, seed=0)
    # A negative r is mirrored, so that no estimate leaves -1 to 1.
    expected = np.sign(r) * 2 * np.abs(r) / (1 + np.abs(r))
    assert_allclose(found, expected, rtol=0, atol=2 * float64_correlation(60))
    assert (expected > 0).all() == (noise == 1)


@pytest.mark.parametrize("repetitions", [3, 4, 5])
def test_many_splits_are_averaged_over_all_halves_then_stepped_up_to_all_repetitions(repetitions):
    responses = planted(stimuli=60, repetitions=repetitions, targets=3, noise=1)
    found = splithalf_spearman_brown(responses, n_splits=2000, seed=0)
    halves = [r_of_halves(responses, *pair) for pair in pairs_of_halves(repetitions)]
    r, k = np.mean(halves, axis=0), repetitions / (repetitions // 2)
    # Five standard errors of 2000 draws; the step is at most k times as steep.
    errors = 5 * k * np.std(halves, axis=0) / 2000**0.5
    assert (np.abs(found - k * r / (1 + (k - 1) * r)) < errors).all()
    assert np.ptp(halves, axis=0).min() > 5e-3  # the splits differ, else nothing was averaged


@pytest.mark.parametrize("noise", [1, 2])
def test_reliabilities_are_biased_by_at_most_one_percent_for_any_number_of_repetitions(noise):
    # Over 2000 stimuli and 1000 targets a mean has a standard error of 0.3 % at most, at two
    # repetitions of noise 2; 2000 stimuli leave a bias of 0.2 % there.
    responses = planted(stimuli=2000, repetitions=10, targets=1000, noise=noise)
    for n in range(2, 11):
        some = responses[:, :n]
        exact = 1 / (1 + noise**2 / n)
        halves = splithalf_spearman_brown(some, n_splits=4, seed=0)
        variances = explainable_variance(ncsnr(some), n_averaged=n)
        assert halves.mean() == pytest.approx(exact, rel=0.01), n
        assert variances.mean() == pytest.approx(exact, rel=0.01), n
        of_the_rest = 1 / np.sqrt((1 + noise**2) * (1 + noise**2 / (n - 1)))
        assert leave_one_out(some).mean() == pytest.approx(of_the_rest, rel=0.01), n
        # What stepping every number of repetitions up by two gives is further off.
        if n in (3, 5):
            by_two = 1 / (1 + noise**2 / (n - 1))
            assert abs(by_two / exact - 1) > 0.03


@pytest.mark.parametrize("repetitions", [2, 3, 7, 8])
def test_brain_scores_ceiling_is_stepped_up_by_two_as_published(repetitions):
    responses = planted(stimuli=40, repetitions=repetitions, targets=3, noise=1)
    # scikit-learn's ShuffleSplit, written out: the test rows stand first in each permutation.
    rng, half = np.random.RandomState(1), repetitions - repetitions // 2
    stepped_up = []
    for _ in range(10):
        order = rng.permutation(repetitions)
        r = r_of_halves(responses, order[half:], order[:half])
        stepped_up.append(2 * r / (1 + r))
    found = internal_consistency(responses)
    assert_allclose(found, np.mean(stepped_up, axis=0), rtol=2 * float64_correlation(80))


def test_brain_scores_ceiling_has_no_number_where_a_half_is_the_opposite_of_the_other():
    rising = np.arange(5.0)
    responses = np.stack([rising, -rising], axis=1)[:, :, None]
    assert np.isnan(internal_consistency(responses)).all()
    assert splithalf_spearman_brown(responses, n_splits=2, seed=0) == pytest.approx(-1)


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


def test_leaving_one_out_equals_an_explicit_computation():
    responses = planted(stimuli=30, repetitions=4, targets=3, noise=1)
    expected = [
        np.mean(
            [
                pearsonr(
                    responses[:, k, t], np.delete(responses[:, :, t], k, axis=1).mean(1)
                ).statistic
                for k in range(4)
            ]
        )
        for t in range(3)
    ]
    assert_allclose(leave_one_out(responses), expected, rtol=float64_correlation(60))


@pytest.mark.parametrize(("repetitions", "noise"), [(2, 1), (5, 0.5), (5, 3)])
def test_leaving_one_out_converges_to_the_planted_correlation(repetitions, noise):
    responses = planted(stimuli=20000, repetitions=repetitions, targets=4, noise=noise)
    exact = 1 / np.sqrt((1 + noise**2) * (1 + noise**2 / (repetitions - 1)))
    error = (1 - exact**2) / 20000**0.5
    assert_allclose(leave_one_out(responses), exact, rtol=0, atol=5 * error)


def test_ncsnr_equals_nsds_steps_on_z_scored_responses():
    responses = planted(stimuli=50, repetitions=3, targets=6, noise=2) * 7 + 100
    trials = responses.reshape(150, 6)
    scored = ((trials - trials.mean(0)) / trials.std(0, ddof=1)).reshape(50, 3, 6)
    noise_variance = np.mean(np.std(scored, axis=1, ddof=1) ** 2, axis=0)
    expected = np.sqrt(np.clip(1 - noise_variance, 0, None)) / np.sqrt(noise_variance)
    # The mean is 14 spreads from zero.
    assert_allclose(ncsnr(responses), expected, rtol=float64_correlation(150, shift=14))


@pytest.mark.parametrize(("repetitions", "noise"), [(2, 1), (3, 0.5), (3, 2)])
def test_ncsnr_gives_back_the_planted_ratio_and_share_of_variance(repetitions, noise):
    responses = planted(stimuli=50000, repetitions=repetitions, targets=3, noise=noise)
    found = ncsnr(responses)
    # The noise's variance is known to (2 / degrees of freedom)^0.5 of it, and so is the sum's; the
    # ratio's share of that is (1 + noise^2) / 2. Four standard errors.
    error = 4 * (2 * 2 / (50000 * (repetitions - 1))) ** 0.5 * (1 + noise**2) / 2
    assert_allclose(found, 1 / noise, rtol=error)
    # The share of the mean's variance that is signal, which the repetitions' mean holds.
    exact = 1 / (1 + noise**2 / repetitions)
    of_share = 2 * (1 - exact) * error
    assert_allclose(explainable_variance(found, n_averaged=repetitions), exact, rtol=of_share)


def test_noise_alone_has_no_signal_and_signal_alone_no_noise():
    noise = np.random.default_rng(0).standard_normal((8, 2, 200))
    found = ncsnr(noise)
    assert 0.2 < (found == 0).mean() < 0.8  # the floor: signal variance estimated below zero
    assert found.min() == 0
    assert (explainable_variance(np.zeros(2), n_averaged=3) == 0).all()
    repeated = np.repeat(np.arange(4.0)[:, None, None], 2, axis=1)
    assert np.isinf(ncsnr(repeated)).all()
    assert (explainable_variance(ncsnr(repeated), n_averaged=2) == 1).all()


def test_the_highest_pairwise_correlation_is_found_map_by_map():
    rng = np.random.default_rng(0)
    maps = rng.standard_normal((3, 25, 6)) + rng.standard_normal((3, 25, 1))
    expected = [
        max(pearsonr(one[:, i], one[:, j]).statistic for i, j in combinations(range(6), 2))
        for one in maps
    ]
    assert_allclose(max_pairwise_target(maps), expected, rtol=float64_correlation(60))


def test_targets_constant_in_a_map_are_left_out():
    maps = np.random.default_rng(0).standard_normal((2, 25, 3))
    maps[0, :, 1] = 0.1
    maps[1, :, 1:] = 0.1
    found = max_pairwise_target(maps)
    assert found[0] == pytest.approx(
        pearsonr(maps[0, :, 0], maps[0, :, 2]).statistic, rel=0, abs=float64_correlation(60)
    )
    assert np.isnan(found[1])


@pytest.mark.parametrize("estimator", [leave_one_out, ncsnr, internal_consistency])
def test_other_estimators_refuse_one_repetition_and_have_no_value_for_constants(estimator):
    with pytest.raises(ValueError, match="at least two repetitions"):
        estimator(np.zeros((5, 1, 2)))
    responses = planted(stimuli=30, repetitions=3, targets=3, noise=1)
    responses[:, :, 1] = 0.1
    assert np.isnan(estimator(responses)).tolist() == [False, True, False]


def test_every_estimator_states_a_scale():
    assert set(SCALES.values()) == set(get_args(Scale))
    for name in SCALES:
        assert callable(getattr(ceilings, name, None) or getattr(rdm_ceilings, name, None)), name
