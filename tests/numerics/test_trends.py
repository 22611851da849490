"""Correlations over models equal SciPy's; the naive interval is that of an explicit bootstrap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.rounding import float64_correlation
from zoo_eval.numerics.intervals import FEWEST_DRAWN
from zoo_eval.numerics.trends import CORRELATIONS, KENDALL, PEARSON, SPEARMAN, naive_interval

SCIPY = {
    SPEARMAN.name: lambda x, y: stats.spearmanr(x, y).statistic,
    PEARSON.name: lambda x, y: stats.pearsonr(x, y).statistic,
    KENDALL.name: lambda x, y: stats.kendalltau(x, y).statistic,
}
named = pytest.mark.parametrize("one", CORRELATIONS, ids=lambda one: one.name)


def near(value, n=100):
    return pytest.approx(value, rel=0, abs=float64_correlation(n, shift=3))


@named
@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(3, 30), st.booleans())
def test_each_equals_scipy_with_ties_too(one, seed, n_models, tied):
    x, y = np.random.default_rng(seed).standard_normal((2, n_models))
    if tied:
        x, y = np.round(x), np.round(2 * y)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert np.isnan(one.of(x, y))
    else:
        assert one.of(x, y) == near(SCIPY[one.name](x, y))


@named
@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_counts_are_as_good_as_copies(one, seed):
    rng = np.random.default_rng(seed)
    x, y = np.round(2 * rng.standard_normal((2, 12)))
    times = rng.integers(0, 4, size=(5, 12))
    found = one.weighted(x, y, times.astype(float))
    for value, count in zip(found, times, strict=True):
        copies = np.repeat(x, count), np.repeat(y, count)
        if count.sum() < 3 or min(map(np.ptp, copies)) == 0:
            assert np.isnan(value)
        else:
            assert value == near(SCIPY[one.name](*copies))


def test_infinity_ranks_last_and_is_left_out_of_pearson():
    x, y = np.array([1.0, 2, 3, 4, 5]), np.array([1.0, 3, 2, 4, np.inf])
    for one in (SPEARMAN, KENDALL):
        assert one.of(x, y) == near(SCIPY[one.name](x, np.where(np.isinf(y), 1e9, y)))
    assert PEARSON.of(x, y) == near(SCIPY[PEARSON.name](x[:4], y[:4]))


@named
@pytest.mark.parametrize("y", [[1.0, 1, 1, 1], [1.0, 2], [], [np.inf] * 4])
def test_too_few_or_constant_models_are_undefined(one, y):
    x, y = np.arange(len(y), dtype=float), np.array(y)
    assert np.isnan(one.of(x, y))
    naive = naive_interval(one, x, y, n_resamples=50, seed=0)
    assert (naive.low, naive.high, naive.n_resamples) == (None, None, 0)


@named
def test_the_naive_interval_is_that_of_an_explicit_bootstrap(one):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(25)
    y = x + rng.standard_normal(25)
    found = naive_interval(one, x, y, n_resamples=300, seed=1)
    rows = np.random.default_rng(1).integers(25, size=(300, 25))
    draws = [SCIPY[one.name](x[row], y[row]) for row in rows]
    assert (found.low, found.high) == near(tuple(np.percentile(draws, [2.5, 97.5])), 25)
    assert found.n_resamples == 300


def test_undefined_resamples_are_left_out_and_counted():
    x = np.array([0.0, 0, 0, 0, 1])
    naive = naive_interval(PEARSON, x, x, n_resamples=1000, seed=0)
    # The fifth model is in a resample with probability 1 - (4/5)^5, and alone with (1/5)^5.
    assert naive.n_resamples == pytest.approx(1000 * (1 - 0.8**5 - 0.2**5), abs=5 * 15)
    assert naive.low == near(1, 5)


@named
def test_of_too_few_models_there_is_no_interval(one):
    x, y = np.arange(6.0), np.array([2.0, 1, 3, 5, 4, 6])
    assert FEWEST_DRAWN == 5
    assert naive_interval(one, x[:4], y[:4], n_resamples=50, seed=0).low is None
    enough = naive_interval(one, x[:5], y[:5], n_resamples=50, seed=0)
    assert enough.low <= one.of(x[:5], y[:5]) <= enough.high


def test_models_at_infinity_count_for_ranks_alone():
    x, y = np.arange(6.0), np.array([1.0, 3, 2, 4, np.inf, np.inf])
    assert naive_interval(PEARSON, x, y, n_resamples=50, seed=0).low is None
    assert naive_interval(SPEARMAN, x, y, n_resamples=50, seed=0).low is not None
