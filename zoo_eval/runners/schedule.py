"""The schedule: who gets what next, which processes start or go, and what a lost one costs.

A state machine that does nothing itself: it is told what happened and says what to do. The largest
share of a GPU goes first, then what the fewest classes of GPU hold, then the longest work. Work too
long for the time that is left is split by its groups over several slots. A process that dies or
hangs costs the group that had started (while a model is opened: all of its groups) a death; after
`MAX_DEATHS` of them a group is given up.
"""

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from zoo_eval.errors import BadInput
from zoo_eval.runners.execution import Advanced, Report, Started
from zoo_eval.runners.expected import NOTHING_MEASURED, Expected, least_bytes
from zoo_eval.runners.fleet import Fleet
from zoo_eval.runners.moves import GiveBack, HandOver, Loss, Move, Refuse, Start
from zoo_eval.runners.queue import MAX_DEATHS, Queue, Queued
from zoo_eval.runners.slots import Capacity, Slots, SlotShape
from zoo_eval.runners.standing import Standing
from zoo_eval.sweep.faults import GPU_MEMORY, NODE, PROCESS, Fault
from zoo_eval.sweep.plan import ModelWork
from zoo_eval.units import size_text

START_TIMEOUT_S = 600.0
# A group that takes this long is hung: far beyond one image pass of the largest models on a CPU.
HANG_FLOOR_S = 900.0
HANG_S_PER_PASS = 10.0
# Deadlines are looked at no more often than this.
LOOK_S = 1.0
# A slot is handed this part, at most, of the time that all slots together need for what waits: times
# are planned wrong by half or twice, and the last piece is still to end with the others.
PIECE = 0.25
# A GPU that is slower than others takes nothing that would take it longer than this part.
SLOW_PIECE = 0.5
# Work is split no further than where opening the model once more is this part of a piece.
OPENING_PART = 0.05


@dataclass
class _Busy:
    queued: Queued
    deadline: float
    ends_at: float
    blamed: tuple[int, ...] = ()
    finished: set[int] = field(default_factory=set)
    is_leaving: bool = False


