"""Proximal steps to the linearised boundary: this project's own attack in l1.

Each step takes the margin's gradient at the last point and solves a small problem exactly: of all
perturbations that meet the linearised boundary within [0, 1], the one with the least l1 length plus
squared distance from the last perturbation over twice `pace`. Its solution is a step down the
gradient, shrunk by the pace (the soft threshold of Daubechies et al. 2004), with one multiplier found
by bisection and no pass through the model. A large pace jumps to the sparsest solution, a small one
stays near; it falls over the steps. Gradients are averaged, as a network's boundary is a patchwork.

Starts from the class nearest on linearisation (as in DeepFool, Moosavi-Dezfooli et al. 2016). The
boundary linearised at the last point but met near the image is the idea of FAB (Croce & Hein 2020).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo_eval.numerics.attacks import linearised
from zoo_eval.numerics.attacks.logits import Batch, Logits, class_gradients
from zoo_eval.numerics.attacks.norms import (
    TINY,
    Norm,
    farthest,
    in_box,
    length,
    per_image,
    shrunk,
    somewhere,
    usable,
)
from zoo_eval.numerics.attacks.shortest import shorter

DOUBLINGS, HALVINGS = 30, 16
# Of the clean margin: how far beyond the boundary a step aims at first, and at last.
FIRST_BEYOND, LAST_BEYOND = 0.02, 1e-3
# Of the longest perturbation in the box, where there is no gradient.
FIRST_SHARE = 0.005
STRETCHES = (1.0, 1.003, 1.01, 1.03, 1.1, 1.3, 2.0)


@dataclass(frozen=True)
class Proximal:
    """Steps that are sparse at once: the gradient's largest values, shrunk towards none.

    `pace` falls geometrically to `final_pace`, both in changes of [0, 1] pixels; `memory` is the
    share of earlier gradients in the averaged one.
    """

    name: ClassVar[str] = "proximal"
    norms: ClassVar[tuple[Norm, ...]] = ("l1",)
    norm: ClassVar[Norm] = "l1"
    batched: ClassVar[bool] = True
    bound: ClassVar[float] = 2
    blind_bound: ClassVar[float] = 24

    steps: int = 50
    classes: int = 5
    pace: float = 0.02
    final_pace: float = 0.002
    memory: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.classes) < 1 or not 0 <= self.memory < 1:
            raise ValueError("proximal needs steps, classes >= 1 and 0 <= memory < 1")
        if not 0 < self.final_pace <= self.pace:
            raise ValueError("proximal needs 0 < final_pace <= pace")

    def perturb(self, logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        return proximal(logits, images, labels, self)

    def passes_per_image(self) -> int:
        return 1 + self.classes + 2 * self.steps + len(STRETCHES)

    def pace_at(self, step: int) -> float:
        done = step / max(1, self.steps - 1)
        return float(self.pace * (self.final_pace / self.pace) ** done)


@dataclass(eq=False)
class _Nearest:
    """The shortest successes so far, and while there is none the latest point."""

    points: Tensor
    lengths: Tensor

    def note(self, points: Tensor, lengths: Tensor, adversarial: Tensor) -> None:
        found = shorter(self.points, self.lengths, points, lengths, adversarial)
        self.points, self.lengths = found


def proximal(logits: Logits, images: Tensor, labels: Tensor, options: Proximal) -> Tensor:
    """The nearest misclassified images met (image, channel, row, column), in [0, 1].

    An image misclassified as it is comes back unchanged, one that no point misclassified as the last
    point tried.

    Args:
        logits: images -> (image, class).
        images: float32 (image, channel, row, column) in [0, 1].
        labels: (image,).
        options: steps, and how far each may go.
    """
    others = class_gradients(logits, images, labels, options.classes)
    found = images.clone()
    rows = (others.margins[0] >= 0).nonzero()[:, 0]
    if len(rows):
        part, seen = Batch(logits, images, labels).at(rows), others.at(rows)
        _, start = linearised.nearest(part.images, seen, "l1")
        nearest = _Nearest(part.images.clone(), torch.full_like(seen.margins[0], torch.inf))
        found[rows] = follow(part, start, nearest, seen.margins[0], options).points
    return found


def refine(batch: Batch, candidates: Tensor, options: Proximal, *, stretch: float = 1.0) -> Tensor:
    """Other attacks' successful candidates, walked on from for `steps`; never longer ones.

    The walk starts at `stretch` times their length, within [0, 1].
    """
    delta = candidates - batch.images
    nearest = _Nearest(candidates.clone(), length(delta, "l1"))
    delta = in_box(batch.images, stretch * delta)
    with torch.no_grad():
        values = batch.logits(batch.images)
    own = values.gather(1, batch.labels[:, None])[:, 0]
    rest = values.scatter(1, batch.labels[:, None], -torch.inf).amax(1)
    return follow(batch, delta, nearest, own - rest, options).points


def passes_of_refining(steps: int) -> int:
    """Forward and backward passes per image of `refine`, at most."""
    return 1 + 2 * steps + len(STRETCHES)


def follow(
    batch: Batch, delta: Tensor, nearest: _Nearest, clean: Tensor, options: Proximal
) -> _Nearest:
    """Steps from perturbations `delta`, for images with `clean` margins (image,)."""
    images, averaged = batch.images, torch.zeros_like(delta)
    for step in range(options.steps):
        margin, gradient = batch.gradients(images + delta)
        nearest.note(images + delta, length(delta, "l1"), margin < 0)
        sees = usable(gradient)
        kept = torch.where(averaged.flatten(1).any(1), options.memory, 0.0)
        averaged = per_image(kept) * averaged + per_image(1 - kept) * gradient
        left = 1 - step / options.steps
        beyond = (LAST_BEYOND + FIRST_BEYOND * left) * clean
        stepped = shortest_near(images, delta, margin + beyond, averaged, options.pace_at(step))
        blind = _blindly(images, delta, nearest, options.seed + step)
        delta = torch.where(per_image(sees), stepped, blind)
    for stretch in STRETCHES:
        points = (images + stretch * delta).clamp(0, 1)
        nearest.note(points, length(points - images, "l1"), batch.beaten(points))
    return nearest


def _blindly(images: Tensor, delta: Tensor, nearest: _Nearest, seed: int) -> Tensor:
    """Without a gradient: half the way to the nearest success; before one, twice as far elsewhere."""
    halfway = (delta + nearest.points - images) / 2
    # From the nearest success itself, half the way back.
    halfway = torch.where(per_image((halfway == delta).flatten(1).all(1)), delta / 2, halfway)
    least = FIRST_SHARE * farthest(images, "l1")
    longer = torch.maximum(2 * length(delta, "l1"), least)
    elsewhere = somewhere(images, longer, seed, "l1")
    return torch.where(per_image(nearest.lengths.isinf()), elsewhere, halfway)


def shortest_near(
    images: Tensor, delta: Tensor, margin: Tensor, gradient: Tensor, pace: float
) -> Tensor:
    """The perturbations of least l1 length plus squared distance from `delta` over 2 `pace`.

    Among those within [0, 1] at which the margin (image,), linear from `delta` on with that gradient,
    is 0 or below; everything that helps is at its bound where none is.
    """
    paces = torch.full_like(margin, pace)
    slopes = gradient.flatten(1)
    base = margin - (slopes * delta.flatten(1)).sum(1)

    def at(multiplier: Tensor) -> Tensor:
        stepped = shrunk(delta - per_image(multiplier * pace) * gradient, paces)
        return (images + stepped).clamp(0, 1) - images

    def short(multiplier: Tensor) -> Tensor:
        return base + (slopes * at(multiplier).flatten(1)).sum(1) > 0

    low = torch.zeros_like(margin)
    high = 1 / slopes.abs().amax(1).clamp(min=TINY)
    for _ in range(DOUBLINGS):
        lacking = short(high)
        if not lacking.any():
            break
        low, high = torch.where(lacking, high, low), torch.where(lacking, 2 * high, high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        lacking = short(middle)
        low, high = torch.where(lacking, middle, low), torch.where(lacking, high, middle)
    return at(high)
