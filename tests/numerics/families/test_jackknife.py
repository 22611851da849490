"""CV3 equals statsmodels' regressions run anew without each cluster; no interval where there can be none."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from tests.numerics.families.planted import drawn, families
from zoo_eval.numerics.families.jackknife import FISHER_Z, error, estimated
from zoo_eval.numerics.families.least_squares import coefficients

SIZES = [9, 7, 6, 5, 5, 4, 3]


def ols(x, y):
    return sm.OLS(y, sm.add_constant(x)).fit().params


def test_the_error_of_a_slope_is_statsmodels_without_each_cluster():
    kin = families(SIZES)
    x, y = drawn(0, kin)
    everything, left_out = coefficients(np.column_stack([np.ones(len(x)), x]), y, kin)
    without = np.array([ols(x[kin.codes != g], y[kin.codes != g]) for g in range(len(SIZES))])
    assert everything == pytest.approx(ols(x, y), rel=1e-9)
    assert left_out == pytest.approx(without, rel=1e-9)
    n = len(SIZES)
    by_hand = ((n - 1) / n * ((without - ols(x, y)) ** 2).sum(0)) ** 0.5
    assert error(everything, left_out.T) == pytest.approx(by_hand, rel=1e-9)
    # statsmodels' own cluster-robust variance (CV1) is near, and smaller, as it is known to be.
    cv1 = sm.OLS(y, sm.add_constant(x)).fit(cov_type="cluster", cov_kwds={"groups": kin.codes}).bse
    assert (cv1 < by_hand).all()
    assert by_hand == pytest.approx(cv1, rel=0.5)


def test_of_a_mean_of_equal_families_it_is_the_error_of_family_means():
    kin = families([4] * 8)
    y = np.random.default_rng(1).standard_normal(32)
    means = y.reshape(8, 4).mean(1)
    left_out = (means.sum() - means) / 7
    assert error(y.mean(), left_out) == pytest.approx(stats.sem(means), rel=1e-9)
    found = estimated(y.mean(), left_out, kin)
    classical = stats.ttest_1samp(means, 0)
    assert (found.low, found.high) == pytest.approx(
        tuple(classical.confidence_interval()), rel=1e-9
    )
    assert found.p_value == pytest.approx(classical.pvalue, rel=1e-9)


def test_on_fishers_scale_the_interval_is_symmetric_there():
    kin = families([3] * 6)
    left_out = np.tanh(np.array([0.5, 0.55, 0.6, 0.4, 0.45, 0.5]))
    found = estimated(np.tanh(0.5), left_out, kin, scale=FISHER_Z)
    assert np.arctanh(found.high) - 0.5 == pytest.approx(0.5 - np.arctanh(found.low))
    spread = error(0.5, np.arctanh(left_out))
    assert np.arctanh(found.high) - 0.5 == pytest.approx(stats.t.ppf(0.975, 5) * spread)


def test_the_range_without_one_family_names_the_one_that_moves_it_most():
    found = estimated(0.5, np.array([0.4, 0.55, 0.5, 0.5, 0.5, 0.9]), families([2] * 6))
    assert (found.without_low, found.without_high, found.moves_most) == (0.4, 0.9, "f5")


@pytest.mark.parametrize(
    ("sizes", "left_out", "said"),
    [
        ([3], [np.nan], "too few families: 1; an interval takes 5 of one size"),
        ([3, 3], [0.4, 0.6], "too few families: 2;"),
        ([40, 1, 1, 1, 1, 1, 1], [0.5] * 7, "too few families: 7, as uneven as 1.3;"),
        ([1] * 6, [0.1, 0.2, 0.3, 0.1, np.nan, 0.2], "undefined without family f4"),
        ([1] * 6, [0.5] * 6, "the same without any family"),
    ],
)
def test_no_interval_says_why(sizes, left_out, said):
    found = estimated(0.5, np.array(left_out), families(sizes))
    assert (found.value, found.low, found.high, found.p_value) == (0.5, None, None, None)
    assert found.no_interval.startswith(said)


def test_a_perfect_correlation_has_no_interval():
    found = estimated(1.0, np.ones(6), families([1] * 6), scale=FISHER_Z)
    assert (found.low, found.no_interval) == (
        None,
        "the same without any family, or perfect: its error cannot be told",
    )


def test_an_undefined_value_is_none():
    found = estimated(float("nan"), np.full(6, np.nan), families([1] * 6))
    assert (found.value, found.no_interval, found.without_low, found.moves_most) == (None,) * 4
