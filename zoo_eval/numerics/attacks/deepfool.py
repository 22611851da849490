"""DeepFool (Moosavi-Dezfooli et al. 2016, arXiv 1511.04599, algorithm 2 and its linf form)."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.logits import Logits, Others, at_rows, beaten, class_gradients
from zoo_eval.numerics.attacks.norms import (
    DENSE,
    Norm,
    farthest,
    in_box,
    length,
    noise,
    per_image,
    steepest,
)

SMALLEST_STEP = 1e-4
# Where there is no gradient, as a share of the longest perturbation in the box.
FIRST_PROBE = 0.02


@dataclass(frozen=True)
class DeepFool:
    """Repeated steps to the nearest linearised boundary among the `candidates` likeliest classes.

    `candidates` counts the label itself. A misclassified image leaves the batch.
    """

    name: ClassVar[str] = "deepfool"
    norms: ClassVar[tuple[Norm, ...]] = DENSE
    batched: ClassVar[bool] = True
    bound: ClassVar[float] = 1.2
    blind_bound: ClassVar[float] = 12

    steps: int = 50
    candidates: int = 10
    overshoot: float = 0.02
    seed: int = 0
    norm: Norm = "l2"

    def __post_init__(self) -> None:
        if self.steps < 1 or self.candidates < 2 or self.overshoot < 0:
            raise ValueError("deepfool needs steps >= 1, candidates >= 2 and overshoot >= 0")

    def perturb(self, logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        return deepfool(logits, images, labels, self)

    def passes_per_image(self) -> int:
        return self.steps * (1 + self.candidates - 1 + 1)


def deepfool(logits: Logits, images: Tensor, labels: Tensor, options: DeepFool) -> Tensor:
    """Images over the first boundary met (image, channel, row, column), in [0, 1].

    Args:
        logits: images -> (image, class).
        images: float32 (image, channel, row, column) in [0, 1].
        labels: (image,).
        options: the number of steps and classes, and the norm.
    """
    delta = torch.zeros_like(images)
    probing = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    rows = beaten(logits, images, labels).logical_not().nonzero()[:, 0]
    for step in range(options.steps):
        if not len(rows):
            break
        part, some, own = at_rows(logits, rows), images[rows], labels[rows]
        points = _overshot(some, delta[rows], options.overshoot)
        others = class_gradients(part, points, own, options.candidates - 1)
        stride, sees = _to_nearest(others, points - some, probing[rows], options.norm)
        probe = _probe(some, step, options)
        moved = torch.where(probing[rows][:, None, None, None], 0, delta[rows]) + stride
        delta[rows] = in_box(some, torch.where(per_image(sees), moved, probe))
        probing[rows] = ~sees
        still = beaten(part, _overshot(some, delta[rows], options.overshoot), own)
        rows = rows[~still]
    return _overshot(images, delta, options.overshoot)


def _to_nearest(others: Others, here: Tensor, probing: Tensor, norm: Norm) -> tuple[Tensor, Tensor]:
    """The step to the nearest linearised boundary, and where some class has a gradient (image,).

    From a random point the step is taken from the image instead: the random part is dropped.
    """
    along = (others.gradients * here).flatten(2).sum(2)
    margins = torch.where(probing, others.margins - along, others.margins)
    distances, order = replace(others, margins=margins).nearest_first(norm)
    rows = torch.arange(len(here), device=here.device)
    distance = distances[order[0], rows]
    sees = distance.isfinite()
    # A little further, or steps towards a boundary in the box end in rounding before they cross it.
    reach = distance + SMALLEST_STEP * (distance + length(here, norm))
    direction = steepest(others.gradients[order[0], rows], norm)
    return -per_image(torch.where(sees, reach, 0)) * direction, sees


def _probe(images: Tensor, step: int, options: DeepFool) -> Tensor:
    """A random perturbation, longer at each step (image, ...)."""
    largest = farthest(images, options.norm)
    reach = torch.minimum(FIRST_PROBE * 2.0**step * largest, largest)
    return per_image(reach) * noise(images, options.seed + step, options.norm)


def _overshot(images: Tensor, delta: Tensor, overshoot: float) -> Tensor:
    return images + in_box(images, (1 + overshoot) * delta)