class Schedule:
    """The work that waits, and slots that are starting, idle or busy.

    Whoever carries out its moves calls `moves` again and again until `is_over`, and tells it with
    the other methods what happened.
    """

    def __init__(
        self,
        everything: Sequence[ModelWork],
        slots: Slots,
        expected: Expected = NOTHING_MEASURED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.slots = slots
        self.expected = expected
        self.clock = clock
        self._fleet = Fleet(slots)
        # What no GPU holds, until it is refused.
        self._misfits: list[Queued] = []
        self._sort_anew(
            Queued(work, number, expected.seconds.get(work.name, 0.0))
            for number, work in enumerate(everything)
        )
        self._slots = Standing()
        self._busy: dict[int, _Busy] = {}
        # Slots to be given back, whose machines are about to be taken away.
        self._leaving: list[int] = []
        self._failed_starts = 0
        self._look_at = -math.inf

    @property
    def n_waiting(self) -> int:
        """How many pieces of work wait for a slot."""
        return len(self._queue)

    @property
    def _kinds(self) -> range:
        return range(len(self._fleet.classes))

    @property
    def is_over(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self._queue and not self._busy and not self._misfits

    def moves(self, capacity: Capacity, *, inputs_ready: bool = True) -> list[Move]:
        """What to do now, in this order, given all that the cluster has.

        Nothing is handed over before there are inputs: waiting for them is not to hang.

        Raises:
            BadInput: no slot came up in time, and none is at work.
        """
        if self._fleet.see(capacity):
            self._sort_anew([*self._queue, *self._misfits])
        moves: list[Move] = [GiveBack(slot) for slot in self._leaving]
        self._leaving = []
        moves += [*self._refusals(), *self._late(capacity), *self._of_other_shapes()]
        moves += self._starts(capacity)
        if inputs_ready:
            moves += self._hand_overs()
        if not self._queue:
            # Nodes without slots can be scaled down while the last work runs.
            moves += [self._given_back(slot) for slot in self._slots.idle_or_starting()]
        return moves

    def _sort_anew(self, everything: Iterable[Queued]) -> None:
        self._misfits = []
        self._queue = Queue(least=self.expected.opening_s / OPENING_PART)
        for queued in everything:
            self._put(queued)

    def _put(self, queued: Queued) -> None:
        """Has work wait by the room that it takes now; what no GPU holds is set aside."""
        queued = replace(queued, room=self._fleet.room(queued, self.expected))
        if any(share is not None for share in queued.room):
            self._queue.add(queued)
        else:
            self._misfits.append(queued)

    def _refusals(self) -> list[Move]:
        largest = max(self._fleet.classes, key=lambda one: one.n_bytes or 0)
        moves: list[Move] = [
            Refuse(
                queued.work,
                f"opened, it takes {size_text(least_bytes(queued.work))} of GPU memory or more, and "
                f"the largest GPU here ({largest.name or 'all are alike'}) has "
                f"{size_text(largest.n_bytes or 0)}; add a node with a larger one",
            )
            for queued in self._misfits
        ]
        self._misfits = []
        return moves

    def _late(self, capacity: Capacity) -> list[Move]:
        """Gives back slots that did not come up in time."""
        moves: list[Move] = []
        for slot, one in self._slots.late(self.clock()):
            if self._slots.all_starting:
                raise BadInput(
                    f"no slot started within {START_TIMEOUT_S:.0f} s: one needs "
                    f"{one.shape.num_gpus:g} GPUs and {one.shape.num_cpus:g} CPUs, the cluster has "
                    f"{capacity.num_gpus:g} and {capacity.num_cpus:g}; change gpus_per_model"
                )
            self._fleet.late(one.shape.gpu_class)
            moves.append(self._given_back(slot))
        return moves

    def _given_back(self, slot: int) -> GiveBack:
        self._slots.end(slot)
        return GiveBack(slot)

    def _next(self, kind: int) -> tuple[Queued, SlotShape] | None:
        """What a GPU of a class takes next, and in which shape; None where nothing waits for it."""
        queued = self._queue.first(kind)
        return None if queued is None else (queued, self._fleet.shape(queued, kind))

    def _of_other_shapes(self) -> list[Move]:
        """Gives back idle slots of another shape than the next work's: whoever fits is gone."""
        if not self._queue:
            return []
        found = (self._next(kind) for kind in self._kinds)
        wanted = {one[1] for one in found if one is not None}
        others = [shape for shape in self._slots.idle_shapes() if shape not in wanted]
        return [self._given_back(slot) for shape in others for slot in self._slots.idle(shape)]

    def _starts(self, capacity: Capacity) -> list[Move]:
        """Starts slots for the next work and what is like it, as far as there is room."""
        moves: list[Move] = []
        # Twice: what is left to faster ones may find them full.
        for kind in (*self._kinds, *self._kinds):
            found = self._next(kind)
            if found is None or self._is_left_to_faster(kind, found[0], capacity):
                continue
            queued, shape = found
            free, n_like = self._slots.free, self._queue.n_parts(kind, queued.room[kind] or 1.0)
            while (
                free.by_class[shape.gpu_class] < n_like
                and free.n_slots < self._queue.n_all_parts
                and self.slots.fit(self._slots.taken, shape, capacity)
            ):
                slot = self._slots.start(shape, self.clock() + START_TIMEOUT_S)
                moves.append(Start(slot, shape))
        return moves

    def _is_left_to_faster(self, kind: int, queued: Queued, capacity: Capacity) -> bool:
        """Whether work would end last of all on a class, and there is room on a faster one."""
        there = any(
            self.slots.fit(self._slots.taken, self._fleet.shape(queued, other), capacity)
            for other in self._fleet.faster(kind, queued)
        )
        return there and queued.seconds / self._fleet.speed(kind) > self._last_end()

    def _hand_overs(self) -> list[Move]:
        moves: list[Move] = []
        for kind in self._kinds:
            while (found := self._next(kind)) is not None:
                first, shape = found
                if not self._slots.has_idle(shape) or (chosen := self._choice(kind, first)) is None:
                    break
                moves.append(self._hand_over(kind, shape, *chosen))
        return moves

    def _hand_over(self, kind: int, shape: SlotShape, queued: Queued, longest: float) -> HandOver:
        slot = self._slots.take(shape)
        assert slot is not None, shape
        piece, rest = queued.split(PIECE * self._horizon(kind), self._queue.least, longest)
        assert piece is not None, queued
        self._queue.take(queued)
        if rest is not None:
            self._queue.add(rest)
        now, speed = self.clock(), self._fleet.speed(kind)
        self._busy[slot] = _Busy(piece, now + HANG_FLOOR_S, now + piece.seconds / speed)
        # As far ahead as there are slots: nearer ones are being fetched already.
        upcoming = self._queue.ahead(kind, self._slots.taken.n_slots)
        return HandOver(slot, piece.work, upcoming.work if upcoming else None)

    def _choice(self, kind: int, first: Queued) -> tuple[Queued, float] | None:
        """Which work a GPU of a class takes, and of which groups, at most so long: the longest work.

        A slow GPU takes what it ends in time, and waits where a faster one does the rest sooner.
        """
        faster = self._fleet.faster(kind, first)
        if not faster:
            return first, math.inf
        piece = PIECE * self._horizon(kind)
        for most in self._in_time(kind, faster):
            for queued in (first, self._queue.longest(kind, most, first.room[kind])):
                if queued and queued.split(piece, self._queue.least, most)[0] is not None:
                    return queued, most
        are_there = self._fleet.power(self._slots.taken, faster) > 0
        return None if are_there else (first, math.inf)

    def _in_time(self, kind: int, faster: Collection[int]) -> Iterator[float]:
        """The planned seconds that a slow GPU may take on: well in time, then just in time."""
        yield SLOW_PIECE * self._horizon(kind)
        # When the faster ones would have done all that waits, or what runs now is done.
        alone = self._queue.seconds / (self._fleet.power(self._slots.taken, faster) or 1.0)
        yield max(alone, self._last_end()) * self._fleet.speed(kind)

    def _last_end(self) -> float:
        """Seconds until all that runs now is planned to be done."""
        now = self.clock()
        return max((one.ends_at for one in self._busy.values()), default=now) - now

    def _horizon(self, kind: int) -> float:
        """The planned seconds that a GPU of a class does while all slots do what waits."""
        power = self._fleet.power(self._slots.taken)
        return self._queue.seconds / power * self._fleet.speed(kind)

    def started(self, slot: int, gpu_bytes: int | None) -> None:
        """A slot is up, on a GPU of that memory."""
        self._failed_starts = 0
        self._fleet.came_up(self._slots.came_up(slot).gpu_class, gpu_bytes)

    def start_failed(self, slot: int, reason: str) -> None:
        """A slot could not start.

        Raises:
            BadInput: neither could the ones before it.
        """
        self._slots.end(slot)
        self._failed_starts += 1
        if self._failed_starts >= MAX_DEATHS:
            raise BadInput(
                f"{MAX_DEATHS} slots in a row could not start ({reason}); every node needs this "
                "package, its libraries and the store"
            )

    def reported(self, slot: int, report: Report) -> None:
        """A busy slot goes on: its deadline moves, and who is to blame for its death changes."""
        busy = self._busy[slot]
        if isinstance(report, Advanced):
            busy.deadline = self.clock() + HANG_FLOOR_S + HANG_S_PER_PASS * report.n_ahead
            return
        if not isinstance(report, Started):
            busy.blamed = ()
            busy.finished.add(report.group_index)
            return
        groups, index = busy.queued.work.groups, report.group_index
        busy.blamed = tuple(range(len(groups))) if index is None else (index,)
        n_passes = 0 if index is None else groups[index].n_passes
        busy.deadline = self.clock() + HANG_FLOOR_S + HANG_S_PER_PASS * n_passes

    def finished(self, slot: int) -> None:
        """A slot is through with its work."""
        was_leaving = self._busy.pop(slot).is_leaving
        self._slots.rest(slot)
        if was_leaving:
            self.leaving(slot)

    def work_of(self, slot: int) -> ModelWork:
        """What a busy slot is at."""
        return self._busy[slot].queued.work

    def hung(self) -> list[int]:
        """Busy slots that let their deadline pass: each is to be killed, and is lost then."""
        now = self.clock()
        if now < self._look_at:
            return []
        self._look_at = now + LOOK_S
        return [slot for slot, busy in self._busy.items() if now > busy.deadline]

    def lost(self, slot: int, fault: Fault = PROCESS) -> Loss:
        """A busy slot is gone (killed, so that it writes no more): what is left of its work waits.

        Nobody is to blame for a node's end; what was too much for a share of a GPU gets a whole one.
        """
        busy = self._busy.pop(slot)
        self._slots.end(slot)
        blamed = () if fault == NODE else busy.blamed
        left, given_up = busy.queued.after_loss(blamed, busy.finished)
        if left is not None:
            self._put(replace(left, needs_whole=left.needs_whole or fault == GPU_MEMORY))
        return Loss(busy.queued.work, given_up, tried_again=left is not None)

    def leaving(self, slot: int) -> None:
        """A slot's machine is about to be taken away: it gets nothing more."""
        if slot in self._busy:
            self._busy[slot].is_leaving = True
        elif self._slots.is_idle(slot):
            self._slots.end(slot)
            self._leaving.append(slot)

    def is_leaving(self, slot: int) -> bool:
        """Whether a busy slot is to be ended after the group that it is at."""
        return self._busy[slot].is_leaving

    def handed_back(self, slot: int) -> None:
        """A busy slot was ended between two groups: the rest of its work waits, and nobody is charged."""
        busy = self._busy.pop(slot)
        self._slots.end(slot)
        if (left := busy.queued.without(busy.finished)) is not None:
            self._put(left)
