"""Whether a network can be differentiated twice is found out, and what must be switched off for it."""

import pytest
import timm
import torch
from torch import nn

from zoo_eval.errors import Refusal
from zoo_eval.harmonizer import double_backward


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        return values * 2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient * 2


class OnceOnly(nn.Module):
    def forward(self, values):
        return Once.apply(values)


def test_a_convolutional_network_is_run_as_it_is_and_left_as_it_was():
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten()).train()
    before = net[1].running_mean.clone()
    assert double_backward.of(net, torch.rand(2, 3, 8, 8)).attention == "as_it_is"
    assert torch.equal(net[1].running_mean, before)
    assert net[1].num_batches_tracked == 0
    assert net[0].weight.grad is None


def test_fused_attention_is_written_out_and_gives_the_same_logits():
    net = timm.create_model("test_vit", num_classes=5).train()
    pixels = torch.rand(2, 3, 160, 160)
    how = double_backward.of(net, pixels)
    assert how.attention == "written_out"
    net.eval()
    with torch.no_grad():
        expected = net(pixels)
        with how.running():
            assert torch.allclose(net(pixels), expected, atol=1e-5)


def test_a_layer_without_is_named():
    net = nn.Sequential(nn.Conv2d(3, 2, 3), OnceOnly(), nn.Flatten())
    with pytest.raises(Refusal, match=r"no double backward at layer '1' \(OnceOnly\)"):
        double_backward.of(net, torch.rand(2, 3, 8, 8))
