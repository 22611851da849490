"""Repetitions: responses to stimuli that were shown any number of times, some of them missing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Held = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
# Of responses in float64 that are looked at together.
BLOCK_BYTES = 2**25


@dataclass(frozen=True, eq=False)
class Repetitions:
    """Responses (presentation, target), NaN where missing, presentations in the order of their stimuli.

    responses: float32 or float64 (presentation, target).
    stimulus: which stimulus was shown, ascending from 0, each at least once (presentation,).

    Raises:
        ValueError: presentations of another number, or not in that order.
    """

    responses: Held
    stimulus: Rows

    def __post_init__(self) -> None:
        steps = np.diff(self.stimulus, prepend=-1)
        if self.responses.ndim != 2 or len(self.stimulus) != len(self.responses):
            raise ValueError(
                f"responses of shape {self.responses.shape} are not (presentation, target) of "
                f"{len(self.stimulus)} presentations"
            )
        if ((steps < 0) | (steps > 1)).any():
            raise ValueError("presentations must be in the order of their stimuli, none left out")

    @classmethod
    def of(cls, responses: Array) -> "Repetitions":
        """Those of responses (stimulus, repetition, target).

        Repetitions of a stimulus in which nothing was measured are left out, as `answered` says.
        """
        n_stimuli, n_repetitions, n_targets = responses.shape
        stimulus = np.repeat(np.arange(n_stimuli), n_repetitions)
        return cls(responses.reshape(-1, n_targets), stimulus).answered()

    def answered(self) -> "Repetitions":
        """Without presentations that no target answered, but for one of a stimulus that has no other."""
        there = np.zeros(len(self.responses), np.bool_)
        for some in self.blocks():
            there |= ~np.isnan(self.responses[:, some]).all(1)
        n_answered = np.bincount(self.stimulus[there], minlength=self.n_stimuli)
        is_first = np.diff(self.stimulus, prepend=-1) > 0
        there |= is_first & (n_answered == 0)[self.stimulus]
        if there.all():
            return self
        return replace(self, responses=self.responses[there], stimulus=self.stimulus[there])

    @property
    def n_stimuli(self) -> int:
        return int(self.stimulus[-1]) + 1 if len(self.stimulus) else 0

    @property
    def n_targets(self) -> int:
        return int(self.responses.shape[1])

    @cached_property
    def counts(self) -> Rows:
        """How often each stimulus was shown (stimulus,)."""
        return np.bincount(self.stimulus, minlength=self.n_stimuli)

    @property
    def most(self) -> int:
        """How often the stimulus was shown that was shown most."""
        return int(self.counts.max(initial=0))

    @property
    def is_even(self) -> bool:
        """Whether each stimulus was shown as often as any other."""
        return bool((self.counts == self.most).all())

    @cached_property
    def is_complete(self) -> bool:
        """Whether every target answered every presentation."""
        return not any(np.isnan(self.responses[:, some]).any() for some in self.blocks())

    @property
    def is_void(self) -> bool:
        """Whether there are places for responses, and no response."""
        there = (~np.isnan(self.responses[:, some]) for some in self.blocks())
        return self.responses.size > 0 and not any(some.any() for some in there)

    def blocks(self) -> Iterator[slice]:
        """The targets, some at a time, as many as `BLOCK_BYTES` hold."""
        step = max(1, BLOCK_BYTES // max(1, 8 * self.n_stimuli * self.most))
        for start in range(0, self.n_targets, step):
            yield slice(start, start + step)

    def padded(self, targets: slice = slice(None)) -> Array:
        """Responses of some targets, float64 (stimulus, repetition, target), NaN where there is none."""
        some = self.responses[:, targets].astype(np.float64, copy=False)
        shape = (self.n_stimuli, self.most, some.shape[1])
        if self.is_even:
            return some.reshape(shape)
        place = (
            np.arange(len(self.stimulus)) - (np.cumsum(self.counts) - self.counts)[self.stimulus]
        )
        found = np.full(shape, np.nan)
        found[self.stimulus, place] = some
        return found

    def mean(self) -> Array:
        """Over a stimulus's presentations (stimulus, target), NaN where a target answered none."""
        found = np.empty((self.n_stimuli, self.n_targets))
        for some in self.blocks():
            found[:, some] = self._mean_of(some)
        return found

    def _mean_of(self, targets: slice) -> Array:
        if self.is_even and self.is_complete:
            found: Array = self.padded(targets).mean(1)
            return found
        values = self.responses[:, targets].astype(np.float64)
        there = ~np.isnan(values)
        values[~there] = 0
        starts = np.cumsum(self.counts) - self.counts
        sums = np.add.reduceat(values, starts, axis=0)
        counted = np.add.reduceat(there, starts, axis=0, dtype=np.int64)
        mean: Array = sums / np.where(counted > 0, counted, np.nan)
        return mean

    def by_target(self, values: Callable[[Array], Array]) -> Array:
        """What a function gives of responses (stimulus, repetition, target), one target after another."""
        return np.concatenate([values(self.padded(some)) for some in self.blocks()])

    def at(self, rows: Rows) -> "Repetitions":
        """Those of some stimuli, which are numbered anew."""
        number = np.full(self.n_stimuli, -1)
        number[rows] = np.arange(len(rows))
        order = np.argsort(number[self.stimulus], kind="stable")
        order = order[number[self.stimulus][order] >= 0]
        return replace(self, responses=self.responses[order], stimulus=number[self.stimulus[order]])
