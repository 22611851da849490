"""Procrustes measures from Gram matrices equal SciPy's on the features, also for low rank."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.linalg import orthogonal_procrustes, svdvals
from scipy.stats import ortho_group

from tests.rounding import float64_products, float64_solution
from zoo_eval.numerics.procrustes import factor, nuclear_norm, procrustes_distance, shape_similarity

# Lengths are roots of eigenvalues, and so are their errors where an eigenvalue is next to zero. The
# features' mean is three spreads from zero.
ROOTED = float64_products(100, 3.0**2) ** 0.5
SHAPES = [(40, 15, 25), (40, 60, 15), (30, 80, 100), (60, 60, 60)]


def pair(n, p, q, *, mean=3.0, decay=1.0, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, 8))
    x = shared @ rng.standard_normal((8, p)) * np.arange(1, p + 1) ** -decay
    y = shared @ rng.standard_normal((8, q)) + rng.standard_normal((n, q))
    return x + 0.1 * rng.standard_normal((n, p)) + mean, y - mean


def factors(x, y):
    return factor(torch.from_numpy(x @ x.T)), factor(torch.from_numpy(y @ y.T))


def centred(*sides):
    return tuple(side - side.mean(0) for side in sides)


@pytest.mark.parametrize(("n", "p", "q"), SHAPES)
def test_the_nuclear_norm_is_that_of_the_features(n, p, q):
    x, y = pair(n, p, q)
    a, b = centred(x, y)
    expected = svdvals(a.T @ b).sum()
    assert nuclear_norm(*factors(x, y)) == pytest.approx(expected, rel=ROOTED)


@pytest.mark.parametrize(("n", "p", "q"), SHAPES)
def test_the_distance_is_what_the_best_rotation_leaves(n, p, q):
    x, y = pair(n, p, q)
    a, b = centred(x, y)
    width = max(p, q)
    a, b = (np.pad(side, [(0, 0), (0, width - side.shape[1])]) for side in (a, b))
    rotation, _ = orthogonal_procrustes(b, a)
    expected = np.linalg.norm(a - b @ rotation)
    assert procrustes_distance(*factors(x, y)) == pytest.approx(expected, rel=ROOTED)


def test_the_similarity_is_the_cosine_after_the_best_rotation():
    x, y = pair(50, 30, 30)
    a, b = (side / np.linalg.norm(side) for side in centred(x, y))
    rotation, total = orthogonal_procrustes(b, a)
    found = shape_similarity(*factors(x, y))
    assert found == pytest.approx(total, rel=ROOTED)
    assert found == pytest.approx((a * (b @ rotation)).sum(), rel=ROOTED)


def test_null_components_add_nothing():
    # Rank 2 among 200 stimuli: the square roots of 197 eigenvalues of rounding would add up.
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 200, 2))
    x = x @ rng.standard_normal((2, 5000)) + 10
    assert factors(x, y)[0].shape == (200, 2)
    a, b = centred(x, y)
    expected = svdvals(a.T @ b).sum()
    assert nuclear_norm(*factors(x, y)) == pytest.approx(
        expected, rel=float64_solution(5000, 10**2)
    )


def test_a_factor_gives_back_the_centred_gram_matrix():
    (x, _), (a, _) = pair(40, 60, 15), centred(*pair(40, 60, 15))
    found = factor(torch.from_numpy(x @ x.T))
    rounding = 4 * float64_products(60 + 2 * 40, (x**2).sum(1).max()) * 40**0.5
    assert_allclose(found @ found.T, a @ a.T, rtol=0, atol=rounding)


def test_rotation_scale_translation_and_stimulus_order_do_not_matter():
    x, y = pair(40, 20, 25)
    expected = shape_similarity(*factors(x, y))
    order = np.random.default_rng(1).permutation(len(x))
    rotated = x @ ortho_group.rvs(20, random_state=0)
    for one, other in [(rotated, y), (5 * x, 0.1 * y), (x + 30, y), (x[order], y[order]), (y, x)]:
        assert shape_similarity(*factors(one, other)) == pytest.approx(expected, rel=ROOTED)
    assert abs(shape_similarity(*factors(x[order], y)) - expected) > 0.01
    assert shape_similarity(*factors(x, 2 * rotated + 1)) == pytest.approx(1, rel=0, abs=ROOTED)
    assert procrustes_distance(*factors(x, rotated)) < ROOTED**0.5 * np.linalg.norm(x)


def test_constant_features_have_no_shape():
    x, y = pair(20, 10, 10)
    constant, other = factors(np.full_like(x, 0.1) * np.arange(10), y)
    assert constant.shape == (20, 0)
    assert np.isnan(shape_similarity(constant, other))
    expected = np.linalg.norm(y - y.mean(0))
    assert procrustes_distance(constant, other) == pytest.approx(expected, rel=ROOTED)


def test_a_matrix_with_negative_eigenvalues_is_an_error():
    with pytest.raises(ValueError, match="no Gram matrix"):
        factor(-torch.eye(5, dtype=torch.float64))
