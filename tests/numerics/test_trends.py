"""Correlations over models equal SciPy's; their intervals cover; infinity ranks last."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.rounding import float64_correlation
from zoo_eval.numerics.intervals import FEWEST_DRAWN
from zoo_eval.numerics.trends import STATISTICS, bootstrap, pearson_r, spearman_rho


@given(st.integers(0, 10**6), st.integers(3, 30))
def test_both_statistics_equal_scipy(seed, n_models):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((2, n_models))
    assert spearman_rho(x, y) == pytest.approx(
        stats.spearmanr(x, y).statistic, rel=0, abs=float64_correlation(100, shift=3)
    )
    assert pearson_r(x, y) == pytest.approx(
        stats.pearsonr(x, y).statistic, rel=0, abs=float64_correlation(100, shift=3)
    )


def test_ties_are_averaged():
    x, y = np.array([1.0, 1, 2, 3, 3, 3]), np.array([2.0, 1, 1, 5, 4, 4])
    assert spearman_rho(x, y) == pytest.approx(
        stats.spearmanr(x, y).statistic, rel=0, abs=float64_correlation(100, shift=3)
    )


def test_infinity_ranks_last_and_is_left_out_of_pearson():
    x = np.array([1.0, 2, 3, 4, 5])
    y = np.array([1.0, 3, 2, 4, np.inf])
    assert spearman_rho(x, y) == pytest.approx(
        stats.spearmanr(x, np.where(np.isinf(y), 1e9, y)).statistic
    )
    assert pearson_r(x, y) == pytest.approx(
        stats.pearsonr(x[:4], y[:4]).statistic, rel=0, abs=float64_correlation(4, shift=3)
    )
    assert bootstrap(pearson_r, x, y, n_resamples=10, seed=0).n_infinite == 1


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("y", [[1.0, 1, 1, 1], [1.0, 2], [], [np.inf] * 4])
def test_too_few_or_constant_models_are_undefined(name, y):
    y = np.array(y)
    estimate = bootstrap(
        STATISTICS[name], np.arange(len(y), dtype=float), y, n_resamples=50, seed=0
    )
    assert (estimate.estimate, estimate.low, estimate.high) == (None, None, None)
    assert (estimate.n_models, estimate.n_resamples) == (len(y), 0)


def test_the_interval_is_that_of_an_explicit_bootstrap():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(25)
    y = x + rng.standard_normal(25)
    found = bootstrap(pearson_r, x, y, n_resamples=4000, seed=1)
    other = np.random.default_rng(99)
    draws = [
        stats.pearsonr(x[rows], y[rows]).statistic for rows in other.integers(25, size=(4000, 25))
    ]
    # A quantile at 2.5 % of 4000 draws lies within 3 (0.025 0.975 / 4000)^0.5 = 0.0074 of it in
    # probability; the tails of these r have a density of about 0.3 there at least.
    expected = np.percentile(draws, [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx(expected, rel=0, abs=0.0074 / 0.3)
    assert found.estimate == pytest.approx(
        stats.pearsonr(x, y).statistic, rel=0, abs=float64_correlation(25, shift=3)
    )
    assert found.n_resamples == 4000


def test_the_interval_covers_a_planted_correlation():
    # Planted: 60 models with a correlation of 0.6 in the population, 200 times over.
    rng = np.random.default_rng(2)
    covered = 0
    for seed in range(200):
        x, y = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=60).T
        estimate = bootstrap(pearson_r, x, y, n_resamples=200, seed=seed)
        covered += estimate.low <= 0.6 <= estimate.high
    # 95 % nominal; a percentile bootstrap of 60 falls a little short. Binomial s.d. is 3.
    assert 175 <= covered <= 199


def test_undefined_resamples_are_left_out_and_counted():
    x, y = np.array([0.0, 0, 0, 0, 1]), np.array([0.0, 0, 0, 0, 1])
    estimate = bootstrap(pearson_r, x, y, n_resamples=1000, seed=0)
    # The fifth model is in a resample with probability 1 - (4/5)^5, and alone with (1/5)^5.
    expected = 1000 * (1 - 0.8**5 - 0.2**5)
    assert estimate.n_resamples == pytest.approx(expected, abs=5 * 15)
    assert estimate.estimate == pytest.approx(1, rel=0, abs=float64_correlation(5, shift=3))


def test_the_same_seed_gives_the_same_interval():
    x = np.arange(10.0)
    y = np.random.default_rng(0).standard_normal(10)
    one, same, other = (bootstrap(spearman_rho, x, y, n_resamples=50, seed=s) for s in (0, 0, 1))
    assert one == same
    assert one.low != other.low


@pytest.mark.parametrize("statistic", STATISTICS.values())
def test_too_few_models_have_an_estimate_and_no_interval_and_say_why(statistic):
    x, y = np.arange(6.0), np.array([2.0, 1, 3, 5, 4, 6])
    few = bootstrap(statistic, x[:4], y[:4], n_resamples=50, seed=0)
    assert few.estimate == pytest.approx(statistic(x[:4], y[:4]))
    assert (few.low, few.high, few.n_resamples) == (None, None, 0)
    assert few.no_interval == f"an interval takes {FEWEST_DRAWN} models"
    enough = bootstrap(statistic, x[:5], y[:5], n_resamples=50, seed=0)
    assert enough.low <= enough.estimate <= enough.high
    assert enough.no_interval is None


def test_models_at_infinity_count_for_ranks_alone():
    x, y = np.arange(6.0), np.array([1.0, 3, 2, 4, np.inf, np.inf])
    assert bootstrap(pearson_r, x, y, n_resamples=50, seed=0).low is None
    assert bootstrap(spearman_rho, x, y, n_resamples=50, seed=0).low is not None
