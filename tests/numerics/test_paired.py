"""Paired differences are SciPy's; infinite values are counted, not averaged."""

import numpy as np
import pytest
from scipy import stats

from zoo_eval.numerics.paired import paired


def test_mean_interval_and_p_are_scipys():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 9))
    found = paired(first + 0.5, second)
    classical = stats.ttest_rel(first + 0.5, second)
    assert found.mean == pytest.approx((first + 0.5 - second).mean())
    assert (found.low, found.high) == pytest.approx(tuple(classical.confidence_interval()))
    # 2^9 swaps: all are looked at.
    signs = np.array(np.meshgrid(*[[1, -1]] * 9)).reshape(9, -1)
    apart = first + 0.5 - second
    means = np.abs((signs * apart[:, None]).mean(0))
    assert found.p_value == pytest.approx(np.mean(means >= abs(apart.mean()) * (1 - 1e-12)))


def test_missing_values_go_with_their_partners():
    found = paired(np.array([1.0, 2, np.nan, 4, 5, 6, 7]), np.array([0.0, 1, 2, np.nan, 3, 5, 5]))
    assert (found.n, found.mean) == (5, pytest.approx(1.4))


def test_infinite_values_have_a_sign_test():
    first, second = np.array([np.inf, 2, 3, np.inf, 5, 6]), np.array([1.0, 1, 1, np.inf, 1, 9])
    found = paired(first, second)
    assert (found.mean, found.low, found.larger, found.smaller, found.n_infinite) == (
        None,
        None,
        4,
        1,
        2,
    )
    assert found.p_value == pytest.approx(stats.binomtest(4, 5).pvalue)
    alike = paired(np.full(6, np.inf), np.full(6, np.inf))
    assert (alike.p_value, alike.larger) == (1.0, 0)


def test_few_things_or_equal_differences_have_no_interval():
    few = paired(np.arange(4.0), np.zeros(4))
    assert (few.mean, few.low, few.p_value) == (1.5, None, None)
    assert few.no_interval == "an interval takes 5 of them"
    same = paired(np.arange(6.0) + 1, np.arange(6.0))
    assert (same.mean, same.low) == (1.0, None)
    assert same.p_value == pytest.approx(2 / 2**6)
    assert paired(np.arange(6.0), np.arange(6.0)).p_value == 1.0
    assert paired(np.empty(0), np.empty(0)).mean is None
