"""FMN: fast minimum-norm attack (Pintor et al. 2021, arXiv 2102.12827, algorithm 1), l2, linf and l1.

In l1 it is the ensemble's alone: near the box it fails the conformance suite by itself.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.logits import Logits, beaten, gradients
from zoo_eval.numerics.attacks.norms import (
    DENSE,
    TINY,
    Norm,
    dual_length,
    farthest,
    in_box,
    length,
    per_image,
    project,
    somewhere,
    unit,
    usable,
)
from zoo_eval.numerics.attacks.shortest import shorter

# The first radius where there is no gradient, as a share of the longest perturbation in the box.
FIRST_SHARE = 0.02


@dataclass(frozen=True)
class FMN:
    """A radius that follows the boundary, and steps along the margin's gradient projected onto it.

    The step is `alpha` times the radius, falling to a hundredth of that, and the radius changes by
    the share `gamma`, falling to `final_gamma`. The paper's step is in pixels; as a share of the
    radius it suits every image size and every minimum.
    """

    name: ClassVar[str] = "fmn"
    norms: ClassVar[tuple[Norm, ...]] = DENSE
    batched: ClassVar[bool] = True
    bound: ClassVar[float] = 1.15
    blind_bound: ClassVar[float] = 1.15

    steps: int = 100
    alpha: float = 1.0
    gamma: float = 0.05
    final_gamma: float = 0.001
    seed: int = 0
    norm: Norm = "l2"

    def __post_init__(self) -> None:
        if self.steps < 1 or self.alpha <= 0 or not 0 < self.final_gamma <= self.gamma < 1:
            raise ValueError("fmn needs steps >= 1, alpha > 0 and 0 < final_gamma <= gamma < 1")

    def perturb(self, logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        return fmn(logits, images, labels, self)

    def passes_per_image(self) -> int:
        return 2 * self.steps + 1


def fmn(logits: Logits, images: Tensor, labels: Tensor, options: FMN) -> Tensor:
    """The nearest misclassified images on the way (image, channel, row, column), in [0, 1].

    An image that never was misclassified comes back as the last point.

    Args:
        logits: images -> (image, class).
        images: float32 (image, channel, row, column) in [0, 1].
        labels: (image,).
        options: step sizes and the norm.
    """
    norm, steps = options.norm, options.steps
    delta = torch.zeros_like(images)
    best = images.clone()
    shortest = images.new_full((len(images),), torch.inf)
    radius = shortest.clone()
    largest = farthest(images, norm)
    for step in range(steps):
        fall = (1 + math.cos(math.pi * step / steps)) / 2
        gamma = options.final_gamma + (options.gamma - options.final_gamma) * fall
        alpha = options.alpha * (0.01 + 0.99 * fall)
        points = images + delta
        margin, gradient = gradients(logits, points, labels)
        distance, adversarial = length(delta, norm), margin < 0
        best, shortest = shorter(best, shortest, points, distance, adversarial)
        # Before the first success the boundary is where it would be if the margin were linear.
        reach = distance + margin.abs() / dual_length(gradient, norm).clamp(min=TINY)
        outward = torch.where(shortest.isinf(), reach, radius * (1 + gamma))
        sees = usable(gradient)
        blind = 2 * torch.maximum(distance, FIRST_SHARE * largest)
        outward = torch.where(sees, torch.maximum(outward, distance * (1 + gamma)), blind)
        inward = torch.minimum(radius * (1 - gamma), shortest)
        radius = torch.where(adversarial, inward, outward).minimum(largest)
        ahead = delta - alpha * _stride(gradient, radius, norm)
        # Without a gradient and a success, somewhere else on the surface of the ball.
        lost = somewhere(images, radius, options.seed + step, norm)
        ahead = torch.where(per_image(sees | adversarial), ahead, lost)
        delta = in_box(images, project(ahead, radius, norm))
    adversarial = beaten(logits, images + delta, labels)
    return shorter(best, shortest, images + delta, length(delta, norm), adversarial)[0]


def _stride(gradient: Tensor, radius: Tensor, norm: Norm) -> Tensor:
    """The gradient as the paper has it, of l2 norm 1, in the size of the ball (image, ...)."""
    size = radius * gradient[0].numel() ** 0.5 if norm == "linf" else radius
    return per_image(size) * unit(gradient)
