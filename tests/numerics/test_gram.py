"""Centring a Gram matrix by training rows equals centring the features."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from tests.numerics.regression import problem
from tests.rounding import float64_products
from zoo_eval.numerics.gram import centred_blocks, effective_dim


@pytest.mark.parametrize("mean", [0, 100])
@pytest.mark.parametrize(("n", "p"), [(40, 200), (200, 40)])
def test_blocks_equal_those_of_explicitly_centred_features(n, p, mean):
    given = problem(n=n, p=p, targets=1, mean=mean)
    centre = given.features[given.train].mean(0)
    train, test = given.features[given.train] - centre, given.features[given.test] - centre
    inner, cross = given.blocks()
    # An entry and the three means taken from it, each a sum over features.
    rounding = 4 * float64_products(p + 2 * n, (given.features**2).sum(1).max())
    assert_allclose(inner, train @ train.T, rtol=0, atol=rounding)
    assert_allclose(cross, test @ train.T, rtol=0, atol=rounding)


@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(1, 6))
def test_training_rows_of_centred_blocks_sum_to_zero(seed, n_train, n_test):
    n = n_train + n_test
    features = torch.from_numpy(np.random.default_rng(seed).standard_normal((n, 5)))
    order = torch.from_numpy(np.random.default_rng(seed).permutation(n))
    inner, cross = centred_blocks(features @ features.T, order[:n_train], order[n_train:])
    assert inner.shape == (n_train, n_train)
    assert cross.shape == (n_test, n_train)
    rounding = n_train * 4 * float64_products(5 + 2 * n, float((features**2).sum(1).max()))
    assert_allclose(inner.sum(0), 0, rtol=0, atol=rounding)
    assert_allclose(cross.sum(1), 0, rtol=0, atol=rounding)


def test_centring_by_training_rows_differs_from_centring_by_all_rows():
    given = problem(n=40, p=20, targets=1)
    centred = given.features - given.features.mean(0)
    inner, _ = given.blocks()
    assert (
        np.abs(inner.numpy() - (centred @ centred.T)[np.ix_(given.train, given.train)]).max() > 0.01
    )


@pytest.mark.parametrize(("n", "p"), [(40, 200), (200, 40)])
def test_the_effective_dimension_follows_from_the_covariance_spectrum(n, p):
    given = problem(n=n, p=p, targets=1, mean=5)
    features = given.features
    values = np.linalg.eigvalsh(np.cov(features.T))
    expected = values.sum() ** 2 / (values**2).sum()
    found = effective_dim(torch.from_numpy(features @ features.T))
    assert found == pytest.approx(expected, rel=given.rounding())


def test_equal_variances_have_their_number_as_effective_dimension():
    # The rows of a centred simplex in 7 dimensions: 7 equal variances.
    corners = torch.eye(8, dtype=torch.float64)
    assert effective_dim(corners @ corners.T) == pytest.approx(7, rel=float64_products(8 * 8))


def test_constant_features_have_no_effective_dimension():
    assert np.isnan(effective_dim(torch.ones(5, 5, dtype=torch.float64)))
