"""The harmonization loss: a network's saliency is drawn to the human map of the same image.

Fel, Rodriguez, Linsley and Serre 2022 (arXiv 2211.04533), and the variants of
serre-lab/co3d-harmonization-pytorch. Everything is differentiable twice, so that
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
LossName = Literal["squared", "cosine", "contrastive"]
PyramidName = Literal["binomial", "disc"]
# Added to a standard deviation, and to a maximum, as in the released code.
OF_DEVIATION, OF_MAXIMUM = 1e-5, 1e-6
BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)
DISC_PX = 21


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


def discs(maps: Tensor, n_levels: int) -> list[Tensor]:
    """A pyramid of maps (image, row, column), blurred by a flat disc of `DISC_PX`, then halved by means.

    Of serre-lab/co3d-harmonization-pytorch: a level is what is blurred, the first one too.
    """
    at = torch.arange(DISC_PX, device=maps.device, dtype=maps.dtype) - (DISC_PX - 1) / 2
    inside = (at[:, None] ** 2 + at**2 <= ((DISC_PX - 1) / 2) ** 2).to(maps.dtype)
    kernel = (inside / inside.sum())[None, None]
    levels, one = [], maps[:, None]
    for _ in range(n_levels):
        blurred = functional.conv2d(one, kernel, padding=DISC_PX // 2)
        levels.append(blurred[:, 0])
        # A map of one row or column cannot be halved.
        one = functional.avg_pool2d(blurred, 2) if min(blurred.shape[-2:]) > 1 else blurred
    return levels


PYRAMIDS: Mapping[str, Callable[[Tensor, int], list[Tensor]]] = MappingProxyType(
    {"binomial": pyramid, "disc": discs}
)


@dataclass(frozen=True)
class Mismatch:
    """How saliency and maps are compared: the choices of Fel et al. 2022 by default.

    `loss` is one of `LOSSES`; `temperature` divides the similarities of `contrastive`.
    """

    saliency: SaliencyName = "signed_mean"
    standard: StandardName = "z_relu"
    levels: int = 5
    loss: LossName = "squared"
    pyramid: PyramidName = "binomial"
    temperature: float = 1.0

    def of(self, maps: Tensor) -> list[Tensor]:
        """The pyramid of maps (image, row, column)."""
        return PYRAMIDS[self.pyramid](maps, self.levels)


PUBLISHED = Mismatch()


def squared(model: Tensor, human: Tensor, has_map: Tensor, how: Mismatch) -> Tensor:
    """The mean squared difference over levels, pixels and images, with the human maps at the model's scale.

    Images without a map count as 0, and in the number of images.
    """
    # The pyramid is linear: that of the difference is the difference of the two.
    levels = how.of(model - scaled_to(human, model))
    flags = has_map[:, None, None]
    return torch.stack([(level.square() * flags).mean() for level in levels]).mean()


def cosine(model: Tensor, human: Tensor, has_map: Tensor, how: Mismatch) -> Tensor:
    """One minus the cosine of saliency and map, the mean over levels and images with a map."""
    n = has_map.sum().clamp(min=1)
    pairs = zip(how.of(model), how.of(human), strict=True)
    alike = [(_unit(one) * _unit(other)).sum(1) for one, other in pairs]
    return torch.stack([((1 - each) * has_map).sum() / n for each in alike]).mean()


def contrastive(model: Tensor, human: Tensor, has_map: Tensor, how: Mismatch) -> Tensor:
    """Whether each saliency is more like its own map than like the others', and each map likewise.

    Cosines over the temperature are logits, and the own one is the true class, as in CLIP (Radford et
    al. 2021): the mean of both directions, and over levels. Among the images with a map; 0 of fewer
    than two.
    """
    chosen = has_map.bool()
    true = torch.arange(int(chosen.sum()), device=model.device)
    if len(true) < 2:
        return (model * 0).sum()
    found = []
    for one, other in zip(how.of(model[chosen]), how.of(human[chosen]), strict=True):
        logits = _unit(one) @ _unit(other).T / how.temperature
        found.append(functional.cross_entropy(logits, true))
        found.append(functional.cross_entropy(logits.T, true))
    return torch.stack(found).mean()


def _unit(maps: Tensor) -> Tensor:
    """Maps (image, row, column) as vectors (image, pixel) of length 1; of nothing but zeros, zeros."""
    flat = maps.flatten(1)
    power = flat.square().sum(1, keepdim=True)
    # The root has no slope at 0.
    return flat / torch.where(power > 0, power, 1.0).sqrt()


LOSSES: Mapping[str, Callable[[Tensor, Tensor, Tensor, Mismatch], Tensor]] = MappingProxyType(
    {"squared": squared, "cosine": cosine, "contrastive": contrastive}
)


def mismatch(gradient: Tensor, human: Tensor, has_map: Tensor, how: Mismatch) -> Tensor:
    """How far saliency and human maps are apart, by the loss that was chosen (see `LOSSES`).

    Args:
        gradient: of the true logit (image, channel, row, column), see `true_logit_gradient`.
        human: maps (image, row, column) of any scale; of images without one, anything finite.
        has_map: 1 where an image has a map, else 0 (image,).
        how: channel reduction, standard, pyramid and loss.
    """
    standard = STANDARDS[how.standard]
    model = standard(SALIENCIES[how.saliency](gradient))
    return LOSSES[how.loss](model, standard(human), has_map.to(gradient.dtype), how)
