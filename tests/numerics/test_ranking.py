"""Rankings equal NumPy's stable argsort and SciPy's rankdata, also where buckets are crowded."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.stats import rankdata

from zoo_eval.numerics.ranking import ranking


def check(values):
    found = ranking(torch.from_numpy(values))
    assert_array_equal(found.order, np.argsort(values, kind="stable"))
    assert_array_equal(found.lowest, rankdata(values, "min") - 1)
    assert_array_equal(found.mean_ranks(), rankdata(values) - 1)
    sizes = np.unique(values, return_counts=True)[1]
    assert found.n_tied_pairs == (sizes * (sizes - 1) // 2).sum()


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=40))
def test_any_values(values):
    check(np.array(values))


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=60))
def test_many_ties(values):
    check(np.array(values, dtype=np.float64))


@pytest.mark.parametrize("n_values", [2, 1000, 100_000])
def test_values_without_ties(n_values):
    check(np.random.default_rng(0).standard_normal(n_values))


def test_values_closer_than_a_bucket_are_put_in_order():
    # An outlier makes every bucket 2^-43 of 10^6 wide, so the others share one.
    values = np.random.default_rng(0).permutation(np.arange(500)) * 1e-12
    check(np.append(values, 1e6))
    check(np.append(np.repeat(values, 2), 1e6))


@pytest.mark.parametrize("values", [[0.0, 5e-324, 0.0], [-1e308, 1e308, 0.0], [2.0, 2.0]])
def test_ranges_that_floating_point_cannot_divide(values):
    check(np.array(values))
