"""sigma-zero (Cinà et al. 2025, arXiv 2402.01879, algorithm 1), over channel values or positions.

It has no name in the registry: near the box, and where there is no gradient, it fails the conformance
suite. The ensemble takes it for what greedy does not see.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.greedy import PRUNING_PASSES, pruned
from zoo_eval.numerics.attacks.logits import Batch, Logits, beaten, margins
from zoo_eval.numerics.attacks.norms import (
    COUNTS,
    TINY,
    Norm,
    finite,
    in_box,
    length,
    per_image,
    per_unit,
    somewhere,
    units,
    usable,
)
from zoo_eval.numerics.attacks.shortest import shorter


@dataclass(frozen=True)
class SigmaZero:
    """Descent on the margin plus a smooth count, and a threshold below which changes are undone.

    The smooth count is the mean of v^2 / (v^2 + `sigma`), of positions with v^2 added over channels.
    Each step is `step_size` along the gradient, divided by its largest value; it falls to 0 along a
    cosine. `threshold` grows by `threshold_rate` steps where the image is misclassified, and shrinks
    where not. The margin is in units of the clean one: the paper's balance with the count hangs on the
    logits' scale. Where there is no gradient, ever more values go to bounds at random. At the end the
    changes that are not needed are undone.
    """

    norms: ClassVar[tuple[Norm, ...]] = COUNTS
    batched: ClassVar[bool] = True
    bound: ClassVar[float] = math.inf
    blind_bound: ClassVar[float] = math.inf

    steps: int = 100
    step_size: float = 1.0
    sigma: float = 1e-3
    threshold: float = 0.3
    threshold_rate: float = 0.01
    seed: int = 0
    norm: Norm = "l0_values"

    def __post_init__(self) -> None:
        if self.steps < 1 or min(self.step_size, self.sigma, self.threshold_rate) <= 0:
            raise ValueError("sigma_zero needs steps >= 1, step_size, sigma, threshold_rate > 0")

    def perturb(self, logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        found = sigma_zero(logits, images, labels, self)
        changed = length(found - images, self.norm) > 0
        rows = (changed & beaten(logits, found, labels)).nonzero()[:, 0]
        if len(rows):
            part = Batch(logits, images, labels).at(rows)
            _, clean = part.gradients(part.images)
            delta = found[rows] - part.images
            found[rows] = part.images + pruned(part, delta, clean, self.norm)
        return found

    def passes_per_image(self) -> int:
        return 2 * self.steps + 2 + 2 + PRUNING_PASSES


def sigma_zero(logits: Logits, images: Tensor, labels: Tensor, options: SigmaZero) -> Tensor:
    """The misclassified images with the fewest changes on the way (image, channel, row, column).

    An image that never was misclassified comes back as the last point.

    Args:
        logits: images -> (image, class).
        images: float32 (image, channel, row, column) in [0, 1].
        labels: (image,).
        options: steps, thresholds and what is counted.
    """
    norm = options.norm
    delta = torch.zeros_like(images)
    threshold = torch.full_like(images[:, 0, 0, 0], options.threshold)
    best, fewest = images.clone(), torch.full_like(threshold, torch.inf)
    unit = torch.ones_like(threshold)
    for step in range(options.steps):
        size = options.step_size * (1 + math.cos(math.pi * step / options.steps)) / 2
        margin, gradient = _descent(Batch(logits, images, labels), delta, unit, options)
        unit = margin.abs().clamp(min=TINY) if step == 0 else unit
        best, fewest = shorter(best, fewest, images + delta, length(delta, norm), margin < 0)
        sees = usable(gradient) | (margin < 0)
        largest = gradient.flatten(1).abs().amax(1).clamp(min=TINY)
        moved = in_box(images, delta - per_image(size / largest) * gradient)
        sizes = units(moved.square(), norm).sqrt()
        moved = moved * per_unit(sizes >= threshold[:, None], moved, norm)
        count = 2 * length(delta, norm) + 1
        moved_blindly = somewhere(images, count, options.seed + step, norm)
        delta = torch.where(per_image(sees), moved, moved_blindly)
        rate = options.threshold_rate * size
        threshold = torch.where(margin < 0, threshold + rate, threshold - rate).clamp(0, 1)
    adversarial = beaten(logits, images + delta, labels)
    return shorter(best, fewest, images + delta, length(delta, norm), adversarial)[0]


def _descent(
    batch: Batch, delta: Tensor, unit: Tensor, options: SigmaZero
) -> tuple[Tensor, Tensor]:
    """Margins (image,) and the gradient of what is descended on, 0 where it is not finite.

    Margins count in `unit` (image,). At the image itself that makes no difference: the count has no
    gradient there.
    """
    moving = delta.clone().requires_grad_()
    with torch.enable_grad():
        margin = margins(batch.logits(batch.images + moving), batch.labels)
        squares = units(moving.square(), options.norm)
        count = (squares / (squares + options.sigma)).mean(1)
        (gradient,) = torch.autograd.grad((margin.clamp(min=0) / unit + count).sum(), moving)
    return margin.detach(), finite(gradient)
