"""Fleet: the GPU classes that there are, the cheapest first, and what each does beside the others."""

import math
from collections.abc import Iterable
from dataclasses import replace

from zoo_eval.runners.expected import Expected, Room
from zoo_eval.runners.queue import Queued
from zoo_eval.runners.slots import Capacity, GpuClass, Slots, SlotShape, Taken

ANY_GPU = GpuClass(None, 0)


class Fleet:
    """Classes by their number, from what a cluster says of them and what slots measured.

    Without labels, or without GPUs, there is one class, which any slot is of.
    """

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.classes: tuple[GpuClass, ...] = (ANY_GPU,)
        self._seen: Capacity | None = None
        self._n_bytes: dict[str | None, int] = {}
        # Of these a slot did not come up: nobody waits for one.
        self._unsure: set[str | None] = set()

    def see(self, capacity: Capacity) -> bool:
        """Takes note of what there is; whether other work fits than did before."""
        if capacity == self._seen or not self.slots.shape.num_gpus:
            return False
        self._seen = capacity
        there = [
            replace(one, n_bytes=self._n_bytes.get(one.name, one.n_bytes))
            for one in self._there(capacity)
        ]
        # The cheapest first: the smallest, then the slowest.
        there.sort(key=lambda one: (one.n_bytes or math.inf, one.speed, one.name or ""))
        before = [(one.name, one.n_bytes) for one in self.classes]
        self.classes = tuple(there)
        return before != [(one.name, one.n_bytes) for one in there]

    def _there(self, capacity: Capacity) -> tuple[GpuClass, ...]:
        """The classes that there are or were: spot machines come back, and are asked for."""
        if capacity.num_gpus and not capacity.classes:
            return (ANY_GPU,)
        named = {None, *(one.name for one in capacity.classes)}
        gone = (replace(one, n_gpus=0) for one in self.classes if one.name not in named)
        return (*capacity.classes, *gone) or (ANY_GPU,)

    def came_up(self, name: str | None, gpu_bytes: int | None) -> None:
        """A slot of a class is up; of each class the smallest memory that was seen counts."""
        self._unsure.discard(name)
        if gpu_bytes is not None and gpu_bytes < self._n_bytes.get(name, 2**63):
            self._n_bytes[name] = gpu_bytes
            self._seen = None

    def late(self, name: str | None) -> None:
        """A slot of a class did not come up in time."""
        self._unsure.add(name)

    def room(self, queued: Queued, expected: Expected) -> Room:
        """The share of a GPU of each class that work takes."""
        shares = self.slots.shares and not queued.needs_whole
        return expected.room(queued.work, self.classes, shares=shares)

    def shape(self, queued: Queued, kind: int) -> SlotShape:
        """The slot that work takes on a class."""
        whole = self.slots.shape
        num_gpus = whole.num_gpus * (queued.room[kind] or 1.0)
        return SlotShape(num_gpus, whole.num_cpus, self.classes[kind].name)

    def speed(self, kind: int) -> float:
        """The planned seconds that a GPU of a class does in a second."""
        return self.classes[kind].speed

    def faster(self, kind: int, queued: Queued) -> list[int]:
        """The classes that hold work, and are faster than one."""
        return [
            other
            for other, (one, share) in enumerate(zip(self.classes, queued.room, strict=True))
            if share is not None and one.speed > self.speed(kind) and one.name not in self._unsure
        ]

    def power(self, taken: Taken, kinds: Iterable[int] | None = None) -> float:
        """The planned seconds that the slots of some classes, or all slots, do in a second."""
        if kinds is None:
            speeds = {one.name: one.speed for one in self.classes}
            return sum(speeds.get(name, 1.0) * n for name, n in taken.by_class.items())
        some = [self.classes[kind] for kind in kinds]
        return sum(one.speed * taken.by_class[one.name] for one in some)
