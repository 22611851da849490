"""sup-F: the change is where least squares has it, and p is that of a bootstrap written out."""

import numpy as np
import pytest
import statsmodels.api as sm

from tests.numerics.families.planted import families
from zoo_eval.numerics.families.change_point import WEBB, change_point
from zoo_eval.numerics.families.shapes import breaks, hinged

KIN = families([4] * 10)


def zoo(seed, change=0.0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=40)
    level = rng.standard_normal(10)[KIN.codes]
    return x, x + change * np.maximum(x - 0.5, 0) + 0.1 * level + 0.1 * rng.standard_normal(40)


def largest_f(at, y):
    line = sm.OLS(y, sm.add_constant(at)).fit()
    fits = [sm.OLS(y, hinged(at, where)).fit() for where in breaks(at)]
    return max((line.ssr - fit.ssr) / (fit.ssr / (len(y) - 3)) for fit in fits), line


def test_p_is_that_of_a_bootstrap_written_out():
    x, y = zoo(0, change=-1)
    found = change_point(x, y, KIN, n_resamples=39, seed=5)
    at = (x - x.min()) / np.ptp(x)
    observed, line = largest_f(at, y)
    drawn = np.random.default_rng(5).choice(WEBB.ravel(), size=(39, 10))
    others = [largest_f(at, line.fittedvalues + one[KIN.codes] * line.resid)[0] for one in drawn]
    assert found.p_value == (1 + sum(other >= observed for other in others)) / 40


def test_the_place_and_slopes_are_those_of_least_squares():
    x, y = zoo(1, change=-3)
    found = change_point(x, y, KIN, n_resamples=199)
    grid = np.linspace(0.2, 0.8, 601)
    best = min(grid, key=lambda where: sm.OLS(y, hinged(x, where)).fit().ssr)
    assert found.where == pytest.approx(best, abs=0.05)
    fitted = sm.OLS(y, hinged(x, found.where)).fit().params
    assert (found.before, found.after) == pytest.approx((fitted[1], fitted[1] + fitted[2]))
    assert found.p_value <= 0.05


def test_webbs_weights_have_mean_0_and_variance_1():
    assert WEBB.mean() == pytest.approx(0)
    assert (WEBB**2).mean() == pytest.approx(1)


def test_a_line_is_seldom_said_to_change():
    said = [change_point(*zoo(seed), KIN, n_resamples=99).p_value <= 0.05 for seed in range(150)]
    # At 7 %, more than 20 of 150 by chance has a probability of 0.2 %.
    assert sum(said) <= 20


def test_there_is_none_of_few_values_two_families_or_a_line():
    x, y = zoo(2)
    assert change_point(np.round(x), y, KIN) is None
    assert change_point(x, y, families([20, 20])) is None
    assert change_point(x, 2 * x + 1, KIN) is None
    assert change_point(x, np.ones(40), KIN) is None
