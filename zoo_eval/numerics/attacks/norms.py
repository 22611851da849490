"""Lengths of perturbations (image, channel, row, column) and steps that are steepest in them."""

from typing import Literal, get_args

import torch
from torch import Tensor

Norm = Literal["l2", "linf"]
NORMS: tuple[Norm, ...] = get_args(Norm)
TINY = 1e-30
APART = 1_618_033_988


def per_image(values: Tensor) -> Tensor:
    """Values (image,) so that they multiply (image, channel, row, column)."""
    return values[:, None, None, None]


def length(perturbations: Tensor, norm: Norm) -> Tensor:
    """The norm of each perturbation (image,)."""
    flat = perturbations.flatten(1)
    return flat.norm(dim=1) if norm == "l2" else flat.abs().amax(1)


def dual_length(gradients: Tensor, norm: Norm) -> Tensor:
    """How much a linear function with this gradient changes per unit of `norm`, at most (image,)."""
    flat = gradients.flatten(1)
    return flat.norm(dim=1) if norm == "l2" else flat.abs().sum(1)


def steepest(gradients: Tensor, norm: Norm) -> Tensor:
    """The step of length 1 along which a linear function with this gradient grows fastest."""
    if norm == "linf":
        return gradients.sign()
    return unit(gradients)


def unit(directions: Tensor) -> Tensor:
    """The directions, each of l2 norm 1; zeros stay zeros."""
    # In two steps: the squares of a tiny gradient are zero in float32.
    largest = directions.flatten(1).abs().amax(1).clamp(min=TINY)
    scaled = directions / per_image(largest)
    return scaled / per_image(scaled.flatten(1).norm(dim=1).clamp(min=TINY))


def project(perturbations: Tensor, radii: Tensor, norm: Norm) -> Tensor:
    """The nearest perturbations no longer than `radii` (image,), by the l2 distance."""
    radii = per_image(radii)
    if norm == "linf":
        return torch.maximum(torch.minimum(perturbations, radii), -radii)
    lengths = per_image(length(perturbations, "l2")).clamp(min=TINY)
    return perturbations * (radii / lengths).clamp(max=1)


def in_box(images: Tensor, perturbations: Tensor) -> Tensor:
    """The perturbations cut so that image + perturbation stays in [0, 1]."""
    return (images + perturbations).clamp(0, 1) - images


def farthest(images: Tensor, norm: Norm) -> Tensor:
    """The length of the longest perturbation that stays in [0, 1] (image,)."""
    return length(torch.maximum(images, 1 - images), norm)


def noise(images: Tensor, seed: int, norm: Norm = "l2") -> Tensor:
    """One random direction of length 1, the same for every image: it depends on the seed alone.

    Drawn for each image it would depend on who else is in the batch.
    """
    # Away from small seeds, with which others draw the very networks that are attacked.
    generator = torch.Generator().manual_seed(APART + seed)
    direction = torch.randn(images.shape[1:], generator=generator, dtype=images.dtype)
    return steepest(direction.to(images.device)[None], norm).expand_as(images)


def finite(gradients: Tensor) -> Tensor:
    """The gradients with 0 for values that are not finite: what is left of them still points."""
    return gradients.nan_to_num(0.0, 0.0, 0.0)


def usable(gradients: Tensor) -> Tensor:
    """Whether each gradient says anything: finite everywhere and not zero everywhere (image,)."""
    flat = gradients.flatten(1)
    return flat.isfinite().all(1) & (flat != 0).any(1)
