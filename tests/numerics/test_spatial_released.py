"""What the released code of the first study does to maps and ceilings, beside loops of our own."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import pearsonr

from tests.rounding import float64_products
from zoo_eval.numerics import ceilings
from zoo_eval.numerics import spatial_released as released


def maps(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


@pytest.mark.parametrize(("n_features", "size"), [(600, 1), (603, 3), (604, 4), (612, 3)])
def test_many_features_are_averaged_by_three_or_else_by_four(n_features, size):
    given = maps(1, 2, 2, n_features)
    found = released.averaged_features(given)
    assert found.shape == (1, 2, 2, n_features // size)
    assert_allclose(
        found[0, 1, 0, 5], given[0, 1, 0, 5 * size : 6 * size].mean(), rtol=0, atol=1e-15
    )


def test_features_that_make_no_groups_are_an_error():
    with pytest.raises(released.NotDivisible, match="its 601 features are more than 600"):
        released.averaged_features(maps(1, 2, 2, 601))


@pytest.mark.parametrize("n_features", [2, 3, 4, 9])
def test_interpolated_layers_are_filled_three_by_three(n_features):
    given = maps(2, 5, 5, n_features)
    filled = torch.zeros_like(given)
    for first in range(n_features - 3):
        filled[..., first : first + 3] = given[..., first : first + 3]
    assert torch.equal(released.last_feature_zeroed(given, n_rows=3), filled)
    assert torch.equal(released.last_feature_zeroed(given, n_rows=6), given)


def test_each_image_is_rescaled_by_its_own_extremes():
    given = maps(3, 4, 4, 5)
    given[2] = 7.0
    found = released.image_rescaled(given)
    for image in range(2):
        one = given[image].numpy()
        assert_allclose(
            found[image], (one - one.min()) / np.ptp(one), rtol=0, atol=float64_products(4)
        )
    assert torch.equal(found[2], torch.zeros_like(found[2]))


def looped_pairs(one, *, by_rows):
    """Correlations of channels by SciPy, pair by pair."""
    n = one.shape[-1]
    found = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            rows = one[:, :, [i, j]] if by_rows else one[:, :, [i, j]].reshape(1, -1, 2)
            found[i, j] = np.mean([pearsonr(row[:, 0], row[:, 1]).statistic for row in rows])
    return found


@pytest.mark.parametrize("by_rows", [True, False])
def test_channels_are_correlated_as_scipy_does(by_rows):
    one = maps(6, 7, 5)
    found = released.channel_pairs(one, by_rows=by_rows)
    expected = looped_pairs(one.numpy(), by_rows=by_rows)
    assert_allclose(found, expected, rtol=0, atol=float64_products(50))


def test_the_highest_pair_is_the_known_estimators():
    one = maps(6, 7, 5)
    found = released.highest_pair(released.channel_pairs(one, by_rows=False), skips_last=False)
    expected = ceilings.max_pairwise_target(one.numpy().reshape(1, 42, 5))[0]
    assert found == pytest.approx(expected, rel=0, abs=float64_products(50))


def test_the_last_channel_can_be_skipped_and_nothing_is_below_zero():
    pairs = torch.tensor([[1.0, -0.2, 0.9], [-0.2, 1.0, 0.3], [0.9, 0.3, 1.0]])
    assert released.highest_pair(pairs, skips_last=False) == pytest.approx(0.9)
    assert released.highest_pair(pairs, skips_last=True) == 0
    assert released.highest_pair(-pairs, skips_last=True) == pytest.approx(0.2)


def test_a_constant_row_leaves_its_pairs_out():
    one = maps(4, 5, 3)
    one[2, :, 0] = 1.0
    pairs = released.channel_pairs(one, by_rows=True)
    assert pairs[0, 1].isnan()
    assert released.highest_pair(pairs, skips_last=False) == pytest.approx(float(pairs[1, 2]))
    assert np.isnan(released.highest_pair(torch.full((3, 3), torch.nan), skips_last=False))


def test_the_slipped_scale_moves_every_value_alike():
    given = maps(3, 4, 4)
    found = released.slipped_scale(given, -2.0, 3.0)
    assert_allclose(found, given.numpy() - -2.0 / (3.0 - -2.0), rtol=0, atol=1e-15)
    assert torch.equal(released.slipped_scale(given, 1.0, 1.0), given)
