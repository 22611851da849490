"""Correlations by family: SciPy's without each family; partial ones are statsmodels' residuals' ."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from tests.numerics.families.planted import drawn, families
from zoo_eval.numerics.families.correlated import correlated, partly_correlated
from zoo_eval.numerics.families.families import Families
from zoo_eval.numerics.trends import CORRELATIONS, KENDALL, PEARSON, SPEARMAN

SCIPY = {
    SPEARMAN: stats.spearmanr, PEARSON: stats.pearsonr, KENDALL: stats.kendalltau,
}  # fmt: skip
SIZES = [6, 5, 4, 4, 3, 3]


def z_interval(r, left_out, degrees):
    n = len(left_out)
    spread = ((n - 1) / n * ((np.arctanh(left_out) - np.arctanh(r)) ** 2).sum()) ** 0.5
    wide = stats.t.ppf(0.975, degrees) * spread
    return np.tanh(np.arctanh(r) - wide), np.tanh(np.arctanh(r) + wide)


@pytest.mark.parametrize("one", CORRELATIONS, ids=lambda one: one.name)
def test_each_is_scipys_with_a_jackknife_of_scipys(one):
    kin = families(SIZES)
    x, y = drawn(2, kin)
    found = correlated(one, x, y, kin)
    r = SCIPY[one](x, y).statistic
    left_out = [SCIPY[one](x[kin.codes != g], y[kin.codes != g]).statistic for g in range(6)]
    effective = 25**2 / sum(n * n for n in SIZES)
    assert found.value == pytest.approx(r, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(
        z_interval(r, left_out, effective - 1), rel=1e-8
    )
    assert (found.without_low, found.without_high) == pytest.approx((min(left_out), max(left_out)))
    assert (found.n_models, found.n_families) == (25, 6)
    assert found.effective == pytest.approx(effective)


def test_pearson_leaves_infinite_models_out_and_their_families_too():
    kin = Families.of(list("aabbccddeefg"))
    x, y = drawn(3, kin)
    y[-1] = np.inf
    found = correlated(PEARSON, x, y, kin)
    assert (found.n_models, found.n_families) == (11, 6)
    assert found.value == pytest.approx(stats.pearsonr(x[:-1], y[:-1]).statistic)
    assert correlated(SPEARMAN, x, y, kin).n_models == 12


@pytest.mark.parametrize("one", [PEARSON, SPEARMAN], ids=lambda one: one.name)
def test_a_partial_correlation_is_that_of_statsmodels_residuals(one):
    kin = families(SIZES)
    x, y = drawn(4, kin)
    covariates = np.random.default_rng(5).standard_normal((25, 2)) + y[:, None]

    def of(chosen):
        sides = [x[chosen], y[chosen], covariates[chosen]]
        if one is SPEARMAN:
            sides = [stats.rankdata(side, axis=0) for side in sides]
        plane = sm.add_constant(sides[2])
        residuals = [sm.OLS(side, plane).fit().resid for side in sides[:2]]
        return stats.pearsonr(*residuals).statistic

    found = partly_correlated(one, x, y, covariates, kin)
    r = of(np.ones(25, dtype=bool))
    left_out = [of(kin.codes != g) for g in range(6)]
    assert found.value == pytest.approx(r, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(
        z_interval(r, left_out, found.effective - 1), rel=1e-8
    )


def test_a_partial_correlation_is_undefined_where_covariates_explain_a_side():
    kin = families(SIZES)
    x, y = drawn(6, kin)
    assert partly_correlated(PEARSON, x, y, np.column_stack([x, x]), kin).value is None
    few = np.eye(25)[:, :24]
    assert partly_correlated(PEARSON, x, y, few, kin).value is None


@pytest.mark.parametrize("n", [0, 1, 2])
def test_of_hardly_any_models_nothing_is_said(n):
    kin = Families.of(["a"] * n)
    found = correlated(SPEARMAN, np.arange(n) * 1.0, np.arange(n) * 1.0, kin)
    assert (found.value, found.low, found.n_models) == (None, None, n)
    partial = partly_correlated(PEARSON, np.arange(n) * 1.0, np.ones(n), np.ones((n, 1)), kin)
    assert partial.value is None


def test_models_of_one_value_have_no_correlation():
    kin = families([2] * 6)
    assert correlated(KENDALL, np.arange(12.0), np.ones(12), kin).value is None
