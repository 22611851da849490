"""The smallest radius at which a fixed-budget attack succeeds, each image with its own bracket.

The attack is asked again at radii between one that failed and one that succeeded, and told the nearest
success so far, from which it may start. An image whose bracket is narrow enough leaves the batch, and
so does one that fails at the largest radius that the box allows.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.logits import Batch, Logits
from zoo_eval.numerics.attacks.norms import DENSE, Norm, farthest, length, per_image

# Images, labels, radii (image,) and the nearest successes so far, the images themselves where there
# are none -> the attack's points, and where they are misclassified (image,).
FixedBudget = Callable[[Logits, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Brackets:
    """The first radius, the factor to the next while a bracket is open, and when it is narrow.

    `first` is the radius as a share of the longest perturbation in the box.
    With `leave` False every image stays until the last is done, at its last radius, which gives the
    same result for more passes: a comparison.
    """

    first: float = 0.02
    factor: float = 4.0
    tolerance: float = 0.02
    rounds: int = 24
    leave: bool = True


@dataclass(frozen=True)
class Bisected(ABC):
    """An attack with a fixed budget, `steps` within a radius, at the smallest radius that succeeds."""

    norms: ClassVar[tuple[Norm, ...]] = DENSE
    batched: ClassVar[bool] = True
    bound: ClassVar[float] = 1.15
    blind_bound: ClassVar[float] = 8

    steps: int = 20
    tolerance: float = 0.02
    rounds: int = 24
    seed: int = 0
    norm: Norm = "l2"

    @property
    def brackets(self) -> Brackets:
        return Brackets(tolerance=self.tolerance, rounds=self.rounds)

    def perturb(self, logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        batch = Batch(logits, images, labels)
        return smallest_radius(self.within, batch, norm=self.norm, brackets=self.brackets)

    @abstractmethod
    def within(
        self, logits: Logits, images: Tensor, labels: Tensor, radii: Tensor, near: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Points within the radii, and where they are misclassified; those leave the batch.

        `near` are the points to start from, once they are within the radii.
        """

    def passes_per_image(self) -> int:
        return 1 + self.rounds * (2 * self.steps + 1)


def smallest_radius(attack: FixedBudget, batch: Batch, *, norm: Norm, brackets: Brackets) -> Tensor:
    """The nearest misclassified images met (image, channel, row, column).

    An image misclassified as it is comes back unchanged, and so does a hopeless one.
    """
    images = batch.images
    largest = farthest(images, norm)
    low, high = torch.zeros_like(largest), torch.full_like(largest, torch.inf)
    # Every image has the radii of one grid, so that images at the same place share a call.
    everywhere = float(length(torch.ones_like(images[:1], dtype=torch.float64), norm))
    radius = torch.full_like(largest, brackets.first * everywhere)
    radius = torch.minimum(radius, largest)
    best, shortest = images.clone(), torch.full_like(largest, torch.inf)
    wrong = batch.beaten(images)
    searching = ~wrong
    for _ in range(brackets.rounds):
        rows = (searching if brackets.leave else ~wrong).nonzero()[:, 0]
        if not searching.any():
            break
        part = batch.at(rows)
        points, success = attack(part.logits, part.images, part.labels, radius[rows], best[rows])
        distance = length(points - part.images, norm)
        nearer = success & (distance < shortest[rows]) & searching[rows]
        best[rows] = torch.where(per_image(nearer), points, best[rows])
        shortest[rows] = torch.where(nearer, distance, shortest[rows])
        going = searching[rows]
        high[rows] = torch.where(success & going, radius[rows], high[rows])
        low[rows] = torch.where(~success & going, radius[rows], low[rows])
        hopeless = low >= largest
        narrow = high <= low * (1 + brackets.tolerance)
        searching = searching & ~hopeless & ~narrow
        radius = torch.where(searching, _next(low, high, largest, brackets.factor), radius)
    return best


def _next(low: Tensor, high: Tensor, largest: Tensor, factor: float) -> Tensor:
    """Outward by the factor without a success, inward without a failure, else the geometric mean."""
    outward = torch.minimum(low * factor, largest)
    inward = torch.where(low > 0, (low * high).sqrt(), high / factor)
    return torch.where(high.isinf(), outward, inward)
