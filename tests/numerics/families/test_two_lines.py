"""The two-lines test: its slopes are statsmodels', it finds a rise and fall, and no other curve."""

import numpy as np
import pytest
import statsmodels.api as sm

from tests.numerics.families.planted import families
from zoo_eval.numerics.families.two_lines import FEWEST_VALUES, two_lines

KIN = families([5] * 24)


def zoo(curve, seed, noise=0.05):
    rng = np.random.default_rng(seed)
    x = 1 / (1 + np.exp(-rng.standard_normal(24)[KIN.codes] - rng.standard_normal(120)))
    level = rng.standard_normal(24)[KIN.codes]
    return x, curve(x) + noise * (0.7 * level + 0.7 * rng.standard_normal(120))


def hump(x):
    return np.where(x < 0.6, x, 1.2 - x)


def test_the_slopes_are_those_of_a_regression_on_either_side():
    x, y = zoo(hump, 0)
    found = two_lines(x, y, KIN)
    for side, one in ((x <= found.where, found.before), (x >= found.where, found.after)):
        fitted = sm.OLS(y[side], sm.add_constant(x[side])).fit()
        assert one.value == pytest.approx(fitted.params[1], rel=1e-8)
        assert one.n_models == side.sum()
    assert found.p_value == max(found.before.p_value, found.after.p_value)
    assert 0.4 < found.where < 0.75


def test_it_says_so_of_what_rises_and_falls():
    assert np.mean([two_lines(*zoo(hump, seed), KIN).p_value <= 0.05 for seed in range(30)]) > 0.9


@pytest.mark.parametrize(
    "curve", [lambda x: x, lambda x: 1 - np.exp(-5 * x), np.log, lambda x: np.minimum(x, 0.5)],
    ids=["linear", "saturating", "log", "plateau"],
)  # fmt: skip
def test_it_seldom_says_so_of_what_only_rises(curve):
    said = [
        found.p_value is not None and found.p_value <= 0.05
        for seed in range(100)
        if (found := two_lines(*zoo(curve, seed), KIN))
    ]
    # At 5 %, more than 12 of 100 by chance has a probability of 0.2 %.
    assert len(said) == 100
    assert sum(said) <= 12


def test_what_falls_then_rises_is_not_it():
    x, y = zoo(hump, 1)
    found = two_lines(x, -y, KIN)
    assert found.p_value in (None, 1.0)


def test_units_do_not_matter():
    x, y = zoo(hump, 2)
    one, other = two_lines(x, y, KIN), two_lines(100 * x, 7 * y - 3, KIN)
    assert other.where == pytest.approx(100 * one.where)
    assert other.p_value == pytest.approx(one.p_value, rel=1e-6)
    assert other.after.value == pytest.approx(0.07 * one.after.value)


def test_few_families_on_one_side_leave_it_undecided():
    kin = families([30] * 4)
    x, y = zoo(hump, 3)
    found = two_lines(x, y, kin)
    assert found.p_value is None
    assert "too few families" in found.undecided
    assert two_lines(x, y, families([120])).p_value is None


@pytest.mark.parametrize("x", [[0.5] * 120, [0.1, 0.2, 0.3] * 40])
def test_few_values_have_no_test(x):
    _, y = zoo(hump, 4)
    assert FEWEST_VALUES == 8
    assert two_lines(np.array(x), y, KIN) is None
    assert two_lines(np.linspace(0, 1, 120), np.ones(120), KIN) is None
