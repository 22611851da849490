"""Greedy counts: this project's own attack in l0, made to need few gradients.

On linearisation the fewest changes are known: values (or positions) go to the bounds that lower the
margin, those that gain most first. The attack makes those, linearises again where they lead and adds
what is still lacking, until the decision changes; where that leads to and fro, it goes on in all values at
once. Then it undoes changes, those of least use first, as many as bisection finds, and exchanges some for
others with fewer in all. Saliency in the order of gains is also the idea of JSMA (Papernot et al. 2016,
arXiv 1511.07528).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo_eval.numerics.attacks import linearised
from zoo_eval.numerics.attacks.logits import Batch, Logits, class_gradients
from zoo_eval.numerics.attacks.norms import (
    COUNTS,
    Norm,
    filled,
    length,
    per_image,
    per_unit,
    somewhere,
    units,
    usable,
)

# A linearisation is trusted for so many times more changes than there are.
GROW = 1.5
# After so many steps linearisation has promised too much.
PATIENCE = 12
UNCHANGED = 1e30
# Of the way to where linearisation has the boundary.
BEYOND = 1.1
# So many times the changes are tried as others.
LIKELY = 2
# A gradient and the bisection of a count of at most 2^22.
PRUNING_PASSES = 2 + 22


@dataclass(frozen=True)
class Greedy:
    """Changes added by linearised gain until the decision changes, then those not needed undone.

    At most `steps` add changes; then each of `rounds` tries a share `exchanged` fewer of them, the
    best of those that are made and of others.
    """

    name: ClassVar[str] = "greedy"
    norms: ClassVar[tuple[Norm, ...]] = COUNTS
    batched: ClassVar[bool] = True
    bound: ClassVar[float] = 1.5
    blind_bound: ClassVar[float] = 4

    steps: int = 30
    rounds: int = 10
    classes: int = 5
    exchanged: float = 0.05
    seed: int = 0
    norm: Norm = "l0_values"

    def __post_init__(self) -> None:
        if min(self.steps, self.classes) < 1 or self.rounds < 0 or not 0 < self.exchanged <= 1:
            raise ValueError("greedy needs steps, classes >= 1, rounds >= 0 and 0 < exchanged <= 1")

    def perturb(self, logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        return greedy(logits, images, labels, self)

    def passes_per_image(self) -> int:
        return 1 + self.classes + 4 * self.steps + 1 + passes_of_refining(self.rounds)


def greedy(logits: Logits, images: Tensor, labels: Tensor, options: Greedy) -> Tensor:
    """The misclassified images with the fewest changes met (image, channel, row, column), in [0, 1].

    An image misclassified as it is comes back unchanged, one that no point misclassified as the last
    point tried.

    Args:
        logits: images -> (image, class).
        images: float32 (image, channel, row, column) in [0, 1].
        labels: (image,).
        options: how many steps and rounds, and what is counted.
    """
    others = class_gradients(logits, images, labels, options.classes)
    found = images.clone()
    rows = (others.margins[0] >= 0).nonzero()[:, 0]
    if not len(rows):
        return found
    part = Batch(logits, images, labels).at(rows)
    seen = others.at(rows)
    choice, start = linearised.nearest(part.images, seen, options.norm)
    clean = seen.gradients[choice, torch.arange(len(rows), device=images.device)]
    delta, solved = _added(part, start, clean, options)
    solved_rows = solved.nonzero()[:, 0]
    if len(solved_rows):
        some = part.at(solved_rows)
        kept = pruned(some, delta[solved_rows], clean[solved_rows], options.norm)
        delta[solved_rows] = exchanged(some, kept, clean[solved_rows], options)
    found[rows] = part.images + delta
    return found


def refine(batch: Batch, candidates: Tensor, options: Greedy) -> Tensor:
    """Other attacks' successful candidates, pruned and exchanged; never with more changes."""
    _, clean = batch.gradients(batch.images)
    kept = pruned(batch, candidates - batch.images, clean, options.norm)
    return batch.images + exchanged(batch, kept, clean, options)


def passes_of_refining(rounds: int) -> int:
    """Forward and backward passes per image of `refine`, at most."""
    return 2 + PRUNING_PASSES + rounds * (4 + 1 + PRUNING_PASSES)


def _added(batch: Batch, start: Tensor, clean: Tensor, options: Greedy) -> tuple[Tensor, Tensor]:
    """Perturbations with changes added until the decision changes, and where it did (image,)."""
    delta, norm = start.clone(), options.norm
    solved = torch.zeros(len(batch), dtype=torch.bool, device=start.device)
    for step in range(options.steps):
        rows = (~solved).nonzero()[:, 0]
        if not len(rows):
            break
        some = batch.at(rows)
        margin, gradient = some.gradients(some.images + delta[rows])
        solved[rows] = margin < 0
        boundary = _Boundary(margin, gradient, clean[rows])
        longer = boundary.lengthened(some.images, delta[rows], norm, trusting=step < PATIENCE)
        count = 2 * length(delta[rows], norm) + 1
        blind = somewhere(some.images, count, options.seed + step, norm)
        moves = (longer != delta[rows]).flatten(1).any(1)
        sees = per_image(usable(gradient) & moves)
        going = per_image(margin >= 0)
        delta[rows] = torch.where(going, torch.where(sees, longer, blind), delta[rows])
    rows = (~solved).nonzero()[:, 0]
    if len(rows):
        some = batch.at(rows)
        delta[rows] = _descended(some, delta[rows], options.steps)
        solved[rows] = some.beaten(some.images + delta[rows])
    return delta, solved


