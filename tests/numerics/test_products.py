"""Products of float32 features are those of float64 within the stated bound."""

import pytest
import torch

from tests.rounding import FLOAT32, OF_OFFSETS, OF_PRODUCTS, SCORE, assert_within, float64_products
from zoo_eval.numerics.pls import fit_paths
from zoo_eval.numerics.products import (
    FEW,
    PRODUCT_COLUMNS,
    cross_products,
    moments,
    restore_offset_,
)


def products(x, y):
    return cross_products(x, torch.zeros(x.shape[1]), y)


def features(n, n_features, mean=0.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    base = mean * torch.rand(n_features, generator=generator)
    return base + torch.randn(n, n_features, generator=generator)


@pytest.mark.parametrize("n_features", [1, 1000, 1025, FEW])
def test_few_features_are_multiplied_in_float64(n_features):
    x, y = features(9, n_features, mean=1e3), features(4, n_features, seed=1)
    found = products(x, y)
    assert found.dtype == torch.float64
    x, y = x.double(), y.double()
    assert_within(found, x @ y.T, 2 * float64_products(n_features) * x.abs() @ y.abs().T)


@pytest.mark.parametrize("n_features", [FEW + 1, 3 * PRODUCT_COLUMNS, 100_003])
def test_many_features_are_within_a_millionth_of_their_norms(n_features):
    # All of one sign is the worst case: partial sums grow, and so does what rounds off.
    for x in (features(30, n_features), features(30, n_features).abs()):
        exact = x.double() @ x.double().T
        norms = x.double().norm(dim=1)
        error = (products(x, x) - exact).abs() / norms[:, None] / norms
        assert float(error.max()) < OF_PRODUCTS


@pytest.mark.parametrize("power", [0.75, 1.0])
def test_a_few_features_that_hold_most_of_the_variance_drown_no_others(power):
    n_features = 20_000
    order = torch.randperm(n_features, generator=torch.Generator().manual_seed(3))
    x = features(200, n_features) * (1 + order) ** -power
    exact = x.double() @ x.double().T
    norms = exact.diagonal().sqrt()

    def worst(found):
        return float(((found - exact).abs() / norms[:, None] / norms).max())

    # The witness can tell: in float32 alone it is worse.
    alone = sum(
        (x[:, some] @ x[:, some].T).double()
        for some in torch.arange(n_features).split(PRODUCT_COLUMNS)
    )
    assert worst(products(x, x)) < min(OF_PRODUCTS, worst(alone) / 2)


def test_slices_of_a_larger_array_are_multiplied_in_place():
    x = features(20, 3 * PRODUCT_COLUMNS)
    found = products(x[3:7], x[:7])
    x = x.double()
    bound = OF_PRODUCTS * x[3:7].norm(dim=1)[:, None] * x[:7].norm(dim=1)
    assert_within(found, x[3:7] @ x[:7].T, bound)


@pytest.mark.parametrize("n_features", [50, 8000, 40_001])
def test_moments_are_as_precise_as_products(n_features):
    bound = OF_OFFSETS if n_features > FEW else 2 * float64_products(n_features)
    x, offset = features(7, n_features), features(1, n_features, mean=1e4, seed=1)[0]
    found = moments(x, offset)
    rest, exact_offset = (x - offset).double(), offset.double()
    lengths = rest.norm(dim=1)
    error = (found.along_offset - rest @ exact_offset).abs() / lengths / exact_offset.norm()
    assert float(error.max()) < bound
    error = (found.sums - rest.sum(1)).abs() / lengths / n_features**0.5
    assert float(error.max()) < bound


@pytest.mark.parametrize("mean", [0.0, 1.0, 1e3])
def test_an_offset_taken_out_and_restored_keeps_what_a_mean_would_drown(mean):
    n, n_features = 40, 30_000
    x = features(n, n_features, mean)
    offset = x[::10].mean(0)
    rest = x - offset
    gram = cross_products(x, offset, rest).tril()
    along = moments(x, offset).along_offset
    restore_offset_(gram, along, float(offset.double() @ offset.double()))
    exact = x.double() @ x.double().T
    assert torch.equal(gram, gram.T)
    spread, length = (side.double().norm(dim=1).max() for side in (rest, offset[None]))
    # Half a unit in the last place is lost where the offset is subtracted.
    of_products = (OF_PRODUCTS + 2 * FLOAT32) * spread**2
    bound = of_products + 2 * (OF_OFFSETS + FLOAT32) * spread * length
    assert_within(gram, exact, bound + float64_products(n_features) * exact.diagonal().max())
    centring = torch.eye(n, dtype=torch.float64) - 1 / n
    centred = centring @ exact @ centring
    error = (centring @ gram @ centring - centred).abs().max()
    assert error < of_products
    if mean == 1e3:
        without = centring @ products(x, x) @ centring
        # The witness can tell: float32 products of the same features lose the spread.
        assert (without - centred).abs().max() > 1e-3 * centred.diagonal().max()


@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_pls_from_them_agrees_in_r_to_a_millionth(mean):
    n, n_features, n_components = 120, 20_000, 25
    generator = torch.Generator().manual_seed(2)
    # A spectrum that falls as those of layers do, so that the last components are small.
    latent = torch.randn(n, 60, generator=generator) * torch.arange(1, 61) ** -0.5
    x = latent @ torch.randn(60, n_features, generator=generator) + 0.1 * features(n, n_features)
    x = x + mean * torch.rand(n_features, generator=generator)
    responses = torch.randn(n, 8, generator=generator, dtype=torch.float64) + latent[:, :8]
    training = torch.arange(n) >= 30
    offset = x[::40].mean(0)
    gram = cross_products(x, offset, x - offset).tril()
    restore_offset_(gram, moments(x, offset).along_offset, float(offset.double().square().sum()))
    test = torch.arange(30)

    def r(kernel):
        path = fit_paths(kernel, responses, training[None], n_components)
        pair = torch.stack([path.predictions(0, test, n_components), responses[:30]])
        pair = pair - pair.mean(1, keepdim=True)
        return (pair[0] * pair[1]).sum(0) / pair.norm(dim=1).prod(0)

    exact = r(x.double() @ x.double().T)
    assert (exact > 0.1).any()
    assert float((r(gram) - exact).abs().max()) < SCORE
    if mean:
        # The witness can tell: without an offset, float32 products do not get there.
        assert float((r(products(x, x)) - exact).abs().max()) > 1e-4
