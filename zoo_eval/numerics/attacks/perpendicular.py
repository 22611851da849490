"""The foot of the perpendicular: this project's own attack, made to need few gradients.

The nearest boundary point is where the line from the image meets the boundary at a right angle. The
attack keeps a direction for each image and the point where it should meet the boundary; there it
takes the boundary's normal, the gradient of the margin over the best other class, turns the direction
towards it by a share that falls over the steps (so that normals are averaged, as a network's boundary
is a patchwork), and moves to where the linearised boundary meets the new direction. One forward and
one backward pass a step.

Which class lies nearest is decided first: a few steps towards each of the classes that are nearest
on linearisation at the image (as in DeepFool, Moosavi-Dezfooli et al. 2016), then the shortest goes
on. Linearised boundaries met from the image are also the idea of FAB (Croce & Hein 2020, arXiv
1907.02044), the averaged direction with a separate length that of DDN (Rony et al. 2019).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.logits import (
    Batch,
    Logits,
    Others,
    class_gradients,
    duel,
)
from zoo_eval.numerics.attacks.norms import (
    DENSE,
    TINY,
    Norm,
    farthest,
    length,
    noise,
    per_image,
    unit,
    usable,
)
from zoo_eval.numerics.attacks.shortest import shorter

FIRST_TURN, TRIAL_TURN, LAST_TURN = 0.8, 0.5, 0.05
# Points are put this share beyond the boundary, so that most of them succeed.
OVERSHOOT = 1e-3
SHRINK, GROW = 0.6, 1.6
LONGEST = 1e4
# Steps of a trial that see no class but its own.
TOWARDS = 2
# A start is left out where its linearised distance is this much longer than what was found.
FAR = 1.5
STRETCHES = (1.0, 1.003, 1.01, 1.03, 1.1, 1.3, 2.0, 4.0, 10.0, 40.0)


@dataclass(frozen=True)
class Perpendicular:
    """Directions turned towards the boundary's normal, from the nearest of a few classes.

    `classes` are compared by linearisation at the image, `starts` of them tried for `trial_steps`
    steps, and the best continued for `steps`.
    """

    name: ClassVar[str] = "perpendicular"
    norms: ClassVar[tuple[Norm, ...]] = DENSE
    batched: ClassVar[bool] = True
    bound: ClassVar[float] = 1.2
    blind_bound: ClassVar[float] = 12

    steps: int = 33
    classes: int = 5
    starts: int = 3
    trial_steps: int = 5
    seed: int = 0
    norm: Norm = "l2"

    def __post_init__(self) -> None:
        if min(self.steps, self.classes, self.starts, self.trial_steps) < 1:
            raise ValueError(
                "perpendicular needs steps, classes, starts and trial_steps of at least 1"
            )

    def perturb(self, logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        return perpendicular(logits, images, labels, self)

    def passes_per_image(self) -> int:
        trial = 2 * (TOWARDS + self.trial_steps) + len(STRETCHES)
        return 1 + self.classes + self.starts * trial + passes_of_refining(self.steps)


@dataclass(eq=False)
class _Walk:
    """Where some images stand: directions of l2 norm 1, lengths along them and the best so far."""

    direction: Tensor
    length: Tensor
    best: Tensor
    shortest: Tensor
    blind: Tensor

    @classmethod
    def along(cls, directions: Tensor, lengths: Tensor, images: Tensor) -> "_Walk":
        nothing = torch.full_like(lengths, torch.inf)
        return cls(directions.clone(), lengths.clone(), images.clone(), nothing, nothing < 0)

    def at(self, rows: Tensor) -> "_Walk":
        return _Walk(*(values[rows] for values in vars(self).values()))

    def put(self, rows: Tensor, other: "_Walk") -> None:
        for mine, others in zip(vars(self).values(), vars(other).values(), strict=True):
            mine[rows] = others

    def point(self, images: Tensor, norm: Norm, stretch: float = 1.0) -> Tensor:
        step = _step(self.direction, norm)
        return (images + per_image(self.length * stretch) * step).clamp(0, 1)

    def keep(self, points: Tensor, lengths: Tensor, adversarial: Tensor) -> None:
        found = shorter(self.best, self.shortest, points, lengths, adversarial)
        self.best, self.shortest = found


def perpendicular(logits: Logits, images: Tensor, labels: Tensor, options: Perpendicular) -> Tensor:
    """The nearest misclassified images met (image, channel, row, column), in [0, 1].

    An image misclassified as it is comes back unchanged, one that no point misclassified as the last
    point tried.

    Args:
        logits: images -> (image, class).
        images: float32 (image, channel, row, column) in [0, 1].
        labels: (image,).
        options: the number of steps, and the norm.
    """
    others = class_gradients(logits, images, labels, options.classes)
    found = images.clone()
    rows = (others.margins[0] >= 0).nonzero()[:, 0]
    if len(rows):
        part = Batch(logits, images, labels).at(rows)
        walk = _nearest_start(part, others.at(rows), options)
        _follow(part, walk, _falling_turns(options.steps), options)
        _stretch(part, walk, options.norm)
        found[rows] = walk.best
    return found


def refine(
    batch: Batch, candidates: Tensor, options: Perpendicular, *, stretch: float = 1.0
) -> Tensor:
    """Other attacks' successful candidates, walked on from for `steps`; never longer ones.

    Candidates are of the images' shape, and all misclassified. The walk starts at `stretch` times their length: short of the boundary or beyond it other parts of a
    network are active, and may show a nearer way.
    """
    delta = candidates - batch.images
    reach = length(delta, options.norm)
    walk = _Walk(unit(delta), stretch * reach, candidates.clone(), reach, reach < 0)
    _follow(batch, walk, _falling_turns(options.steps), options)
    _stretch(batch, walk, options.norm)
    return walk.best


def passes_of_refining(steps: int) -> int:
    """Forward and backward passes per image of `refine`, at most."""
    return 2 * steps + len(STRETCHES)


def _falling_turns(steps: int) -> list[float]:
    half = (FIRST_TURN - LAST_TURN) / 2
    return [LAST_TURN + half * (1 + math.cos(math.pi * i / steps)) for i in range(steps)]


def _nearest_start(batch: Batch, others: Others, options: Perpendicular) -> _Walk:
    """The walk that comes nearest in a few steps, first towards one of the nearest classes each."""
    distances, order = others.nearest_first(options.norm)
    everyone = torch.arange(len(batch), device=batch.images.device)
    farther = farthest(batch.images, options.norm) / 2
    best: _Walk | None = None
    for choice in order[: options.starts]:
        near = distances[choice, everyone]
        normal = others.gradients[choice, everyone]
        tried = _Walk.along(-unit(normal), near.clamp(min=TINY).minimum(farther), batch.images)
        rows = everyone if best is None else (near <= FAR * best.shortest).nonzero()[:, 0]
        if not len(rows):
            continue
        tried, part = tried.at(rows), batch.at(rows)
        one = duel(part.logits, part.labels, others.classes[choice, everyone][rows])
        alone = Batch(one, part.images, torch.zeros_like(part.labels))
        _follow(alone, tried, [1.0] * TOWARDS, options)
        _follow(part, tried, [TRIAL_TURN] * options.trial_steps, options)
        _stretch(part, tried, options.norm)
        if best is None:
            best = tried
        else:
            better = (tried.shortest < best.shortest[rows]).nonzero()[:, 0]
            best.put(rows[better], tried.at(better))
    assert best is not None
    return best


def _follow(batch: Batch, walk: _Walk, turns: Sequence[float], options: Perpendicular) -> None:
    """Turns each direction towards the normal where it meets the boundary, and meets it again."""
    norm, images = options.norm, batch.images
    for step, turn in enumerate(turns):
        points = walk.point(images, norm)
        margin, gradient = batch.gradients(points)
        delta = points - images
        walk.keep(points, length(delta, norm), margin < 0)
        sees = usable(gradient)
        lost = noise(images, options.seed + step)
        # A direction taken at random has nothing to keep.
        kept = per_image(torch.where(walk.blind, 0.0, 1.0 - turn))
        turned = torch.where(
            per_image(sees),
            unit(kept * walk.direction - turn * unit(gradient)),
            torch.where(per_image(margin < 0), walk.direction, lost),
        )
        boundary = _Linearised(points, margin, gradient)
        met = boundary.met(images, _step(turned, norm), walk.length) * (1 + OVERSHOOT)
        # Without a gradient, back where it succeeds and further out where it does not.
        blind = torch.where(margin < 0, walk.length / 2, (2 * walk.length).clamp(max=LONGEST))
        walk.direction, walk.length = turned, torch.where(sees, met, blind)
        walk.blind = ~sees & ~(margin < 0)


def _step(direction: Tensor, norm: Norm) -> Tensor:
    """The steepest step along directions whose l2 norm is 1."""
    return direction if norm == "l2" else direction.sign()


@dataclass(frozen=True, eq=False)
class _Linearised:
    """The boundary as it looks from points: margins there (image,) and their gradients."""

    points: Tensor
    margin: Tensor
    gradient: Tensor

    def met(self, images: Tensor, step: Tensor, guess: Tensor) -> Tensor:
        """The length at which clip(image + length * step) meets it (image,).

        Two of Newton's steps: one is exact until pixels reach the box.
        """
        found, slopes = guess, self.gradient * step
        for _ in range(2):
            wanted = torch.addcmul(images, per_image(found), step)
            inside = wanted.clamp(0, 1)
            value = self.margin + _dot(self.gradient, inside - self.points)
            slope = _dot(slopes, (inside == wanted).to(slopes.dtype))
            found = torch.where(slope < 0, found - value / slope, found)
            # Far off the boundary, and with most pixels at the box, the linearisation says little.
            found = found.clamp(guess * SHRINK, guess * GROW)
        return torch.where(found.isfinite(), found, guess)


def _dot(first: Tensor, second: Tensor) -> Tensor:
    """Sums of products over everything but the image (image,)."""
    return (first * second).flatten(1).sum(1)


def _stretch(batch: Batch, walk: _Walk, norm: Norm) -> None:
    """The last direction, a little longer each time until it succeeds, while it is worth it."""
    rows = torch.arange(len(batch), device=batch.images.device)
    for stretch in STRETCHES:
        some, part = batch.at(rows), walk.at(rows)
        points = part.point(some.images, norm, stretch)
        lengths = length(points - some.images, norm)
        adversarial = some.beaten(points)
        part.keep(points, lengths, adversarial)
        walk.put(rows, part)
        rows = rows[~adversarial & (lengths < part.shortest)]
        if not len(rows):
            return