def _descended(batch: Batch, delta: Tensor, steps: int) -> Tensor:
    """Perturbations that go on in all values at once, a little beyond where linearisation has the boundary.

    What is not needed of them is undone afterwards: for what additions move to and fro.
    """
    for _ in range(steps):
        margin, gradient = batch.gradients(batch.images + delta)
        going = per_image((margin >= 0) & usable(gradient))
        if not going.any():
            break
        squared = gradient.square().flatten(1).sum(1).clamp(min=torch.finfo(gradient.dtype).tiny)
        move = per_image(BEYOND * margin / squared) * gradient
        moved = (batch.images + delta - move).clamp(0, 1) - batch.images
        delta = torch.where(going, moved, delta)
    return delta


@dataclass(frozen=True, eq=False)
class _Boundary:
    """What is known of it: margins (image,) and gradients at points, and gradients at the images."""

    margin: Tensor
    gradient: Tensor
    clean: Tensor

    def lengthened(
        self, images: Tensor, delta: Tensor, norm: Norm, *, trusting: bool = True
    ) -> Tensor:
        """The perturbations with what linearisation lacks added: one change or more, `GROW` times at most.

        What is changed already goes to the bound that is better now, or, where the gradient has
        turned on the way, to where it is 0 if it changes evenly. Without trust in linearisation as
        many changes as may be are added.
        """
        points, gradient = images + delta, self.gradient
        changed = per_unit(units(delta.abs(), norm) > 0, delta, norm)
        turned = (gradient * self.clean < 0) & (delta * self.clean < 0)
        back = -delta * gradient / torch.where(turned, gradient - self.clean, 1.0)
        moves = torch.where(turned, back, linearised.downhill(points, gradient))
        gains = (moves * gradient).abs()
        free = (gains * changed).flatten(1).sum(1)
        left = (self.margin - free).clamp(min=0)
        lacking = length(linearised.way(points, left, gradient * ~changed, norm), norm)
        count = length(delta, norm)
        most = (count * (GROW - 1)).floor().clamp(min=1)
        # Where what is changed already may be enough by itself, nothing is added before that is tried.
        most = torch.where(left > 0, most, 0.0) if not trusting else lacking.minimum(most)
        more = most.maximum((left > 0).to(count.dtype))
        added = filled(gains * ~changed, moves * ~changed, more, norm)
        return (points + moves * changed + added).clamp(0, 1) - images


def pruned(batch: Batch, delta: Tensor, clean: Tensor, norm: Norm) -> Tensor:
    """Successful perturbations without the changes that are not needed, those of least use first.

    How many may be undone is bisected. Never more changes, and always a success.
    """
    _, gradient = batch.gradients(batch.images + delta)
    scores = _use(delta, gradient, clean, norm)
    high = length(delta, norm)
    low = torch.zeros_like(high)
    best = delta.clone()
    while len(rows := (high - low > 1).nonzero()[:, 0]):
        some, middle = batch.at(rows), ((low[rows] + high[rows]) / 2).floor()
        tried = filled(scores[rows], delta[rows], middle, norm)
        wrong = some.beaten(some.images + tried)
        best[rows] = torch.where(per_image(wrong), tried, best[rows])
        high[rows] = torch.where(wrong, middle, high[rows])
        low[rows] = torch.where(wrong, low[rows], middle)
    return best


def exchanged(batch: Batch, delta: Tensor, clean: Tensor, options: Greedy) -> Tensor:
    """Successful perturbations after rounds of exchanges with fewer changes; never with more.

    Each round goes on from the last one's choice, whether that succeeded or not.
    """
    norm, images = options.norm, batch.images
    best, tried = delta.clone(), delta
    for _ in range(options.rounds):
        fewest = length(best, norm)
        fewer = fewest - (options.exchanged * fewest).floor().clamp(min=1)
        tried = _chosen_again(batch, tried, clean, fewer, norm)
        rows = (batch.beaten(images + tried) & (fewest > 1)).nonzero()[:, 0]
        if len(rows):
            kept = pruned(batch.at(rows), tried[rows], clean[rows], norm)
            best[rows] = kept
            tried = tried.clone()
            tried[rows] = kept
    return best


def _chosen_again(batch: Batch, delta: Tensor, clean: Tensor, counts: Tensor, norm: Norm) -> Tensor:
    """The `counts` (image,) best of the changes that are made and of the likeliest others.

    What the others gain is measured by the gradients here and where they all are made: a change is
    worth the mean of both, and ends where the gradient in between is 0.
    """
    points = batch.images + delta
    _, here = batch.gradients(points)
    changed = per_unit(units(delta.abs(), norm) > 0, delta, norm)
    moves = linearised.downhill(points, here) * ~changed
    moves = filled((moves * here).abs(), moves, LIKELY * (counts + 1), norm)
    _, there = batch.gradients(points + moves)
    turned = here * there < 0
    share = torch.where(turned, here / torch.where(turned, here - there, 1.0), 1.0)
    gains = -moves * share * (here + torch.where(turned, 0.0, there)) / 2
    scores = torch.where(changed, _use(delta, here, clean, norm), gains)
    return filled(scores, delta + share * moves, counts, norm)


def _use(delta: Tensor, gradient: Tensor, clean: Tensor, norm: Norm) -> Tensor:
    """How much each change lowers the margin, by the mean of the gradients at both of its ends.

    Without a gradient, its size; far below everything where nothing is changed.
    """
    use = -(gradient + clean) / 2 * delta
    use = torch.where(per_image(usable(gradient)), use, delta.abs())
    changed = per_unit(units(delta.abs(), norm) > 0, delta, norm)
    return torch.where(changed, use, -UNCHANGED)
