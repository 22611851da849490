"""The schedule: who gets what next, which processes start or go, and what a lost one costs.

A state machine that does nothing itself: it is told what happened and says what to do. The largest
share of a GPU goes first, then the longest work. A process that dies or hangs costs the group that
had started (while a model is opened: all of its groups) a death; after `MAX_DEATHS` of them a group
is given up.
"""

import heapq
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from zoo_eval.errors import BadInput
from zoo_eval.runners.execution import Report, Started
from zoo_eval.runners.slots import Slots, SlotShape
from zoo_eval.sweep.plan import ModelWork

MAX_DEATHS = 3
# Deaths before any group started (a lost node, say) are nobody's fault, but not for ever.
MAX_INNOCENT_DEATHS = 10
START_TIMEOUT_S = 600.0
# A group that takes this long is hung: far beyond one image pass of the largest models on a CPU.
HANG_FLOOR_S = 900.0
HANG_S_PER_PASS = 10.0
SHARES = (0.25, 0.5, 1.0)
# What CUDA itself takes of a GPU in each process.
CONTEXT_BYTES = 2**29
# A model's next trials may need more than its last ones.
HEADROOM = 1.25


@dataclass(frozen=True)
class Expected:
    """What earlier trials say of models, by name: seconds of its work, and peak GPU bytes."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_gpu_bytes: Mapping[str, int] = field(default_factory=dict)

    def share(self, work: ModelWork, gpu_bytes: int | None) -> float:
        """The share of a GPU that a model's work needs; the whole where nothing was measured."""
        peak = self.peak_gpu_bytes.get(work.name)
        if peak is None or gpu_bytes is None:
            return 1.0
        needed = HEADROOM * peak + CONTEXT_BYTES
        return next((share for share in SHARES if needed <= share * gpu_bytes), 1.0)


NOTHING_MEASURED = Expected()


@dataclass(frozen=True)
class Queued:
    """Work that waits, and how often its groups were charged with a lost process."""

    work: ModelWork
    number: int
    seconds: float
    share: float = 1.0
    deaths: Mapping[int, int] = field(default_factory=dict)
    innocent_deaths: int = 0

    def __lt__(self, other: "Queued") -> bool:
        return self._rank < other._rank

    @property
    def _rank(self) -> tuple[float, float, int]:
        # Whole GPUs first: their work is the longest, and quarters taken early would split GPUs.
        return -self.share, -self.seconds, self.number

    def after_loss(
        self, blamed: Collection[int], finished: Collection[int]
    ) -> tuple["Queued | None", dict[int, int]]:
        """What is left to try, and the groups that are given up with the deaths they had.

        Groups that had started are charged; a loss that nobody is to blame for is counted too.
        """
        innocent = self.innocent_deaths + (not blamed)
        deaths = {**self.deaths, **{i: self.deaths.get(i, 0) + 1 for i in blamed}}
        left = [i for i in range(len(self.work.groups)) if i not in finished]
        hopeless = innocent >= MAX_INNOCENT_DEATHS
        given_up = [i for i in left if hopeless or deaths.get(i, 0) >= MAX_DEATHS]
        left = [i for i in left if i not in given_up]
        counts = {i: deaths.get(i, 0) + innocent for i in given_up}
        if not left:
            return None, counts
        work = replace(self.work, groups=tuple(self.work.groups[i] for i in left))
        kept = {place: deaths[i] for place, i in enumerate(left) if i in deaths}
        return replace(self, work=work, deaths=kept, innocent_deaths=innocent), counts


@dataclass(frozen=True)
class Start:
    """Start a slot, under a number of its own."""

    slot: int
    shape: SlotShape


@dataclass(frozen=True)
class HandOver:
    """Give a slot its work; the weights of what is upcoming are fetched meanwhile."""

    slot: int
    work: ModelWork
    upcoming: ModelWork | None


@dataclass(frozen=True)
class GiveBack:
    """End a slot: nobody needs it, or it never came up."""

    slot: int


Move = Start | HandOver | GiveBack


@dataclass(frozen=True)
class Loss:
    """What a lost slot comes to: the groups of its work that are given up, with their deaths.

    `tried_again` says whether something of the work is left to try.
    """

    work: ModelWork
    given_up: Mapping[int, int]
    tried_again: bool


