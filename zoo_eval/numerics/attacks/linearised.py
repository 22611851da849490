"""The shortest way to a linearised boundary within [0, 1], in l1 and in counts, and its nearest class."""

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.logits import Others
from zoo_eval.numerics.attacks.norms import COUNTS, TINY, Norm, filled, length, units


def downhill(images: Tensor, gradients: Tensor) -> Tensor:
    """The perturbation that takes every value to the bound at which a linear margin is smallest."""
    return torch.where(gradients > 0, -images, 1 - images) * (gradients != 0)


def way(images: Tensor, margins: Tensor, gradients: Tensor, norm: Norm) -> Tensor:
    """The shortest perturbations at which margin + gradient . perturbation is 0 or below.

    Values, or positions, go to their bounds one after another: in l1 those with the largest
    gradients first, in a count those that gain most. Exact where the margin is linear. Everything
    goes to its bound where all together is not enough.

    Args:
        images: (image, channel, row, column) in [0, 1].
        margins: at the images (image,).
        gradients: of the images' shape.
        norm: l1, l0_values or l0_pixels.
    """
    moves = downhill(images, gradients)
    gains = (gradients * moves).abs()
    scores = gains if norm in COUNTS else gradients.abs()
    return filled(scores, moves, _needed(scores, moves, gains, margins, norm), norm)


def _needed(scores: Tensor, moves: Tensor, gains: Tensor, margins: Tensor, norm: Norm) -> Tensor:
    """The length at which gains in the order of scores add up to the margins (image,)."""
    order = units(scores, norm).sort(dim=1, descending=True, stable=True).indices
    gained = units(gains, norm).gather(1, order).double()
    before = gained.cumsum(1) - gained
    left = (margins.double()[:, None] - before).clamp(min=0)
    if norm in COUNTS:
        return (left > 0).sum(1).to(margins.dtype)
    sizes = moves.abs().flatten(1).gather(1, order)
    shares = (left / gained.clamp(min=TINY)).clamp(max=1)
    return (shares * sizes).sum(1).to(margins.dtype)


def nearest(images: Tensor, others: Others, norm: Norm) -> tuple[Tensor, Tensor]:
    """For each image the class nearest on linearisation, by its place in `others`, and its way."""
    everyone = torch.arange(len(images), device=images.device)
    ways = torch.stack(
        [
            way(images, margin, gradient, norm)
            for margin, gradient in zip(others.margins, others.gradients, strict=True)
        ]
    )
    lengths = torch.stack([_reached(w, others, place, norm) for place, w in enumerate(ways)])
    choice = lengths.argmin(0)
    return choice, ways[choice, everyone]


def _reached(ways: Tensor, others: Others, place: int, norm: Norm) -> Tensor:
    """The ways' lengths, infinite where the boundary is not met (image,)."""
    margin, gradient = others.margins[place], others.gradients[place]
    met = margin + (gradient * ways).flatten(1).sum(1) <= 1e-4 * margin.abs()
    return torch.where(met, length(ways, norm), torch.inf)
