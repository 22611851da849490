"""Graded weights are worse by exactly the amount that was asked for."""

import pytest
import torch
from torch import nn

from tests.rounding import float32_products
from zoo_eval.catalog import Edits
from zoo_eval.errors import Refusal
from zoo_eval.models.grading import check, grade


def small_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 36, 10))


def graded(seed=0, **edits):
    """The same net before and after."""
    before, after = small_net(), small_net()
    grade(after, Edits(**edits), seed=seed)
    return before, after


def weights(net):
    return [net[0].weight.detach(), net[3].weight.detach()]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_pruning_zeroes_the_smallest_weights_of_each_tensor(share):
    before, after = graded(prune=share)
    for old, new in zip(weights(before), weights(after), strict=True):
        zero = new == 0
        assert int(zero.sum()) == int(share * old.numel())
        assert old[zero].abs().max() <= old[~zero].abs().min()
        assert torch.equal(new[~zero], old[~zero])


def test_noise_has_the_stated_multiple_of_the_weights_standard_deviation():
    before, after = graded(noise=0.5)
    old, new = weights(before)[1], weights(after)[1]
    # 2880 values: five standard errors of the noise's standard deviation and of its mean.
    spread, mean = 5 / (2 * 2880) ** 0.5, 5 * 0.5 / 2880**0.5
    assert float((new - old).std() / old.std()) == pytest.approx(0.5, rel=spread)
    assert float((new - old).mean() / old.std()) == pytest.approx(0, abs=mean)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_quantised_weights_lie_on_a_symmetric_grid_per_output_channel(bits):
    before, after = graded(bits=bits)
    for old, new in zip(weights(before), weights(after), strict=True):
        for old_channel, channel in zip(old, new, strict=True):
            largest = old_channel.abs().max()
            step = largest / (2 ** (bits - 1) - 1)
            levels = channel / step
            assert (levels - levels.round()).abs().max() <= float32_products(3, 2 ** (bits - 1))
            assert len(levels.round().unique()) <= 2**bits - 1
            assert (channel - old_channel).abs().max() <= step / 2 * 1.001
            assert float(channel.abs().max()) == pytest.approx(
                float(largest), rel=float32_products(3)
            )


def test_only_convolution_and_linear_weights_change():
    before, after = graded(prune=0.3, noise=0.3, bits=4)
    old, new = before.state_dict(), after.state_dict()
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert changed == {"0.weight", "3.weight"}


def test_edits_are_made_in_the_stated_order():
    # Quantised last: noise on pruned zeros is rounded to the grid again.
    _, after = graded(prune=0.5, noise=0.2, bits=3)
    assert all(len(channel.unique()) <= 7 for channel in weights(after)[0])


def test_noise_follows_from_the_seed():
    same, other = graded(seed=1, noise=0.1)[1], graded(seed=2, noise=0.1)[1]
    again = graded(seed=1, noise=0.1)[1]
    assert torch.equal(weights(same)[0], weights(again)[0])
    assert not torch.equal(weights(same)[0], weights(other)[0])


def test_no_edits_change_nothing():
    before, after = graded()
    assert all(torch.equal(a, b) for a, b in zip(weights(before), weights(after), strict=True))


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ({"prune": 1.0}, r"prune = 1.0: expected a share of weights in \[0, 1\)"),
        ({"prune": -0.1}, "prune = -0.1"),
        ({"noise": -1.0}, "noise = -1.0: expected a multiple"),
        ({"bits": 1}, "bits = 1: expected 2 to 16"),
        ({"bits": 17}, "bits = 17"),
        ({"bits": 0}, "bits = 0"),
        ({"input_px": 16}, "input_px = 16: expected at least 32"),
    ],
)
def test_edits_out_of_range_are_refused(edits, said):
    with pytest.raises(Refusal, match=said):
        check(Edits(**edits))


@pytest.mark.parametrize(
    "edits", [{}, {"prune": 0.999}, {"bits": 2}, {"bits": 16}, {"input_px": 32}]
)
def test_edits_within_range_are_not(edits):
    check(Edits(**edits))
