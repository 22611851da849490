"""CKA from Gram matrices equals its closed forms on features and on the definition of HSIC."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import ortho_group

from tests.rounding import float64_correlation
from zoo_eval.numerics.cka import cka, debiased_cka

BOTH = pytest.mark.parametrize("measure", [cka, debiased_cka])


def pair(*, n=40, p=60, q=25, mean=1.0, seed=0):
    """Two feature sets that share a quarter of their directions."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, 10))
    x = np.hstack([shared, rng.standard_normal((n, p - 10))]) + mean
    return x, shared @ rng.standard_normal((10, q)) + rng.standard_normal((n, q)) - mean


def grams(x, y):
    return torch.from_numpy(x @ x.T), torch.from_numpy(y @ y.T)


def hsic_unbiased(k, m):
    """Song et al. 2012, equation 5, term by term."""
    n = len(k)
    k, m = (np.where(np.eye(n, dtype=bool), 0, side) for side in (k, m))
    one = np.ones(n)
    terms = (
        np.trace(k @ m)
        + one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (one @ k @ m @ one)
    )
    return terms / (n * (n - 3))


@pytest.mark.parametrize("mean", [0, 1, 100])
@pytest.mark.parametrize(("n", "p", "q"), [(40, 60, 25), (200, 20, 30)])
def test_plain_cka_equals_the_closed_form_on_features(n, p, q, mean):
    x, y = pair(n=n, p=p, q=q, mean=mean)
    a, b = x - x.mean(0), y - y.mean(0)
    expected = np.linalg.norm(a.T @ b) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))
    rounding = float64_correlation(n * max(p, q), shift=mean)
    assert cka(*grams(x, y)) == pytest.approx(expected, rel=rounding)


@pytest.mark.parametrize("n", [4, 5, 40])
def test_debiased_cka_equals_the_definition_of_hsic(n):
    x, y = pair(n=n, mean=0)
    k, m = x @ x.T, y @ y.T
    expected = hsic_unbiased(k, m) / np.sqrt(hsic_unbiased(k, k) * hsic_unbiased(m, m))
    # What is left of the unbiased HSIC may be a hundredth of its terms.
    rounding = 100**2 * float64_correlation(n * 60)
    assert debiased_cka(*grams(x, y)) == pytest.approx(expected, rel=rounding)


def test_independent_features_have_debiased_cka_zero_on_average():
    rng = np.random.default_rng(0)
    draws = [rng.standard_normal((2, 30, 300)) for _ in range(100)]
    debiased = np.array([debiased_cka(*grams(x, y)) for x, y in draws])
    plain = np.array([cka(*grams(x, y)) for x, y in draws])
    assert abs(debiased.mean()) < 4 * debiased.std() / 10
    assert plain.min() > 0.8  # what the correction is for


@BOTH
def test_identical_features_have_one(measure):
    x, _ = pair()
    assert measure(*grams(x, 3 * x)) == pytest.approx(
        1, rel=0, abs=float64_correlation(40 * 60, shift=1)
    )


@BOTH
def test_rotation_scale_translation_and_stimulus_order_do_not_matter(measure):
    x, y = pair()
    expected = measure(*grams(x, y))
    order = np.random.default_rng(1).permutation(len(x))
    rotated = x @ ortho_group.rvs(x.shape[1], random_state=0)
    for one, other in [(rotated, y), (5 * x, 0.1 * y), (x + 30, y), (x[order], y[order]), (y, x)]:
        rounding = float64_correlation(40 * 60, shift=31)
        assert measure(*grams(one, other)) == pytest.approx(expected, rel=0, abs=rounding)
    assert abs(measure(*grams(x[order], y)) - expected) > 0.01


@BOTH
def test_constant_features_have_none(measure):
    x, y = pair()
    assert np.isnan(measure(*grams(np.full_like(x, 0.1) * np.arange(60), y)))
    assert np.isnan(measure(*grams(x, np.zeros_like(y))))


@BOTH
def test_gram_matrices_are_left_as_they_were(measure):
    x, y = grams(*pair())
    before = x.clone(), y.clone()
    measure(x, y)
    assert_allclose(x, before[0], rtol=0)
    assert_allclose(y, before[1], rtol=0)


def test_three_stimuli_are_too_few_to_debias():
    with pytest.raises(ValueError, match="at least four stimuli, got 3"):
        debiased_cka(*grams(*pair(n=3)))
