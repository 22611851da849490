"""What an attack on one image asks of a network: passes counted, the nearest misclassified query kept."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.logits import Logits

# An image plus a perturbation is outside [0, 1] by rounding alone.
ROUNDING = 1e-6
INFINITE = float("inf")

# Of a perturbation (channel, row, column), float64.
LENGTHS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "l2": lambda delta: delta.norm(),
    "linf": lambda delta: delta.abs().amax(),
    "l1": lambda delta: delta.abs().sum(),
    "l0_values": lambda delta: (delta != 0).sum(),
    "l0_pixels": lambda delta: (delta != 0).any(0).sum(),
}


class Spent(Exception):
    """The budget of propagations is spent: nothing that an attack does from here on counts."""


@dataclass(eq=False)
class Watched:
    """Logits of one image's queries, until its budget of propagations is spent.

    A propagation is one forward or one backward pass of one image. All rows of a batch are queries of
    `image` (channel, row, column) with class `label`. A query counts as found where another class is
    predicted, all logits are finite and it lies in [0, 1]; of these the shortest in each norm is kept.
    The query that comes after the budget ends the attack (`Spent`), and rows of a batch that go beyond
    it count in nothing.
    """

    logits: Logits
    image: Tensor
    label: int
    budget: int
    n_forwards: int = 0
    n_backwards: int = 0
    least: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LENGTHS, INFINITE))
    _shorter: list[tuple[int, Mapping[str, float]]] = field(default_factory=list)

    @property
    def n_propagations(self) -> int:
        return self.n_forwards + self.n_backwards

    def __call__(self, images: Tensor) -> Tensor:
        left = self.budget - self.n_propagations
        if left <= 0:
            raise Spent
        logits = self.logits(images)
        before, counted = self.n_propagations, min(left, len(images))
        self.n_forwards += counted
        self._keep(images.detach()[:counted], logits.detach()[:counted], before)
        if logits.requires_grad:
            logits.register_hook(self._count_backward)  # type: ignore[no-untyped-call]  # torch
        return logits

    def _count_backward(self, gradient: Tensor) -> None:
        self.n_backwards += min(len(gradient), self.budget - self.n_propagations)

    def _keep(self, images: Tensor, logits: Tensor, before: int) -> None:
        inside = (images >= -ROUNDING) & (images <= 1 + ROUNDING)
        found = logits.isfinite().all(1) & (logits.argmax(1) != self.label)
        for place in (found & inside.flatten(1).all(1)).nonzero()[:, 0].tolist():
            delta = images[place].double() - self.image.double()
            lengths = {norm: float(length(delta)) for norm, length in LENGTHS.items()}
            shorter = {norm: one for norm, one in lengths.items() if one < self.least[norm]}
            if shorter:
                self.least.update(shorter)
                self._shorter.append((before + place + 1, shorter))

    def within(self, budgets: Sequence[int], norm: str) -> list[float]:
        """The least distance in a norm after each number of propagations; infinite while none."""
        found = [
            [lengths[norm] for at, lengths in self._shorter if norm in lengths and at <= budget]
            for budget in budgets
        ]
        return [min(each, default=INFINITE) for each in found]


@dataclass(frozen=True)
class Cost:
    """What an attack took of wall and processor time, and the error that ended it, if one did."""

    seconds: float
    cpu_seconds: float
    error: str | None


def attacked(watched: Watched, attack: Callable[[Logits, Tensor, Tensor], object]) -> Cost:
    """Runs an attack on the watched image to its end, or to the end of its budget."""
    images, labels = watched.image[None].clone(), torch.tensor([watched.label])
    wall, processor, error = time.perf_counter(), time.process_time(), None
    try:
        attack(watched, images, labels)
    except Spent:
        pass
    except (ArithmeticError, AssertionError, IndexError, RuntimeError, ValueError) as raised:
        # A rival that breaks on an image is a row: what it found before counts.
        error = f"{type(raised).__name__}: {' '.join(str(raised).split())[:200]}"
    return Cost(time.perf_counter() - wall, time.process_time() - processor, error)


def is_random(logits: Logits, images: Tensor) -> bool:
    """Whether the same images get other logits the second time: least distances would be luck."""
    with torch.no_grad():
        first, second = logits(images), logits(images)
    return bool((first != second).any())
