"""Alignment equals scipy.stats.spearmanr pair by pair; its null is the mean over other maps."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import spearmanr

from tests.rounding import float64_correlation, float64_products
from zoo_eval.numerics.alignment import REDUCTIONS, DifferentSize, align, paired, ranked

# Of maps of 7 x 9 pixels, and of 20 x 20 or less elsewhere.
ROUNDING = float64_correlation(400)


def rho(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(spearmanr(one.numpy().ravel(), other.numpy().ravel()).statistic)


def random_maps(n: int, seed: int, *, levels: int | None = None, dtype=torch.float64):
    """Maps (image, 7, 9); with few levels nearly every value is tied."""
    values = torch.from_numpy(np.random.default_rng(seed).standard_normal((n, 7, 9)))
    return (values if levels is None else (values * levels / 3).round()).to(dtype)


@given(
    st.integers(0, 10**6),
    st.integers(1, 6),
    st.sampled_from([None, 1, 2, 5, 40]),
    st.sampled_from([torch.float16, torch.float32, torch.float64]),
)
def test_it_equals_scipy_with_and_without_ties(seed, n, levels, dtype):
    attributions, maps = random_maps(n, seed, levels=levels, dtype=dtype), random_maps(n, seed + 1)
    # No map is constant, which SciPy would warn of.
    attributions[:, 0, 0] = 9
    found = align(attributions, ranked(maps), range(n), keep_null=True)
    assert found.reasons == (None,) * n
    for i in range(n):
        assert_allclose(found.spearman[i], rho(attributions[i], maps[i]), rtol=0, atol=ROUNDING)
        others = [rho(attributions[i], maps[j]) for j in range(n) if j != i]
        assert_allclose(
            found.null_mean[i], np.mean(others) if others else np.nan, rtol=0, atol=ROUNDING
        )
        assert found.null[i].isnan().nonzero()[:, 0].tolist() == [i]
        assert_allclose(found.null[i][~found.null[i].isnan()], others, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_it_equals_scipy_at_full_size(dtype):
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(2, 224, 224, generator=generator)
    noise = torch.randn(2, 224, 224, generator=generator)
    attributions = (0.3 * maps + 0.2 * noise).to(dtype)
    found = align(attributions, ranked(maps), [0, 1]).spearman
    expected = [rho(a, m) for a, m in zip(attributions, maps, strict=True)]
    assert min(expected) > 0.2
    assert_allclose(found, expected, rtol=0, atol=float64_correlation(224 * 224))


def test_each_attribution_is_compared_with_the_map_named_for_it():
    attributions, maps = random_maps(3, 0), random_maps(5, 1)
    own = [4, 0, 4]
    found = align(attributions, ranked(maps), own, keep_null=True)
    expected = [rho(a, maps[j]) for a, j in zip(attributions, own, strict=True)]
    assert_allclose(found.spearman, expected, rtol=0, atol=ROUNDING)
    assert_allclose(
        paired(ranked(attributions), ranked(maps), own), expected, rtol=0, atol=ROUNDING
    )
    assert found.null.shape == (3, 5)
    assert found.null.isnan().nonzero().tolist() == [[0, 4], [1, 0], [2, 4]]


def test_a_batch_changes_nothing():
    attributions, maps = random_maps(6, 0, levels=3), ranked(random_maps(6, 1))
    together = align(attributions, maps, range(6))
    for i in range(6):
        alone = align(attributions[i : i + 1], maps, [i])
        assert_allclose(alone.spearman, together.spearman[[i]], rtol=0, atol=ROUNDING)
        assert_allclose(alone.null_mean, together.null_mean[[i]], rtol=0, atol=ROUNDING)


def test_equal_and_reversed_orders_are_plus_and_minus_one():
    maps = random_maps(2, 0)
    both = torch.stack([maps[0].exp(), -(maps[1] ** 3)])
    found = align(both, ranked(maps), [0, 1]).spearman
    assert_allclose(found, [1, -1], rtol=0, atol=ROUNDING)
    assert found.abs().max() <= 1


def test_a_centre_bias_shows_in_the_null_and_a_shuffled_map_has_none():
    rows, columns = np.mgrid[:20, :20] - 9.5
    centre = torch.from_numpy(np.exp(-(rows**2 + columns**2) / 60))
    generator = torch.Generator().manual_seed(0)
    maps = centre + 0.2 * torch.rand(12, 20, 20, generator=generator)
    biased = centre.expand(1, -1, -1)
    shuffled = centre.flatten()[torch.randperm(400, generator=generator)].view(1, 20, 20)
    ranks = ranked(maps)
    assert align(biased, ranks, [0]).null_mean > 0.6
    assert abs(align(shuffled, ranks, [0]).null_mean) < 0.1


def test_what_is_undefined_is_nan_with_its_reason_and_leaves_the_null():
    attributions, maps = random_maps(4, 0), random_maps(4, 1)
    attributions[1] = 0.1
    attributions[2, 3, 3] = torch.nan
    maps[3] = 7
    found = align(attributions, ranked(maps), range(4), keep_null=True)
    assert found.spearman.isnan().tolist() == [False, True, True, True]
    assert found.reasons == (
        None,
        "the attribution is constant",
        "the attribution is NaN or infinite somewhere",
        "the human map is constant",
    )
    assert_allclose(
        found.null_mean[0],
        np.mean([rho(attributions[0], maps[j]) for j in (1, 2)]),
        rtol=0,
        atol=ROUNDING,
    )
    assert found.null_mean.isnan().tolist() == [False, True, True, False]
    others = [rho(attributions[3], maps[j]) for j in (0, 1, 2)]
    assert_allclose(found.null_mean[3], np.mean(others), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_a_value_that_is_no_number_is_undefined(value):
    maps = random_maps(2, 0)
    maps[0, 2, 2] = value
    ranks = ranked(maps)
    assert ranks.undefined == ("is NaN or infinite somewhere", None)
    assert np.isnan(ranks.standardised).all(axis=1).tolist() == [True, False]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_zero_and_minus_zero_are_tied(dtype):
    signed = torch.tensor([[[0.0, -0.0, 1.0, -1.0, 0.0, -0.0]]], dtype=dtype)
    assert np.array_equal(ranked(signed).standardised, ranked(signed + 0.0).standardised)


def test_values_of_any_size_and_sign_are_ordered_as_scipy_orders_them():
    tiny = np.finfo(np.float32).smallest_subnormal
    edges = [-3e38, -1.0, -2 * tiny, -tiny, 0.0, tiny, 2 * tiny, 1.0, 1.0000001, 3e38]
    values = torch.tensor(edges * 7, dtype=torch.float32)[torch.randperm(70)].view(1, 7, 10)
    other = random_maps(1, 3)[0].repeat(2, 2)[:7, :10][None]
    assert_allclose(
        align(values, ranked(other), [0]).spearman, [rho(values, other)], rtol=0, atol=ROUNDING
    )


def test_ranks_are_standardised():
    ranks = ranked(random_maps(3, 0, levels=2))
    assert (len(ranks), ranks.size) == (3, (7, 9))
    assert_allclose(ranks.standardised.sum(axis=1), 0, rtol=0, atol=ROUNDING)
    assert_allclose((ranks.standardised**2).sum(axis=1), 1, rtol=0, atol=ROUNDING)


def test_another_size_is_refused_with_both_sizes():
    with pytest.raises(DifferentSize, match="attributions of 9 x 7 pixels, maps of 7 x 9"):
        align(random_maps(1, 0).transpose(1, 2), ranked(random_maps(1, 1)), [0])


def test_a_map_that_is_not_there_is_an_error():
    with pytest.raises(IndexError):
        align(random_maps(1, 0), ranked(random_maps(2, 1)), [2])


# Two pixels (3, -4, 0) and (-1, -2, -3), over three channels.
PIXELS = torch.tensor([[3.0, -1.0], [-4.0, -2.0], [0.0, -3.0]])[None, :, None]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("abs_of_mean", [1 / 3, 2.0]),
        ("abs_max", [4.0, 3.0]),
        ("l2", [5.0, 14**0.5]),
        ("abs_of_max", [3.0, 1.0]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_channel_reductions(name, expected, dtype):
    found = REDUCTIONS[name](PIXELS.to(dtype))
    assert found.dtype == torch.float64
    assert found.shape == (1, 1, 2)
    assert_allclose(found[0, 0], expected, rtol=float64_products(3))
