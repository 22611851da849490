"""Each shape finds itself again, and is the best at telling families that it has not seen."""

import numpy as np
import pytest
from scipy.optimize import curve_fit
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

from tests.numerics.families.planted import families
from zoo_eval.numerics.families.shapes import (
    LINE,
    POWER,
    SHAPES,
    TWO_LINES,
    hinged,
    mean_over_families,
    unseen_errors,
)

KIN = families([6, 5, 5, 4, 4, 3, 3])
X = np.random.default_rng(0).permutation(np.linspace(0, 1, 30))
TRUTHS = {
    LINE: 0.2 + 0.5 * X,
    POWER: 0.6 - 0.4 * (1 + X) ** -8.0,
    TWO_LINES: 0.2 + X - 2 * np.maximum(X - 0.5, 0),
}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda one: one.name)
def test_a_shape_tells_its_own_curve_best(shape):
    y = TRUTHS[shape] + 0.005 * np.random.default_rng(1).standard_normal(30)
    errors = {one: unseen_errors(one, X, y, KIN).mean() for one in SHAPES}
    assert errors[shape] <= min(errors.values()) * 1.3
    assert errors[shape] < 5 * 0.005**2


def test_errors_of_the_line_are_scikit_learns_on_groups_left_out():
    y = TRUTHS[POWER]
    predicted = cross_val_predict(
        LinearRegression(), X[:, None], y, cv=LeaveOneGroupOut(), groups=KIN.codes
    )
    assert unseen_errors(LINE, X, y, KIN) == pytest.approx((y - predicted) ** 2)


def test_the_power_law_is_near_scipys_fit():
    y = 0.6 - 0.4 * (1 + X) ** -5.3 + 0.01 * np.random.default_rng(2).standard_normal(30)
    curve = lambda x, a, b, c: a - b * (1 + x) ** -c  # noqa: E731
    best = curve_fit(curve, X, y, p0=(0.6, 0.4, 4))[0]
    assert POWER.fitted(X, y)(X) == pytest.approx(curve(X, *best), abs=0.005)


def test_a_hinge_changes_slope_and_nothing_else():
    terms = hinged(np.array([0.0, 0.4, 0.5, 0.9]), 0.4)
    assert terms @ [1, 2, -3] == pytest.approx([1, 1.8, 1.7, 1.3])


def test_a_mean_by_family_weighs_models():
    values = np.arange(30.0)
    found = mean_over_families(values, KIN)
    assert found.value == 14.5
    others = [values[KIN.codes != g].mean() for g in range(7)]
    assert (found.without_low, found.without_high) == pytest.approx((min(others), max(others)))
    assert mean_over_families(np.empty(0), families([])).value is None
