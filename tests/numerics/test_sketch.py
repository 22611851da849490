"""Sketches keep products on average, within the bound, and depend on nothing but their seed."""

import numpy as np
import pytest
import torch

from tests.rounding import OF_OFFSETS, assert_within, float32_products
from zoo_eval.numerics.sketch import count_sketch


def sketched(sketch, x):
    return sketch(x, torch.zeros(x.shape[1])).codes


def vectors(n, n_features, seed=0):
    return torch.randn(n, n_features, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n_dims", [100, 16_384])
def test_the_features_moments_come_with_their_sketches(n_dims):
    x, offset = vectors(21, 40_000), 10 + vectors(1, 40_000, seed=3)[0]
    found = count_sketch(40_000, n_dims, seed=0)(x, offset).moments
    deviations = (x - offset).double()
    lengths = deviations.norm(dim=1)
    error = found.along_offset - deviations @ offset.double()
    assert (error / lengths / offset.double().norm()).abs().max() < OF_OFFSETS
    assert ((found.sums - deviations.sum(1)) / lengths / 200).abs().max() < OF_OFFSETS


@pytest.mark.parametrize("n_features", [1, 7, 8, 9, 16, 45])
def test_every_feature_goes_to_one_dimension_with_a_sign(n_features):
    # The sketches of unit vectors are the rows of the matrix that it multiplies with.
    matrix = sketched(count_sketch(n_features, 8, seed=1), torch.eye(n_features))
    assert matrix.shape == (n_features, 8)
    assert (matrix.abs().sum(1) == 1).all()
    assert set(matrix.flatten().tolist()) <= {-1.0, 0.0, 1.0}
    for start in range(0, n_features, 8):
        assert (matrix[start : start + 8].abs().sum(0) <= 1).all()  # none collide in a block


def test_a_sketch_is_the_product_with_its_matrix():
    sketch, x = count_sketch(45, 8, seed=2), vectors(6, 45)
    matrix = sketched(sketch, torch.eye(45))
    # Each dimension gets at most one feature of each block of eight, in float32.
    bound = 2 * float32_products(6) * (x.abs() @ matrix.abs())
    assert_within(sketched(sketch, x), x @ matrix, bound)
    offset = vectors(1, 45, seed=1)[0]
    bound = 2 * float32_products(6 + 1) * ((x.abs() + offset.abs()) @ matrix.abs())
    assert_within(sketch(x, offset).codes, (x - offset) @ matrix, bound)


def test_features_that_fit_in_the_dimensions_keep_their_products():
    x = vectors(5, 30)
    code = sketched(count_sketch(30, 32, seed=0), x)
    assert_within(code @ code.T, x @ x.T, 2 * float32_products(32) * x.abs() @ x.abs().T)


@pytest.mark.parametrize("alike", [0.0, 0.9])
def test_products_are_unbiased_and_their_variance_is_within_the_bound(alike):
    n_features, n_dims, n_seeds = 1000, 64, 1500
    x, other = vectors(2, n_features).double()
    y = alike * x + (1 - alike**2) ** 0.5 * other
    pair = torch.stack([x, y]).float()
    products = []
    for seed in range(n_seeds):
        s, t = sketched(count_sketch(n_features, n_dims, seed), pair).double()
        products.append(float(s @ t))
    exact = float(x @ y)
    bound = (float(x @ x) * float(y @ y) + exact**2) / n_dims
    # Five standard errors: one run in two million fails by chance.
    assert abs(np.mean(products) - exact) < 5 * (bound / n_seeds) ** 0.5
    # The estimate of a variance from n normal draws has a standard error of sqrt(2 / n).
    within = 5 * (2 / n_seeds) ** 0.5
    assert 0.5 < np.var(products) / bound < 1 + within


def test_signs_and_shifts_are_even():
    sketch = count_sketch(200_000, 100, seed=0)
    assert abs(float(sketch.signs.mean())) < 5 / 200_000**0.5
    counts = np.bincount(sketch.shifts, minlength=100)
    # Chi-square with 99 degrees of freedom: mean 99, standard deviation sqrt(198).
    assert abs(((counts - 20) ** 2 / 20).sum() - 99) < 5 * 198**0.5


def test_a_row_is_sketched_alike_alone_and_among_others():
    x, sketch = vectors(9, 5000), count_sketch(5000, 128, seed=4)
    together = sketched(sketch, x)
    for rows in (slice(0, 1), slice(2, 9)):
        assert torch.equal(sketched(sketch, x[rows]), together[rows])


def test_a_sketch_is_determined_by_its_seed_and_size():
    x = vectors(3, 300)
    first = sketched(count_sketch(300, 32, seed=5), x)
    torch.manual_seed(1)
    np.random.seed(1)
    assert torch.equal(sketched(count_sketch(300, 32, seed=5), x), first)
    assert not torch.equal(sketched(count_sketch(300, 32, seed=6), x), first)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_sketch_is_the_same_on_a_gpu():
    x = vectors(3, 3000)
    cuda = torch.device("cuda")
    offset = vectors(1, 3000, seed=1)[0]
    found = count_sketch(3000, 128, seed=5, device=cuda)(x.to(cuda), offset.to(cuda)).codes
    expected = count_sketch(3000, 128, seed=5)(x, offset).codes
    bound = 2 * float32_products(24) * 24 * float(x.abs().max() + offset.abs().max())
    assert_within(found.cpu(), expected, torch.full_like(expected, bound))
