"""APGD (Croce & Hein 2020, arXiv 2003.01690, algorithm 1) at the smallest radius that succeeds."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.bisect import Bisected
from zoo_eval.numerics.attacks.logits import Logits, at_rows, beaten, gradients
from zoo_eval.numerics.attacks.norms import (
    Norm,
    in_box,
    noise,
    per_image,
    project,
    steepest,
    usable,
)

MOMENTUM = 0.75
ENOUGH = 0.75
# In percent of the budget.
FIRST_CHECK, SHORTER, SHORTEST_CHECK = 22, 3, 6


@dataclass(frozen=True)
class APGDBisect(Bisected):
    """PGD with momentum that halves an image's step where it stalls, bisected over the radius.

    Each run starts at the nearest success so far, pulled back to the radius.
    """

    name: ClassVar[str] = "apgd_bisect"

    def __post_init__(self) -> None:
        if min(self.steps, self.rounds) < 1 or self.tolerance <= 0:
            raise ValueError("apgd_bisect needs steps, rounds >= 1 and tolerance > 0")

    def within(
        self, logits: Logits, images: Tensor, labels: Tensor, radii: Tensor, near: Tensor
    ) -> tuple[Tensor, Tensor]:
        found = images.clone()
        start = images + project(near - images, radii, self.norm)
        rows = torch.arange(len(images), device=images.device)
        run = _Run.at_start(start, 2 * radii)
        checks = checkpoints(self.steps)
        for step in range(self.steps):
            margin, gradient = gradients(at_rows(logits, rows), run.point, labels[rows])
            found[rows] = run.point
            going = (margin >= 0).nonzero()[:, 0]
            rows, run = rows[going], run.at(going)
            if not len(rows):
                break
            some = images[rows]
            run.note(margin[going], gradient[going], first=step == 0)
            if step in checks:
                run.halve(step - max(c for c in (0, *checks) if c < step))
            run.move(some, radii[rows], self.norm, first=step == 0)
            run.jump(some, radii[rows], noise(some, self.seed + step, self.norm))
        success = torch.ones(len(images), dtype=torch.bool, device=images.device)
        if len(rows):
            found[rows] = run.point
            success[rows] = beaten(at_rows(logits, rows), run.point, labels[rows])
        return found, success


def checkpoints(steps: int) -> set[int]:
    """The steps at which step sizes may be halved: ever closer, from 22 % of the budget."""
    before, percent, found = 0, FIRST_CHECK, set()
    while percent < 100:
        found.add(math.ceil(percent * steps / 100))
        before, percent = percent, percent + max(percent - before - SHORTER, SHORTEST_CHECK)
    return found


@dataclass(eq=False)
class _Run:
    """Where each image of a run stands: (image, ...) throughout."""

    point: Tensor
    previous: Tensor
    step: Tensor
    gradient: Tensor
    margin: Tensor
    lowest: Tensor
    best: Tensor
    best_gradient: Tensor
    n_better: Tensor
    checked_lowest: Tensor
    halved: Tensor

    @classmethod
    def at_start(cls, points: Tensor, steps: Tensor) -> "_Run":
        none = torch.full_like(steps, torch.inf)
        no, zeros = torch.zeros_like(steps, dtype=torch.bool), torch.zeros_like(points)
        return cls(
            points, points, steps, zeros, none, none, points, zeros,
            torch.zeros_like(steps), none, no,
        )  # fmt: skip

    def at(self, rows: Tensor) -> "_Run":
        return _Run(*(values[rows] for values in vars(self).values()))

    def note(self, margin: Tensor, gradient: Tensor, *, first: bool) -> None:
        """Takes in what was found at the point."""
        if not first:
            self.n_better = self.n_better + (margin < self.margin)
        better = margin < self.lowest
        self.lowest = torch.where(better, margin, self.lowest)
        self.best = torch.where(per_image(better), self.point, self.best)
        self.best_gradient = torch.where(per_image(better), gradient, self.best_gradient)
        self.margin, self.gradient = margin, gradient

    def halve(self, n_since: int) -> None:
        """Halves the steps of images that stall and puts them back to their best point (eq. 3, 4)."""
        stalls = self.n_better < ENOUGH * n_since
        stalls |= ~self.halved & (self.lowest >= self.checked_lowest)
        self.step = torch.where(stalls, self.step / 2, self.step)
        self.point = torch.where(per_image(stalls), self.best, self.point)
        self.gradient = torch.where(per_image(stalls), self.best_gradient, self.gradient)
        self.halved, self.checked_lowest = stalls, self.lowest
        self.n_better = torch.zeros_like(self.n_better)

    def move(self, images: Tensor, radii: Tensor, norm: Norm, *, first: bool) -> None:
        """One step down the margin, with momentum after the first."""

        def inside(delta: Tensor) -> Tensor:
            return images + in_box(images, project(delta, radii, norm))

        here = self.point - images
        ahead = inside(here - per_image(self.step) * steepest(self.gradient, norm)) - images
        if not first:
            drift = self.point - self.previous
            ahead = here + MOMENTUM * (ahead - here) + (1 - MOMENTUM) * drift
        self.previous, self.point = self.point, inside(ahead)

    def jump(self, images: Tensor, radii: Tensor, directions: Tensor) -> None:
        """Elsewhere on the surface of the ball, for images without a gradient."""
        elsewhere = images + in_box(images, per_image(radii) * directions)
        lost = per_image(~usable(self.gradient))
        self.point = torch.where(lost, elsewhere, self.point)
        self.previous = torch.where(lost, elsewhere, self.previous)
