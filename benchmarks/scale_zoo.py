"""The zoo as work: every model that `zoo-eval models` lists, times eight evaluations, with its time.

Nothing is run or downloaded: FLOPs, weights and activations come from the shipped anatomies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linprog

from zoo_eval.catalog import ModelCard
from zoo_eval.evaluations.evaluation import Candidate
from zoo_eval.models.blueprint import Blueprint
from zoo_eval.networks.anatomy import Anatomy
from zoo_eval.runners.expected import FLOAT_BYTES, Expected, Room
from zoo_eval.runners.slots import GpuClass
from zoo_eval.sources import registry
from zoo_eval.sweep.plan import ModelWork, TrialGroup
from zoo_eval.transforms import Transform
from zoo_eval.trial import Trial

# What half of an A100's published float32 rate does: a planned second is one at this speed.
FLOPS_PER_S = 1e13
SIGMA = 0.3


@dataclass(frozen=True)
class Stated:
    """An evaluation that is only counted: its image passes, and how many parts of it are kept.

    A death costs the part that had begun; of one that keeps nothing, all of it.
    """

    name: str
    n_passes: int
    n_kept: int = 1


# Passes of a full sweep: images, times one pass, or two for each gradient.
EVALUATIONS = (
    Stated("gate", 1_000),
    Stated("accuracy", 50_000),
    Stated("neural_fit of one area", 3_200),
    Stated("neural_fit of natural scenes", 10_000),
    Stated("spatial_fit", 10_000),
    Stated("human_alignment", 1_000 * 32 * 2),
    Stated("minimal_attack, perpendicular", 500 * 2 * 67, n_kept=32),
    Stated("minimal_attack, ddn", 500 * 2 * 100, n_kept=32),
)
PASSES = sum(one.n_passes for one in EVALUATIONS)


@dataclass(frozen=True)
class Zoo:
    """Work, what is planned of it, and how long it really takes: factors by model."""

    everything: Sequence[ModelWork]
    expected: Expected
    factors: Mapping[str, float]

    def seconds(self, name: str, evaluation: str) -> float:
        """The true seconds of one group at speed 1."""
        planned = self.expected.seconds[name] * self._parts[evaluation]
        return planned * self.factors[name]

    @cached_property
    def _parts(self) -> dict[str, float]:
        return {one.name: one.n_passes / PASSES for one in EVALUATIONS}

    @property
    def total(self) -> float:
        """The true seconds of everything at speed 1, no model opened twice, none even once."""
        return sum(
            self.expected.seconds[one.name] * self.factors[one.name] for one in self.everything
        )

    @property
    def longest(self) -> float:
        """The true seconds of the longest group, which nothing can divide."""
        part = max(self._parts.values())
        return part * max(
            self.expected.seconds[one.name] * self.factors[one.name] for one in self.everything
        )

    def without_longest(self, n_gpus: int) -> "Zoo":
        """The same without models whose longest group takes longer than an even share of the rest."""
        kept = sorted(self.everything, key=lambda one: self.expected.seconds[one.name])
        part = max(self._parts.values())
        while True:
            planned = self.expected.seconds[kept[-1].name]
            total = sum(self.expected.seconds[one.name] for one in kept)
            # Planned: what is longer by chance alone stays.
            if part * planned * 2 <= total / n_gpus:
                return Zoo(kept, self.expected, self.factors)
            kept.pop()

    def bound(self, classes: Sequence[GpuClass]) -> float:
        """The shortest makespan that there could be, in seconds.

        Of one class that is max(total / GPUs, longest). Of several it is the linear program's: how
        much of the work that takes the same room each class does, none of it in one piece. Opening,
        fetching and committing are left out of either.
        """
        work: dict[Room, float] = {}
        longest = 0.0
        part = max(self._parts.values())
        for one in self.everything:
            room = self.expected.room(one, classes, shares=False)
            true = self.expected.seconds[one.name] * self.factors[one.name]
            work[room] = work.get(room, 0.0) + true
            speeds = [c.speed for c, share in zip(classes, room, strict=True) if share is not None]
            longest = max(longest, part * true / max(speeds))
        return max(_fractional(work, classes), longest)


def _fractional(work: Mapping[Room, float], classes: Sequence[GpuClass]) -> float:
    """The makespan of work that can be divided at will."""
    n_kinds, rooms = len(classes), list(work)
    # Variables: seconds of each room's work on each class, at speed 1, then the makespan.
    n = len(rooms) * n_kinds + 1
    everything = np.zeros((len(rooms), n))
    in_time = np.zeros((n_kinds, n))
    bounds: list[tuple[float, float | None]] = []
    for row, room in enumerate(rooms):
        for kind, share in enumerate(room):
            place = row * n_kinds + kind
            everything[row, place] = 1
            in_time[kind, place] = 1 / classes[kind].speed
            bounds.append((0, None if share is not None else 0))
    in_time[:, -1] = [-one.n_gpus for one in classes]
    costs = np.zeros(n)
    costs[-1] = 1
    found = linprog(
        costs, in_time, np.zeros(n_kinds), everything, [work[room] for room in rooms],
        bounds=[*bounds, (0, None)],
    )  # fmt: skip
    assert found.x is not None, found.message
    return float(found.x[-1])


def zoo(seed: int, *, every: int = 1) -> Zoo:
    """All models (or one in so many) with times that are planned wrong by a lognormal factor."""
    listed = [one for one in registry.listed_cards(["*"]) if one.anatomy is not None][::every]
    everything = [_work(one.card, one.anatomy) for one in listed if one.anatomy is not None]
    seconds = {
        one.card.name: one.anatomy.flops * PASSES / FLOPS_PER_S for one in listed if one.anatomy
    }
    draws = np.random.default_rng(seed).lognormal(0, SIGMA, len(everything))
    factors = {one.name: float(draw) for one, draw in zip(everything, draws, strict=True)}
    return Zoo(everything, Expected(seconds), factors)


def weights_bytes(work: ModelWork) -> int:
    """The bytes of a model's weights."""
    assert work.candidate.blueprint is not None
    return FLOAT_BYTES * work.candidate.blueprint.anatomy.n_params


def _work(card: ModelCard, anatomy: Anatomy) -> ModelWork:
    transform = Transform(224, 256, "bicubic", (0.5,) * 3, (0.5,) * 3)
    candidate = Candidate(card, Blueprint(card.architecture, "unknown", transform, anatomy))
    groups = (
        TrialGroup(one, (Trial(one.name, 1, "stated", model=card.name),), (1,), one.n_passes)  # type: ignore[arg-type]  # it is never run
        for one in EVALUATIONS
    )
    return ModelWork(candidate, tuple(groups))
