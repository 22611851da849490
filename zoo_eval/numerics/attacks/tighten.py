"""The truth of a minimal perturbation: shortened along its line, stored as float16, verified as stored."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.logits import beaten
from zoo_eval.numerics.attacks.norms import (
    COUNTS,
    Norm,
    filled,
    in_box,
    length,
    per_image,
    project,
)

BISECTIONS = 12
NUDGES = 6
PASSES_PER_IMAGE = BISECTIONS + NUDGES + 2


@dataclass(frozen=True, eq=False)
class Minimal:
    """What may be stored: float16 perturbations, and which of them change the prediction."""

    perturbation: Tensor
    found: Tensor
    prediction: Tensor


def tighten(
    logits: Callable[[Tensor], Tensor],
    images: Tensor,
    candidates: Tensor,
    labels: Tensor,
    norm: Norm = "l2",
) -> Minimal:
    """Moves each successful candidate back towards its image until the boundary.

    Bisection between the image and the candidate finds the boundary nearest the candidate to
    2^-12 of its length; the perturbation is then rounded to float16 without leaving [0, 1], and
    success is decided by the float32 image plus exactly that. Where rounding undoes a success the
    perturbation is lengthened a little, up to `NUDGES` times.

    Args:
        logits: images -> (image, class).
        images: float32 (image, channel, row, column) in [0, 1].
        candidates: the attack's results, same shape, in [0, 1].
        labels: correct classes (image,).
        norm: l2 and l1 shorten along a straight line, linf cuts the largest values, a count undoes the
            smallest changes.

    Returns:
        perturbation float16 (image, channel, row, column), found (image,) and the prediction for
        image + perturbation (image,).
    """

    @torch.no_grad()
    def prediction(perturbed: Tensor) -> Tensor:
        return logits(perturbed).argmax(1)

    delta = candidates - images
    success, high = boundary_share(logits, images, candidates, labels, norm)
    stored = storable(images, at_share(high, delta, norm))
    predicted = prediction(images + stored.float())
    for nudge in range(NUDGES):
        undone = success & (predicted == labels)
        if not undone.any():
            break
        high = torch.where(undone, high * (1 + 2.0 ** (nudge - BISECTIONS)), high)
        longer = storable(images, at_share(high, delta, norm))
        stored = torch.where(per_image(undone), longer, stored)
        predicted = torch.where(undone, prediction(images + stored.float()), predicted)
    return Minimal(stored, predicted != labels, predicted)


def boundary_share(
    logits: Callable[[Tensor], Tensor],
    images: Tensor,
    candidates: Tensor,
    labels: Tensor,
    norm: Norm,
) -> tuple[Tensor, Tensor]:
    """Which candidates succeed (image,), and the share of each at which its line meets the boundary.

    The share is one at which the prediction is changed, by bisection to 2^-12; 1 for a failure.
    """
    delta = candidates - images
    low = torch.zeros(len(images), device=images.device)
    high = torch.ones_like(low)
    success = beaten(logits, candidates, labels)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        wrong = beaten(logits, images + at_share(middle, delta, norm), labels)
        high = torch.where(wrong, middle, high)
        low = torch.where(wrong, low, middle)
    return success, high


def at_share(share: Tensor, delta: Tensor, norm: Norm) -> Tensor:
    """The perturbations of `share` (image,) times the length: scaled in l2 and l1, cut in linf.

    Of a count the largest changes are kept, rounded up. A share above 1 scales in any norm.
    """
    if norm in ("l2", "l1"):
        return per_image(share) * delta
    longest = length(delta, norm)
    if norm in COUNTS:
        kept = (share.clamp(max=1) * longest).ceil()
        return filled(delta.abs(), delta, kept, norm) * per_image(share.clamp(min=1))
    return project(delta, share.clamp(max=1) * longest, norm) * per_image(share.clamp(min=1))


def storable(images: Tensor, delta: Tensor) -> Tensor:
    """The perturbation as float16, rounded towards zero where image + perturbation leaves [0, 1]."""
    half = (in_box(images, delta)).half()
    perturbed = images + half.float()
    outside = (perturbed < 0) | (perturbed > 1)
    inward = torch.nextafter(half, torch.zeros_like(half))
    half = torch.where(outside, inward, half)
    # A stimulus within half a float16 step of the bound can still be outside: leave that pixel alone.
    perturbed = images + half.float()
    return half.masked_fill((perturbed < 0) | (perturbed > 1), 0)
