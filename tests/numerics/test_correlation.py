"""Pearson r, column by column, equals SciPy's; constants are NaN and never count."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import pearsonr

from tests.rounding import float64_correlation, float64_products
from zoo_eval.numerics.correlation import median_defined, pearson


@given(st.integers(0, 10**6), st.integers(3, 40), st.integers(1, 5), st.floats(-1e3, 1e3))
def test_it_equals_scipy(seed, rows, targets, shift):
    rng = np.random.default_rng(seed)
    predicted = rng.standard_normal((2, rows, targets)) + shift
    observed = rng.standard_normal((rows, targets)) - shift
    found = pearson(torch.from_numpy(predicted), torch.from_numpy(observed))
    expected = [
        [pearsonr(p[:, t], observed[:, t]).statistic for t in range(targets)] for p in predicted
    ]
    assert found.shape == (2, targets)
    # Three values may lie closer together than the spread of 1 that they were drawn with.
    spread = min(np.ptp(predicted, axis=1).min(), np.ptp(observed, axis=0).min()) / 2
    shift = (abs(shift) + 5) / spread
    assert_allclose(found, expected, rtol=0, atol=float64_correlation(rows, shift))


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6])
def test_a_constant_side_is_nan_and_only_its_own_column(constant):
    varied = torch.from_numpy(np.random.default_rng(0).standard_normal((30, 3)))
    with_constant = varied.clone()
    with_constant[:, 1] = constant
    for r in (pearson(with_constant, varied), pearson(varied, with_constant)):
        assert r.isnan().tolist() == [False, True, False]
        assert_allclose(r[[0, 2]], 1, rtol=float64_correlation(30))


@pytest.mark.parametrize("rows", range(3, 40))
def test_a_constant_is_recognised_even_where_its_mean_is_rounded(rows):
    # The mean of 0.1 repeated is often not 0.1, which leaves a spread made of rounding.
    constant = torch.full((rows, 1), 0.1, dtype=torch.float64)
    varied = torch.arange(rows, dtype=torch.float64)[:, None]
    assert pearson(varied, constant).isnan().all()
    assert pearson(constant, varied).isnan().all()


def test_a_nan_prediction_gives_nan():
    varied = torch.arange(5.0)[:, None]
    broken = varied.clone()
    broken[2] = torch.nan
    assert pearson(broken, varied).isnan().all()


def test_rounding_never_leaves_the_interval_of_correlations():
    values = torch.from_numpy(np.random.default_rng(0).standard_normal((7, 500)) * 1e-8 + 1)
    assert pearson(values, values).max() <= 1
    assert pearson(-values, values).min() >= -1


@pytest.mark.parametrize(
    ("r", "expected"),
    [
        ([0.1, 0.5, 0.2], 0.2),
        ([0.1, 0.5], 0.3),
        ([0.1, float("nan"), 0.5, 0.2], 0.2),
        ([float("nan")] * 3, None),
        ([], None),
    ],
)
def test_the_median_is_over_defined_values(r, expected):
    found = median_defined(torch.tensor(r, dtype=torch.float64))
    assert found == (None if expected is None else pytest.approx(expected, rel=float64_products(2)))
