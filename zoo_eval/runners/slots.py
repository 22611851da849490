"""Slots: processes that each run one model at a time, and what they ask of a cluster."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SlotShape:
    """What a slot, one process that runs one model at a time, asks of the cluster."""

    num_gpus: float
    num_cpus: float


@dataclass(frozen=True)
class Slots:
    """How slots are cut: a whole one's shape, whether work may share a GPU, and how many at most."""

    shape: SlotShape
    shares: bool = False
    at_most: int | None = None

    def fit(self, taken: Sequence[SlotShape], wanted: SlotShape, capacity: SlotShape) -> bool:
        """Whether there is room for one more; the first is asked for whatever there is.

        A cluster that has nothing yet is scaled up by what is asked of it.
        """
        if self.at_most is not None:
            return len(taken) < self.at_most
        if not taken:
            return True
        if wanted.num_gpus:
            gpus = sum(shape.num_gpus for shape in taken)
            return gpus + wanted.num_gpus <= capacity.num_gpus
        return sum(shape.num_cpus for shape in taken) + wanted.num_cpus <= capacity.num_cpus
