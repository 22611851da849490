"""Maps at a grid, halved, quartered and compared: beside loops, PyTorch and SciPy."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import spearmanr
from torch.nn import functional

from tests.rounding import float64_products
from zoo_eval.numerics import spatial


def maps(n_images, n_rows, n_columns, n_features, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal((n_images, n_rows, n_columns, n_features)))


def looped_block_means(values, n_rows, n_columns):
    """By loops over blocks, as the study's code cuts them."""
    size = values.shape[1:3]
    found = np.zeros((len(values), n_rows, n_columns, values.shape[3]))
    for a in range(n_rows):
        for b in range(n_columns):
            top, bottom = int(a * size[0] / n_rows), int((a + 1) * size[0] / n_rows)
            left, right = int(b * size[1] / n_columns), int((b + 1) * size[1] / n_columns)
            found[:, a, b] = values[:, top:bottom, left:right].mean((1, 2))
    return found


@pytest.mark.parametrize("size", [1, 2, 7, 14, 16])
def test_fewer_positions_are_interpolated_as_pytorch_does(size):
    # Weights are rounded as places are, which are as large as the axis.
    given = maps(2, size, size, 3)
    expected = functional.interpolate(
        given.permute(0, 3, 1, 2), (17, 17), mode="bilinear", align_corners=False
    )
    found = spatial.on_grid(given, (17, 17))
    assert_allclose(
        found, expected.permute(0, 2, 3, 1), rtol=0, atol=float64_products(8, 5.0 * size)
    )


@pytest.mark.parametrize("size", [18, 28, 56, 61])
def test_more_positions_are_averaged_block_by_block(size):
    given = maps(2, size, size, 3)
    expected = looped_block_means(given.numpy(), 17, 17)
    found = spatial.on_grid(given, (17, 17))
    assert_allclose(found, expected, rtol=0, atol=float64_products(20, 5.0))


def test_as_many_positions_are_left_as_they_are():
    given = maps(2, 9, 9, 3)
    assert torch.equal(spatial.on_grid(given, (9, 9)), given)


def test_axes_are_resampled_each_in_its_own_way():
    given = maps(1, 4, 20, 2)
    rows = functional.interpolate(
        given.permute(0, 3, 1, 2), (9, 20), mode="bilinear", align_corners=False
    ).permute(0, 2, 3, 1)
    expected = looped_block_means(rows.numpy(), 9, 5)
    assert_allclose(
        spatial.on_grid(given, (9, 5)), expected, rtol=0, atol=float64_products(20, 20.0)
    )


@pytest.mark.parametrize(
    ("size", "edges"), [(17, [0, 4, 8, 12, 17]), (9, [0, 4, 9]), (16, [0, 4, 8, 12, 16])]
)
def test_a_quarter_uses_every_position_once(size, edges):
    assert spatial.edges(size, size // 4) == edges
    one = maps(1, size, size, 1)[..., 0]
    quarter = spatial.quarter(one)
    expected = looped_block_means(one[..., None].numpy(), size // 4, size // 4)[..., 0]
    assert_allclose(quarter, expected, rtol=0, atol=float64_products(25, 5.0))


def test_a_sampled_quarter_is_pytorchs_interpolation_without_antialiasing():
    one = maps(3, 17, 17, 1)[..., 0]
    expected = functional.interpolate(one[None], (4, 4), mode="bilinear", align_corners=False)[0]
    assert_allclose(spatial.quarter_sampled(one), expected, rtol=0, atol=float64_products(8, 85.0))
    # It looks at 4 x 4 positions around its centres, so that changing the corner changes nothing.
    changed = one.clone()
    changed[:, 0, 0] += 100
    assert torch.equal(spatial.quarter_sampled(changed), spatial.quarter_sampled(one))
    assert not torch.equal(spatial.quarter(changed), spatial.quarter(one))


def test_a_grid_below_four_has_no_quarter():
    one = maps(1, 3, 9, 1)[..., 0]
    assert spatial.quarter(one) is None
    assert spatial.quarter_sampled(one) is None


def test_more_blocks_than_positions_are_an_error():
    with pytest.raises(ValueError, match="3 positions have no 4 blocks"):
        spatial.block_means(3, 4)


def test_maps_are_compared_as_scipy_does_ties_too():
    first, second = maps(2, 9, 9, 1)[..., 0].round(decimals=1)
    expected = spearmanr(first.numpy().ravel(), second.numpy().ravel()).statistic
    assert len(first.unique()) < first.numel()
    found = spatial.map_spearman(first, second)
    assert found == pytest.approx(expected, rel=0, abs=float64_products(81, 81.0))
    assert spatial.map_spearman(first, first.exp()) == pytest.approx(1, rel=0, abs=1e-12)


def test_values_that_rounding_took_apart_are_tied():
    first, second = maps(2, 9, 9, 1)[..., 0].round(decimals=1)
    rounded = first + 1e-13 * maps(1, 9, 9, 1, seed=1)[0, :, :, 0]
    assert len(rounded.unique()) == first.numel()
    assert spatial.map_spearman(rounded, second) == spatial.map_spearman(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (torch.zeros(3, 3), torch.arange(9.0).view(3, 3)),
        (torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 2.0]])),
        (torch.full((3, 3), torch.nan), torch.arange(9.0).view(3, 3)),
        (None, torch.arange(9.0).view(3, 3)),
    ],
)
def test_what_has_no_ranks_has_no_value(first, second):
    assert spatial.map_spearman(first, second) is None
