"""Ceilings of stimuli shown unequally often, against planted truth and explicit loops."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import pearsonr

from tests.rounding import float64_correlation, float64_products
from zoo_eval.numerics import uneven_ceilings as uneven
from zoo_eval.numerics.ceilings import (
    explainable_variance,
    internal_consistency,
    leave_one_out,
    max_pairwise_target,
    ncsnr,
    splithalf_spearman_brown,
)


def planted(counts, *, targets, noise, missing=0.0, seed=0):
    """Unit-variance signal and noise of that standard deviation, NaN beyond each stimulus's count."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((len(counts), 1, targets))
    found = signal + noise * rng.standard_normal((len(counts), max(counts), targets))
    found[np.arange(max(counts)) >= np.array(counts)[:, None]] = np.nan
    found[rng.random(found.shape) < missing] = np.nan
    return found


@pytest.mark.parametrize("noise", [0.5, 1, 2])
def test_reliabilities_are_right_within_one_percent_where_stimuli_were_shown_one_to_five_times(
    noise,
):
    # Over 2500 stimuli and 600 targets, a mean has a standard error below 0.4 % at noise 2.
    counts = np.tile([1, 2, 3, 4, 5], 500)
    responses = planted(counts, targets=600, noise=noise)
    exact = 1 / (1 + noise**2 * np.mean(1 / counts))
    n = (~np.isnan(responses)).sum(1)
    halves = splithalf_spearman_brown(responses, n_splits=3, seed=0)
    variances = explainable_variance(ncsnr(responses), n_averaged=1 / uneven.mean_inverse(n))
    assert halves.mean() == pytest.approx(exact, rel=0.01)
    assert variances.mean() == pytest.approx(exact, rel=0.01)
    # The mean of n in the place of the mean of 1 / n is further off.
    assert abs((1 / (1 + noise**2 / counts.mean())) / exact - 1) > 0.015


def test_the_estimated_reliability_is_that_of_the_means_against_the_signal():
    counts = np.tile([1, 2, 5], 800)
    rng = np.random.default_rng(1)
    signal = rng.standard_normal((2400, 1, 300))
    responses = signal + 1.5 * rng.standard_normal((2400, 5, 300))
    responses[np.arange(5) >= counts[:, None]] = np.nan
    r = uneven.pearson_observed(np.nanmean(responses, axis=1), signal[:, 0])
    halves = splithalf_spearman_brown(responses, n_splits=3, seed=0)
    assert halves.mean() == pytest.approx((r**2).mean(), rel=0.01)


def test_missing_cells_are_uneven_repetitions_of_a_target():
    responses = planted([4] * 3000, targets=300, noise=1.5, missing=0.3)
    n = (~np.isnan(responses)).sum(1)
    exact = 1 / (1 + 1.5**2 * uneven.mean_inverse(n))
    assert_allclose(splithalf_spearman_brown(responses, n_splits=2, seed=0).mean(), exact.mean(), rtol=0.01)  # fmt: skip


def test_equally_many_repetitions_are_the_even_estimators():
    """With one more stimulus that has a single response, nothing but `k` and that stimulus differs."""
    responses = planted([4] * 40, targets=3, noise=1)
    extended = np.concatenate([responses, np.full((1, 4, 3), np.nan)])
    rounding = float64_correlation(400) * 20
    assert_allclose(ncsnr(extended), ncsnr(responses), rtol=rounding)
    assert_allclose(leave_one_out(extended), leave_one_out(responses), rtol=rounding)
    assert_allclose(internal_consistency(extended), internal_consistency(responses), rtol=rounding)


def test_noise_and_signal_are_those_of_a_loop_over_targets():
    responses = planted([1, 2, 3, 4, 5] * 6, targets=4, noise=1, missing=0.1)
    for target, found in enumerate(ncsnr(responses)):
        per_stimulus = [one[~np.isnan(one)] for one in responses[:, :, target]]
        noise = np.mean([one.var(ddof=1) for one in per_stimulus if len(one) > 1])
        total = np.concatenate(per_stimulus).var(ddof=1)
        expected = np.sqrt(max(total - noise, 0) / noise)
        assert_allclose(found, expected, rtol=1e3 * float64_products(100, 1))


def test_one_repetition_against_the_rest_is_that_of_a_loop_over_stimuli():
    responses = planted([1, 2, 3, 4, 5] * 6, targets=3, noise=1, missing=0.1)
    for target, found in enumerate(leave_one_out(responses)):
        values, r = responses[:, :, target], []
        for repetition in range(5):
            pairs = [
                (one[repetition], np.nanmean(np.delete(one, repetition)))
                for one in values
                if not np.isnan(one[repetition]) and (~np.isnan(np.delete(one, repetition))).any()
            ]
            if len(pairs) >= 3:
                r.append(pearsonr(*np.array(pairs).T).statistic)
        assert_allclose(found, np.mean(r), rtol=1e3 * float64_correlation(60))


def test_correlations_are_over_the_stimuli_that_both_sides_have():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 30, 6)) + 5
    for side in (x, y):
        side[rng.random(side.shape) < 0.2] = np.nan
    x[:, 4] = 2
    x[2:, 5] = np.nan
    found = uneven.pearson_observed(x, y)
    for target in range(4):
        there = ~np.isnan(x[:, target] + y[:, target])
        expected = pearsonr(x[there, target], y[there, target]).statistic
        assert_allclose(found[target], expected, rtol=0, atol=100 * float64_correlation(30))
    assert np.isnan(found[4:]).all()


@pytest.mark.parametrize("gaps", [False, True])
def test_the_highest_correlation_of_two_targets_does_not_depend_on_how_many_are_held(
    monkeypatch, gaps
):
    rng = np.random.default_rng(0)
    responses = rng.standard_normal((20, 7))
    responses[:, 5] += 2 * responses[:, 1]
    responses[:, 6] = 1
    if gaps:
        responses[rng.random((20, 7)) < 0.1] = np.nan
    (found,) = max_pairwise_target(responses[None])
    monkeypatch.setattr("zoo_eval.numerics.ceilings.TARGETS_AT_ONCE", 2)
    (blocked,) = max_pairwise_target(responses[None])
    there = ~np.isnan(responses[:, 1] + responses[:, 5])
    expected = pearsonr(responses[there, 1], responses[there, 5]).statistic
    assert_allclose([found, blocked], expected, rtol=0, atol=100 * float64_correlation(20))


def test_single_responses_say_nothing():
    responses = planted([1] * 20, targets=2, noise=1)
    responses = np.concatenate([responses, np.full_like(responses, np.nan)], axis=1)
    responses[0, 1] = 0.5
    assert np.isnan(splithalf_spearman_brown(responses, n_splits=2, seed=0)).all()
    assert np.isnan(leave_one_out(responses)).all()
