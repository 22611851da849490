"""Lengths of perturbations (image, channel, row, column) and steps that are steepest in them."""

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

Norm = Literal["l2", "linf", "l1", "l0_values", "l0_pixels"]
NORMS: tuple[Norm, ...] = get_args(Norm)
# Their shortest perturbations change every value; those of the others change few.
DENSE: tuple[Norm, ...] = ("l2", "linf")
# Counts: of changed channel values, and of changed positions whatever their channels.
COUNTS: tuple[Norm, ...] = ("l0_values", "l0_pixels")
TINY = 1e-30
APART = 1_618_033_988


def per_image(values: Tensor) -> Tensor:
    """Values (image,) so that they multiply (image, channel, row, column)."""
    return values[:, None, None, None]


def _l2(perturbations: Tensor) -> Tensor:
    lengths: Tensor = perturbations.flatten(1).norm(dim=1)
    return lengths


def _linf(perturbations: Tensor) -> Tensor:
    return perturbations.flatten(1).abs().amax(1)


def _l1(perturbations: Tensor) -> Tensor:
    return perturbations.flatten(1).abs().sum(1)


def _changed_values(perturbations: Tensor) -> Tensor:
    return _count(perturbations != 0).to(perturbations.dtype)


def _changed_pixels(perturbations: Tensor) -> Tensor:
    return _count((perturbations != 0).any(1)).to(perturbations.dtype)


def _count(changed: Tensor) -> Tensor:
    return changed.flatten(1).sum(1)


LENGTHS: Mapping[Norm, Callable[[Tensor], Tensor]] = {
    "l2": _l2, "linf": _linf, "l1": _l1, "l0_values": _changed_values, "l0_pixels": _changed_pixels,
}  # fmt: skip
DUALS: Mapping[Norm, Norm] = {"l2": "l2", "linf": "l1", "l1": "linf"}


def length(perturbations: Tensor, norm: Norm) -> Tensor:
    """The norm of each perturbation (image,).

    l1 is the sum of absolute changes, l0_values the number of channel values that change at all,
    l0_pixels that of positions at which any channel does.
    """
    return LENGTHS[norm](perturbations)


def dual_length(gradients: Tensor, norm: Norm) -> Tensor:
    """How much a linear function with this gradient changes per unit of `norm`, at most (image,).

    Raises:
        KeyError: a count, which has no unit without a box.
    """
    return LENGTHS[DUALS[norm]](gradients)


def steepest(gradients: Tensor, norm: Norm) -> Tensor:
    """The step of length 1 along which a linear function with this gradient grows fastest, in a dense norm."""
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
    if norm == "l1":
        return _onto_l1(perturbations, radii)
    if norm in COUNTS:
        return filled(perturbations.square(), perturbations, radii, norm)
    radii = per_image(radii)
    if norm == "linf":
        return torch.maximum(torch.minimum(perturbations, radii), -radii)
    lengths = per_image(length(perturbations, "l2")).clamp(min=TINY)
    return perturbations * (radii / lengths).clamp(max=1)


def _onto_l1(perturbations: Tensor, radii: Tensor) -> Tensor:
    """Every value nearer to 0 by the one threshold that leaves the length (Duchi et al. 2008, figure 1)."""
    sizes = perturbations.flatten(1).abs()
    falling = sizes.sort(1, descending=True).values
    places = torch.arange(1, falling.shape[1] + 1, device=falling.device)
    thresholds = (falling.cumsum(1) - radii[:, None]) / places
    n_kept = (falling > thresholds).sum(1, keepdim=True).clamp(min=1)
    threshold = thresholds.gather(1, n_kept - 1).clamp(min=0)
    return shrunk(perturbations, threshold[:, 0])


def shrunk(perturbations: Tensor, thresholds: Tensor) -> Tensor:
    """Every value nearer to 0 by its image's threshold (image,), and 0 where it is no larger."""
    return perturbations.sign() * (perturbations.abs() - per_image(thresholds)).clamp(min=0)


