"""The harmonization loss: a network's saliency is drawn to the human map of the same image.

Fel, Rodriguez, Linsley and Serre 2022 (arXiv 2211.04533). Everything is differentiable twice, so that
the mismatch of a gradient with a map has a gradient to the weights.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

SaliencyName = Literal["signed_mean", "abs_max"]
StandardName = Literal["z_relu", "min_max"]
# Added to a standard deviation, and to a maximum, as in the released code.
OF_DEVIATION, OF_MAXIMUM = 1e-5, 1e-6
BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)


def signed_mean(gradient: Tensor) -> Tensor:
    """(image, channel, row, column) -> (image, row, column): the mean over channels, with its sign."""
    return gradient.mean(1)


def abs_max(gradient: Tensor) -> Tensor:
    """(image, channel, row, column) -> (image, row, column): the largest |value| over channels."""
    return gradient.abs().amax(1)


SALIENCIES: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"signed_mean": signed_mean, "abs_max": abs_max}
)


def true_logit_gradient(logits: Tensor, pixels: Tensor, labels: Tensor) -> Tensor:
    """The gradient of the sum of the true logits to the pixels, itself differentiable.

    Args:
        logits: (image, class), of these pixels.
        pixels: (image, channel, row, column), which require a gradient.
        labels: true classes (image,).
    """
    true = logits.gather(1, labels[:, None]).sum()
    (gradient,) = torch.autograd.grad(true, pixels, create_graph=True)
    return gradient


def z_relu(maps: Tensor) -> Tensor:
    """Maps (image, row, column) less their mean over pixels, over their deviation, cut at 0."""
    centred = maps - maps.mean((1, 2), keepdim=True)
    variance = centred.square().mean((1, 2), keepdim=True)
    # The root has no slope at 0, where a map is constant.
    varies = variance > 0
    deviation = torch.where(varies, variance, 1.0).sqrt() * varies
    return torch.relu(centred / (deviation + OF_DEVIATION))


def min_max(maps: Tensor) -> Tensor:
    """Maps (image, row, column) from 0 at their least to 1 at their largest value."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low + OF_MAXIMUM)


STANDARDS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"z_relu": z_relu, "min_max": min_max}
)


def scaled_to(human: Tensor, model: Tensor) -> Tensor:
    """Human maps (image, row, column) at the scale of the model's: each reaches the same largest value.

    No gradient flows through that scale: a network cannot lower the loss by a smaller gradient alone.
    """
    of_human = human.amax((1, 2), keepdim=True) + OF_MAXIMUM
    of_model = model.detach().amax((1, 2), keepdim=True) + OF_MAXIMUM
    return human / of_human * of_model


def pyramid(maps: Tensor, n_levels: int) -> list[Tensor]:
    """A Gaussian pyramid of maps (image, row, column): each level has half the rows and columns.

    A binomial kernel of 5 x 5 within a border of zeros, every second pixel kept; of an even number
    of rows or columns the border is a pixel wider behind than before, as TensorFlow's `SAME` has it.
    """
    taps = maps.new_tensor(BINOMIAL) / sum(BINOMIAL)
    kernel = torch.outer(taps, taps)[None, None]
    levels = [maps]
    for _ in range(n_levels - 1):
        one = levels[-1][:, None]
        (above, below), (left, right) = (_border(side) for side in one.shape[-2:])
        levels.append(
            functional.conv2d(functional.pad(one, (left, right, above, below)), kernel, stride=2)[
                :, 0
            ]
        )
    return levels


def _border(side: int) -> tuple[int, int]:
    """Zeros before and behind so many pixels."""
    total = len(BINOMIAL) - 2 + side % 2
    return total // 2, total - total // 2


@dataclass(frozen=True)
class Mismatch:
    """How saliency and maps are compared: the published choices by default."""

    saliency: SaliencyName = "signed_mean"
    standard: StandardName = "z_relu"
    levels: int = 5


PUBLISHED = Mismatch()


def mismatch(gradient: Tensor, human: Tensor, has_map: Tensor, how: Mismatch) -> Tensor:
    """How far saliency and human maps are apart: a mean over levels, images and pixels.

    Images without a map count as 0, and in the number of images.

    Args:
        gradient: of the true logit (image, channel, row, column), see `true_logit_gradient`.
        human: maps (image, row, column) of any scale; of images without one, anything finite.
        has_map: 1 where an image has a map, else 0 (image,).
        how: channel reduction, standard and number of levels.
    """
    standard = STANDARDS[how.standard]
    model = standard(SALIENCIES[how.saliency](gradient))
    target = scaled_to(standard(human), model)
    # The pyramid is linear: that of the difference is the difference of the two.
    levels = pyramid(model - target, how.levels)
    flags = has_map.to(gradient.dtype)[:, None, None]
    return torch.stack([(level.square() * flags).mean() for level in levels]).mean()