@dataclass
class _Busy:
    shape: SlotShape
    queued: Queued
    deadline: float
    blamed: tuple[int, ...] = ()
    finished: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class _Starting:
    shape: SlotShape
    deadline: float


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
        self._queue = [
            Queued(work, number, expected.seconds.get(work.name, 0.0))
            for number, work in enumerate(everything)
        ]
        heapq.heapify(self._queue)
        self._starting: dict[int, _Starting] = {}
        self._idle: dict[int, SlotShape] = {}
        self._busy: dict[int, _Busy] = {}
        self._n_slots = 0
        self._failed_starts = 0
        self._gpu_bytes: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self._queue and not self._busy

    def moves(self, capacity: SlotShape, *, inputs_ready: bool = True) -> list[Move]:
        """What to do now, in this order, given all that the cluster has.

        Nothing is handed over before there are inputs: waiting for them is not to hang.

        Raises:
            BadInput: no slot came up in time, and none is at work.
        """
        moves = [*self._late(capacity), *self._misfits(), *self._starts(capacity)]
        if inputs_ready:
            moves += self._hand_overs()
        if not self._queue:
            # Nodes without slots can be scaled down while the last work runs.
            moves += [GiveBack(slot) for slot in (*self._idle, *self._starting)]
            self._idle, self._starting = {}, {}
        return moves

    def _late(self, capacity: SlotShape) -> list[Move]:
        """Gives back slots that did not come up in time."""
        now = self.clock()
        late = {slot: one for slot, one in self._starting.items() if now > one.deadline}
        for slot, one in late.items():
            del self._starting[slot]
            if not self._busy and not self._idle:
                raise BadInput(
                    f"no slot started within {START_TIMEOUT_S:.0f} s: one needs "
                    f"{one.shape.num_gpus:g} GPUs and {one.shape.num_cpus:g} CPUs, the cluster has "
                    f"{capacity.num_gpus:g} and {capacity.num_cpus:g}; change gpus_per_model"
                )
        return [GiveBack(slot) for slot in late]

    def _misfits(self) -> list[Move]:
        """Gives back idle slots of another shape than the next work's: whoever fits is gone."""
        if not self._queue:
            return []
        wanted = self._shape(self._queue[0])
        misfits = [slot for slot, shape in self._idle.items() if shape != wanted]
        for slot in misfits:
            del self._idle[slot]
        return [GiveBack(slot) for slot in misfits]

    def _starts(self, capacity: SlotShape) -> list[Move]:
        """Starts slots for the next work and what is like it, as far as there is room."""
        if not self._queue:
            return []
        shape, share = self._shape(self._queue[0]), self._queue[0].share
        n_waiting = sum(queued.share == share for queued in self._queue)
        moves: list[Move] = []
        while len(self._starting) + len(self._idle) < n_waiting and self.slots.fit(
            self._taken(), shape, capacity
        ):
            self._n_slots += 1
            self._starting[self._n_slots] = _Starting(shape, self.clock() + START_TIMEOUT_S)
            moves.append(Start(self._n_slots, shape))
        return moves

    def _hand_overs(self) -> list[Move]:
        moves: list[Move] = []
        while self._queue and (slot := self._fitting(self._shape(self._queue[0]))) is not None:
            queued = heapq.heappop(self._queue)
            shape = self._idle.pop(slot)
            self._busy[slot] = _Busy(shape, queued, self.clock() + HANG_FLOOR_S)
            moves.append(HandOver(slot, queued.work, self._upcoming()))
        return moves

    def _taken(self) -> list[SlotShape]:
        return [
            *self._idle.values(),
            *(one.shape for one in self._starting.values()),
            *(one.shape for one in self._busy.values()),
        ]

    def _shape(self, queued: Queued) -> SlotShape:
        whole = self.slots.shape
        return replace(whole, num_gpus=whole.num_gpus * queued.share)

    def _fitting(self, wanted: SlotShape) -> int | None:
        return next((slot for slot, shape in self._idle.items() if shape == wanted), None)

    def _upcoming(self) -> ModelWork | None:
        """As far ahead in the queue as there are slots: nearer ones are being fetched already."""
        ahead = heapq.nsmallest(len(self._taken()), self._queue)
        return ahead[-1].work if ahead else None

    def started(self, slot: int, gpu_bytes: int | None) -> None:
        """A slot is up; shares are cut by the smallest GPU there is."""
        self._failed_starts = 0
        self._idle[slot] = self._starting.pop(slot).shape
        if self.slots.shares and gpu_bytes is not None and gpu_bytes < (self._gpu_bytes or 2**63):
            self._gpu_bytes = gpu_bytes
            self._queue = [
                replace(queued, share=self.expected.share(queued.work, gpu_bytes))
                for queued in self._queue
            ]
            heapq.heapify(self._queue)

    def start_failed(self, slot: int, reason: str) -> None:
        """A slot could not start.

        Raises:
            BadInput: neither could the ones before it.
        """
        del self._starting[slot]
        self._failed_starts += 1
        if self._failed_starts >= MAX_DEATHS:
            raise BadInput(
                f"{MAX_DEATHS} slots in a row could not start ({reason}); every node needs this "
                "package, its libraries and the store"
            )

    def reported(self, slot: int, report: Report) -> None:
        """A busy slot goes on: its deadline moves, and who is to blame for its death changes."""
        busy = self._busy[slot]
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
        self._idle[slot] = self._busy.pop(slot).shape

    def work_of(self, slot: int) -> ModelWork:
        """What a busy slot is at."""
        return self._busy[slot].queued.work

    def hung(self) -> list[int]:
        """Busy slots that let their deadline pass: each is to be killed, and is lost then."""
        now = self.clock()
        return [slot for slot, busy in self._busy.items() if now > busy.deadline]

    def lost(self, slot: int) -> Loss:
        """A busy slot is gone (killed, so that it writes no more): what is left of its work waits."""
        busy = self._busy.pop(slot)
        left, given_up = busy.queued.after_loss(busy.blamed, busy.finished)
        if left is not None:
            heapq.heappush(self._queue, left)
        return Loss(busy.queued.work, given_up, tried_again=left is not None)
