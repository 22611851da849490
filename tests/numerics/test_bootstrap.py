"""Bootstrap draws equal statistics of the resampled data; intervals equal SciPy's and theory's."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.spatial.distance import pdist, squareform

from tests.rounding import float64_correlation
from zoo_eval.numerics import intervals
from zoo_eval.numerics.bootstrap import (
    resample_counts,
    resampled_medians,
    resampled_pearson,
    resampled_rdm_pearson,
)
from zoo_eval.numerics.intervals import percentile_interval


def values(n=61, seed=0):
    return np.random.default_rng(seed).gamma(2, size=n)


def sides(*, stimuli=40, targets=3, seed=0):
    rng = np.random.default_rng(seed)
    observed = rng.standard_normal((stimuli, targets))
    return observed + rng.standard_normal((stimuli, targets)) + 100, observed - 50


# The sides lie 100 / 2^0.5 and 50 spreads from zero.
ROUNDING = float64_correlation(100, shift=100)


def exact_median_distribution(n):
    """P(median of a resample <= j-th smallest value), j = 1 ... n, for odd n.

    Of n = 2k + 1 draws at least k + 1 must be among the j smallest: a binomial tail (Efron 1979).
    """
    return stats.binom.sf(n // 2, n, np.arange(1, n + 1) / n)


def test_the_medians_distribution_is_the_exact_one():
    data, draws = np.sort(values()), resampled_medians(values(), n_resamples=40_000, seed=0)
    found = (draws[:, None] <= data).mean(0)
    assert_allclose(found, exact_median_distribution(61), atol=4 * 0.5 / np.sqrt(40_000))


def test_the_median_interval_is_the_exact_one_and_scipys():
    # Ends between two steps of the distribution are order statistics without sampling error.
    data, exact = np.sort(values()), exact_median_distribution(61)
    step = int(np.searchsorted(exact, 0.025))
    confidence = 1 - (exact[step - 1] + exact[step])
    draws = resampled_medians(values(), n_resamples=20_000, seed=0)
    low, high = percentile_interval(draws, n_drawn=61, confidence=confidence)
    assert low == data[step]
    assert high == data[60 - step]
    expected = stats.bootstrap(
        (values(),), np.median, n_resamples=20_000, method="percentile",
        confidence_level=confidence, rng=1,
    ).confidence_interval  # fmt: skip
    assert (low, high) == (expected.low, expected.high)
    # Of 61 values one step of the distribution is at most 0.1 / 2 wide here.
    assert 0.9 < confidence < 0.99


def test_correlations_are_those_of_the_resampled_stimuli():
    predicted, observed = sides()
    counts = resample_counts(range(40), n_resamples=20, seed=0)
    assert (counts.sum(1) == 40).all()
    found = resampled_pearson(predicted, observed, counts)
    for draw, count in zip(found, counts):
        rows = np.repeat(np.arange(40), count.astype(int))
        expected = stats.pearsonr(predicted[rows], observed[rows]).statistic
        assert_allclose(draw, expected, rtol=0, atol=ROUNDING)


def test_copies_in_a_group_say_no_more_than_one_of_them():
    predicted, observed = sides(stimuli=20)
    alone = resampled_pearson(
        predicted, observed, resample_counts(range(20), n_resamples=50, seed=0)
    )
    of_copies = np.repeat(np.arange(20), 5)
    counts = resample_counts(of_copies.tolist(), n_resamples=50, seed=0)
    together = resampled_pearson(predicted[of_copies], observed[of_copies], counts)
    assert_allclose(together, alone, rtol=0, atol=ROUNDING)
    apart = resampled_pearson(
        predicted[of_copies], observed[of_copies],
        resample_counts(range(100), n_resamples=50, seed=0),
    )  # fmt: skip
    assert (apart.std(0) < 0.7 * together.std(0)).all()


def test_resamples_of_groups_of_several_sizes_are_those_of_their_stimuli():
    predicted, observed = sides()
    groups = ["a"] * 25 + ["b"] * 10 + list("cdefg")
    counts = resample_counts(groups, n_resamples=20, seed=0)
    assert counts.sum(1).std() > 0
    found = resampled_pearson(predicted, observed, counts)
    for draw, count in zip(found, counts):
        by_group = dict(zip(groups, count))
        assert sum(by_group.values()) == 7
        rows = np.repeat(np.arange(40), [int(by_group[group]) for group in groups])
        expected = stats.pearsonr(predicted[rows], observed[rows]).statistic
        assert_allclose(draw, expected, rtol=0, atol=ROUNDING)


def test_the_correlation_interval_equals_scipys():
    predicted, observed = sides()
    counts = resample_counts(range(40), n_resamples=5000, seed=0)
    draws = resampled_pearson(predicted, observed, counts)
    low, high = percentile_interval(draws, n_drawn=40, confidence=0.9)
    for target in range(3):
        expected = stats.bootstrap(
            (predicted[:, target], observed[:, target]),
            lambda x, y, axis: stats.pearsonr(x, y, axis=axis).statistic,
            paired=True, n_resamples=5000, confidence_level=0.9, method="percentile", rng=1,
        ).confidence_interval  # fmt: skip
        # A quantile at 5 % of 5000 draws lies within 5 (0.05 0.95 / 5000)^0.5 = 0.015 of it in
        # probability, where a density of 1 or more makes of that as much in r; and so do both.
        assert low[target] == pytest.approx(expected.low, rel=0, abs=0.03)
        assert high[target] == pytest.approx(expected.high, rel=0, abs=0.03)


def test_rdm_correlations_are_those_of_the_resampled_stimuli():
    predicted, observed = sides(stimuli=15, targets=6)
    x, y = (squareform(pdist(side)) for side in (predicted, observed))
    counts = resample_counts(range(15), n_resamples=20, seed=0)
    found = resampled_rdm_pearson(x, y, counts)
    for draw, count in zip(found, counts):
        rows = np.repeat(np.arange(15), count.astype(int))
        first, second = np.triu_indices(15, k=1)
        first, second = rows[first], rows[second]
        kept = first != second
        first, second = first[kept], second[kept]
        expected = stats.pearsonr(x[first, second], y[first, second]).statistic
        assert draw == pytest.approx(expected, rel=0, abs=float64_correlation(15 * 14 / 2, shift=3))


def test_every_stimulus_is_drawn_once_on_average_with_binomial_counts():
    counts = resample_counts(range(50), n_resamples=20_000, seed=0)
    # Counts have a standard deviation of (50 / 50 (1 - 1 / 50))^0.5: five standard errors.
    assert_allclose(counts.mean(0), 1, rtol=0, atol=5 * (0.98 / 20_000) ** 0.5)
    for k in range(4):
        exact = stats.binom.pmf(k, 50, 1 / 50)
        # Those of one draw hang together, so that only the draws count.
        assert (counts == k).mean() == pytest.approx(exact, rel=0, abs=5 * 0.5 / 20_000**0.5 / 7)


def test_the_same_seed_draws_the_same():
    one, same, other = (
        resampled_medians(values(), n_resamples=50, seed=seed) for seed in (0, 0, 1)
    )
    assert_allclose(one, same, rtol=0)
    assert np.abs(one - other).max() > 0
    one, same, other = (resample_counts(range(9), n_resamples=50, seed=seed) for seed in (0, 0, 1))
    assert_allclose(one, same, rtol=0)
    assert np.abs(one - other).max() > 0


def test_undefined_scores_are_left_out():
    data = values()
    holed = np.insert(data, [0, 10, 61], np.nan)
    assert_allclose(
        resampled_medians(holed, n_resamples=30, seed=0),
        resampled_medians(data, n_resamples=30, seed=0),
        rtol=0,
    )
    assert np.isnan(resampled_medians(np.full(4, np.nan), n_resamples=3, seed=0)).all()


def test_intervals_leave_undefined_resamples_out():
    draws = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    low, high = percentile_interval(draws, n_drawn=40, confidence=1.0)
    assert_allclose(low, [1, np.nan], rtol=0)
    assert_allclose(high, [3, np.nan], rtol=0)


def coverage(n_stimuli, correlation, monkeypatch):
    """The share of 4000 pairs of this correlation that a 95 % interval over so few stimuli holds."""
    monkeypatch.setattr(intervals, "FEWEST_DRAWN", 1)
    own, others = np.random.default_rng(0).standard_normal((2, n_stimuli, 4000))
    mixed = correlation * own + (1 - correlation**2) ** 0.5 * others
    counts = resample_counts(range(n_stimuli), n_resamples=400, seed=1)
    low, high = percentile_interval(resampled_pearson(own, mixed, counts), n_drawn=n_stimuli)
    return ((low <= correlation) & (correlation <= high)).mean()


@pytest.mark.parametrize("correlation", [0, 0.5, 0.8])
def test_an_interval_is_given_from_where_it_covers_about_what_it_says(correlation, monkeypatch):
    fewest = intervals.FEWEST_DRAWN
    # A share of 4000 has a standard error of 0.006 or less.
    assert coverage(3, correlation, monkeypatch) < 0.7
    assert 0.84 < coverage(fewest, correlation, monkeypatch) < 0.95
    assert 0.87 < coverage(3 * fewest, correlation, monkeypatch) < 0.95


def test_of_fewer_there_is_no_interval():
    draws = np.random.default_rng(0).standard_normal((50, 2))
    fewest = intervals.FEWEST_DRAWN
    assert np.isnan(percentile_interval(draws, n_drawn=fewest - 1)).all()
    assert np.isfinite(percentile_interval(draws, n_drawn=fewest)).all()


def test_a_side_that_does_not_vary_has_no_correlation():
    predicted, observed = sides()
    predicted[:, 1] = 0.1
    counts = resample_counts(range(40), n_resamples=5, seed=0)
    found = resampled_pearson(predicted, observed, counts)
    assert np.isnan(found).all(0).tolist() == [False, True, False]
    one_stimulus = np.zeros((1, 40))
    one_stimulus[0, 3] = 40
    assert np.isnan(resampled_pearson(predicted, observed, one_stimulus)).all()
    flat = 0.1 * (1 - np.eye(40))
    assert np.isnan(resampled_rdm_pearson(flat, squareform(pdist(observed)), counts)).all()
