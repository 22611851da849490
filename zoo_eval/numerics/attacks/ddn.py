"""DDN: decoupled direction and norm (Rony et al. 2019, arXiv 1811.09600, algorithm 1)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from zoo_eval.numerics.attacks.logits import Logits
from zoo_eval.numerics.attacks.norms import Norm, finite, length, noise, per_image, unit, usable
from zoo_eval.numerics.attacks.shortest import shorter

MARGIN = 10.0
FINAL_STEP = 0.01


@dataclass(frozen=True)
class DDN:
    """The norm grows or shrinks by `gamma` each step; the direction follows the gradient.

    The first radius is `init_epsilon`, in l2 of [0, 1] pixels; `seed` is of the directions taken
    where the gradient is zero.
    """

    name: ClassVar[str] = "ddn"
    norms: ClassVar[tuple[Norm, ...]] = ("l2",)
    batched: ClassVar[bool] = True
    norm: ClassVar[Norm] = "l2"
    bound: ClassVar[float] = 1.15
    blind_bound: ClassVar[float] = 1.15

    steps: int = 100
    init_epsilon: float = 1.0
    gamma: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.init_epsilon <= 0 or not 0 < self.gamma < 1:
            raise ValueError("ddn needs steps >= 1, init_epsilon > 0 and 0 < gamma < 1")

    def perturb(self, logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        return ddn(logits, images, labels, self)

    def passes_per_image(self) -> int:
        return 1 + 2 * self.steps + 1


def ddn(logits: Logits, images: Tensor, labels: Tensor, options: DDN) -> Tensor:
    """The nearest misclassified images on the way (image, channel, row, column), in [0, 1].

    An image that never was misclassified comes back at the last radius.

    Args:
        logits: images -> (image, class).
        images: float32 (image, channel, row, column) in [0, 1].
        labels: (image,).
        options: the number of steps, and of the radius where it starts and how it moves.
    """
    steps, gamma = options.steps, options.gamma
    scale = _scale(logits, images, labels)
    epsilon = torch.full_like(scale, options.init_epsilon)
    delta = torch.zeros_like(images)
    best, shortest = images.clone(), torch.full_like(scale, torch.inf)
    for step in range(steps + 1):
        points = (images + delta).requires_grad_(step < steps)
        with torch.set_grad_enabled(step < steps):
            values = logits(points)
        adversarial = values.argmax(1) != labels
        distance = length(delta, "l2")
        best, shortest = shorter(best, shortest, points.detach(), distance, adversarial)
        if step == steps:
            break
        loss = functional.cross_entropy(values / scale[:, None], labels, reduction="sum")
        gradient = finite(torch.autograd.grad(loss, points)[0])
        alpha = FINAL_STEP + (1 - FINAL_STEP) * (1 + math.cos(math.pi * step / steps)) / 2
        # Without a gradient and a success, another direction altogether.
        stays = per_image(usable(gradient) | adversarial)
        elsewhere = noise(images, options.seed + step)
        delta = torch.where(stays, delta + alpha * unit(gradient), elsewhere)
        epsilon = epsilon * torch.where(adversarial, 1 - gamma, 1 + gamma)
        delta = (images + per_image(epsilon) * unit(delta)).clamp(0, 1) - images
    return best


@torch.no_grad()
def _scale(logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
    """What to divide each image's logits by (image,) so that its clean margin is `MARGIN`.

    The minimum does not depend on the scale, but the cross-entropy that DDN follows does: with a
    large margin its float32 gradient is exactly zero and the attack wanders at random; with a
    small one it pulls towards all classes at once instead of the nearest boundary.
    """
    first, second = logits(images).topk(2, dim=1).values.unbind(1)
    return ((first - second) / MARGIN).clamp(min=torch.finfo(first.dtype).tiny)
