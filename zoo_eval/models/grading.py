"""Grading: weights made worse by a known amount, so that a zoo has a spread without training."""

import torch
from torch import Tensor, nn

from zoo_eval.catalog import Edits
from zoo_eval.errors import Refusal


def check(edits: Edits) -> None:
    """Refuses edits out of range.

    Raises:
        Refusal: prune outside [0, 1), negative noise, or bits outside 2-16.
    """
    if not 0 <= edits.prune < 1:
        raise Refusal(f"prune = {edits.prune}: expected a share of weights in [0, 1)")
    if edits.noise < 0:
        raise Refusal(f"noise = {edits.noise}: expected a multiple of the weights' std, >= 0")
    if edits.bits is not None and not 2 <= edits.bits <= 16:
        raise Refusal(f"bits = {edits.bits}: expected 2 to 16")
    if edits.input_px is not None and edits.input_px < 32:
        raise Refusal(f"input_px = {edits.input_px}: expected at least 32")


@torch.no_grad()
def grade(net: nn.Module, edits: Edits, *, seed: int) -> None:
    """Edits the convolution and linear weights in place: prune, then noise, then quantise.

    `prune` zeroes that share of each tensor, smallest magnitudes first; `noise` adds Gaussian
    noise of that multiple of the tensor's standard deviation; `bits` rounds to a symmetric uniform
    grid per output channel.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight
            if edits.prune:
                weight.copy_(_pruned(weight, edits.prune))
            if edits.noise:
                noise = torch.randn(weight.shape, generator=generator).to(weight.device)
                weight.add_(noise * weight.std() * edits.noise)
            if edits.bits:
                weight.copy_(_quantised(weight, edits.bits))


def _pruned(weight: Tensor, share: float) -> Tensor:
    n_zero = int(share * weight.numel())
    if n_zero == 0:
        return weight
    threshold = weight.abs().flatten().kthvalue(n_zero).values
    return weight.masked_fill(weight.abs() <= threshold, 0)


def _quantised(weight: Tensor, bits: int) -> Tensor:
    largest = weight.abs().flatten(1).amax(1).clamp(min=1e-12)
    step = (largest / (2 ** (bits - 1) - 1)).reshape(-1, *[1] * (weight.ndim - 1))
    quantised: Tensor = (weight / step).round() * step
    return quantised