def filled(scores: Tensor, moves: Tensor, lengths: Tensor, norm: Norm) -> Tensor:
    """Whole moves in the order of their scores, as many as the lengths (image,) allow, in l1 or a count.

    In l1 the last move is made in part. Positions count as one in l0_pixels: their scores are added
    over the channels.

    Args:
        scores: the larger the sooner (image, channel, row, column).
        moves: what each value may change by, of that shape.
        lengths: of the perturbation that is returned, at most.
        norm: l1, l0_values or l0_pixels.
    """
    order = units(scores, norm).sort(dim=1, descending=True, stable=True).indices
    if norm in COUNTS:
        rank = torch.empty_like(order)
        rank.scatter_(1, order, torch.arange(order.shape[1], device=order.device).expand_as(order))
        return moves * per_unit(rank < lengths[:, None], moves, norm)
    sizes = moves.flatten(1).abs().gather(1, order)
    left = (lengths[:, None] - (sizes.cumsum(1) - sizes)).clamp(min=0)
    shares = torch.empty_like(sizes).scatter_(1, order, (left / sizes.clamp(min=TINY)).clamp(max=1))
    return moves * shares.reshape(moves.shape)


def units(values: Tensor, norm: Norm) -> Tensor:
    """Values added up over what the norm counts as one (image, unit): a value, or a position."""
    return (values.sum(1) if norm == "l0_pixels" else values).flatten(1)


def per_unit(chosen: Tensor, like: Tensor, norm: Norm) -> Tensor:
    """What belongs to each unit (image, unit) so that it multiplies (image, channel, row, column)."""
    n_channels = 1 if norm == "l0_pixels" else like.shape[1]
    return chosen.reshape(len(like), n_channels, *like.shape[2:])


def in_box(images: Tensor, perturbations: Tensor) -> Tensor:
    """The perturbations cut so that image + perturbation stays in [0, 1]."""
    return (images + perturbations).clamp(0, 1) - images


def farthest(images: Tensor, norm: Norm) -> Tensor:
    """The length of the longest perturbation that stays in [0, 1] (image,)."""
    return length(torch.maximum(images, 1 - images), norm)


def noise(images: Tensor, seed: int, norm: Norm = "l2") -> Tensor:
    """One random direction of length 1 in a dense norm, the same for every image: it depends on the seed alone.

    Drawn for each image it would depend on who else is in the batch.
    """
    # Away from small seeds, with which others draw the very networks that are attacked.
    generator = torch.Generator().manual_seed(APART + seed)
    direction = torch.randn(images.shape[1:], generator=generator, dtype=images.dtype)
    return steepest(direction.to(images.device)[None], norm).expand_as(images)


def somewhere(images: Tensor, lengths: Tensor, seed: int, norm: Norm) -> Tensor:
    """Perturbations of the lengths (image,) in a direction that depends on the seed alone.

    In a dense norm it may leave [0, 1]; in the others values in a random order go to one of their
    bounds, until the length is used up.
    """
    if norm in DENSE:
        return per_image(lengths) * noise(images, seed, norm)
    generator = torch.Generator().manual_seed(APART + seed)
    shape = (1, *images.shape[2:]) if norm == "l0_pixels" else images.shape[1:]
    order = torch.rand(shape, generator=generator).to(images.device).expand_as(images)
    bounds = torch.rand(images.shape[1:], generator=generator).round().to(images.device)
    return filled(order, bounds - images, lengths, norm)


def finite(gradients: Tensor) -> Tensor:
    """The gradients with 0 for values that are not finite: what is left of them still points."""
    return gradients.nan_to_num(0.0, 0.0, 0.0)


def usable(gradients: Tensor) -> Tensor:
    """Whether each gradient says anything: finite everywhere and not zero everywhere (image,)."""
    flat = gradients.flatten(1)
    return flat.isfinite().all(1) & (flat != 0).any(1)
