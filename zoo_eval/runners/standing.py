"""Standing: the slots there are, by number: starting, idle or busy, and what they take together."""

from collections.abc import Iterator
from dataclasses import dataclass

from zoo_eval.runners.slots import SlotShape, Taken


@dataclass(frozen=True)
class Starting:
    """A slot that is not up yet, and when it is too late for it."""

    shape: SlotShape
    deadline: float


class Standing:
    """Slots by their state; each question costs the same however many there are."""

    def __init__(self) -> None:
        self.taken = Taken()
        # Of these, the ones that have no work: starting or idle.
        self.free = Taken()
        self._n = 0
        self._shapes: dict[int, SlotShape] = {}
        self._starting: dict[int, Starting] = {}
        self._idle: dict[SlotShape, dict[int, None]] = {}

    @property
    def all_starting(self) -> bool:
        """Whether no slot is up."""
        return len(self._starting) == self.taken.n_slots

    def start(self, shape: SlotShape, deadline: float) -> int:
        """One more, under a number of its own."""
        self._n += 1
        self._shapes[self._n] = shape
        self._starting[self._n] = Starting(shape, deadline)
        self.taken.add(shape)
        self.free.add(shape)
        return self._n

    def came_up(self, slot: int) -> SlotShape:
        """A slot that was starting is idle now."""
        shape = self._starting.pop(slot).shape
        self._idle.setdefault(shape, {})[slot] = None
        return shape

    def take(self, shape: SlotShape) -> int | None:
        """An idle slot of that shape, busy from now on; the first that was idle."""
        some = self._idle.get(shape)
        if not some:
            return None
        slot = next(iter(some))
        del some[slot]
        self.free.add(shape, -1)
        return slot

    def rest(self, slot: int) -> None:
        """A busy slot is idle again."""
        shape = self._shapes[slot]
        self._idle.setdefault(shape, {})[slot] = None
        self.free.add(shape)

    def end(self, slot: int) -> None:
        """A slot is no more, whatever it was doing."""
        shape = self._shapes.pop(slot)
        self.taken.add(shape, -1)
        was_starting = self._starting.pop(slot, None) is not None
        was_idle = slot in self._idle.get(shape, {})
        if was_idle:
            del self._idle[shape][slot]
        if was_starting or was_idle:
            self.free.add(shape, -1)

    def late(self, now: float) -> Iterator[tuple[int, Starting]]:
        """The slots that did not come up in time; each is to be ended before the next is asked for."""
        # The first to be started is the first to be late.
        while self._starting:
            slot, one = next(iter(self._starting.items()))
            if now <= one.deadline:
                return
            yield slot, one

    def idle_shapes(self) -> list[SlotShape]:
        """The shapes of the slots that are idle."""
        return [shape for shape, some in self._idle.items() if some]

    def has_idle(self, shape: SlotShape) -> bool:
        """Whether there is an idle slot of a shape."""
        return bool(self._idle.get(shape))

    def is_idle(self, slot: int) -> bool:
        """Whether a slot is up and has no work."""
        shape = self._shapes.get(slot)
        return shape is not None and slot in self._idle.get(shape, ())

    def idle(self, shape: SlotShape) -> list[int]:
        """The idle slots of a shape."""
        return list(self._idle.get(shape, ()))

    def idle_or_starting(self) -> list[int]:
        """All that have no work, the idle ones first."""
        return [*(slot for some in self._idle.values() for slot in some), *self._starting]
