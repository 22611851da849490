"""PGD (Madry et al. 2018, arXiv 1706.06083) at the smallest radius that succeeds, l2 and linf."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.bisect import Bisected, Brackets
from zoo_eval.numerics.attacks.logits import Logits, at_rows, beaten, gradients
from zoo_eval.numerics.attacks.norms import in_box, noise, per_image, project, steepest, usable


@dataclass(frozen=True)
class PGDBisect(Bisected):
    """Projected gradient descent on the margin, bisected over the radius image by image.

    Each run has `steps` steps of `stride` radii / steps, from the nearest success so far, pulled back
    to the radius. With `leave` False solved and hopeless images stay in the batch until the last is
    done: the same distances for more passes, to compare with.
    """

    name: ClassVar[str] = "pgd_bisect"

    stride: float = 2.5
    leave: bool = True

    def __post_init__(self) -> None:
        if min(self.steps, self.rounds) < 1 or min(self.stride, self.tolerance) <= 0:
            raise ValueError("pgd_bisect needs steps, rounds >= 1 and stride, tolerance > 0")

    @property
    def brackets(self) -> Brackets:
        return replace(super().brackets, leave=self.leave)

    def within(
        self, logits: Logits, images: Tensor, labels: Tensor, radii: Tensor, near: Tensor
    ) -> tuple[Tensor, Tensor]:
        points = images + project(near - images, radii, self.norm)
        rows = everyone = torch.arange(len(images), device=images.device)
        for step in range(self.steps):
            asked = rows if self.leave else everyone
            margin, gradient = gradients(at_rows(logits, asked), points[asked], labels[asked])
            going = (margin >= 0).nonzero()[:, 0]
            rows, some, gradient = asked[going], images[asked[going]], gradient[going]
            if not len(rows):
                break
            radius = radii[rows]
            stride = per_image(self.stride * radius / self.steps)
            delta = points[rows] - some - stride * steepest(gradient, self.norm)
            # Without a gradient, somewhere else on the surface of the ball.
            lost = per_image(radius) * noise(some, self.seed + step, self.norm)
            delta = torch.where(per_image(usable(gradient)), delta, lost)
            points[rows] = some + in_box(some, project(delta, radius, self.norm))
        success = torch.ones(len(images), dtype=torch.bool, device=images.device)
        if len(rows):
            success[rows] = beaten(at_rows(logits, rows), points[rows], labels[rows])
        return points, success
