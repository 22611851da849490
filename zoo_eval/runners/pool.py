"""Pool: carries out a schedule's moves on a cluster, and tells the schedule what happened."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from zoo_eval.errors import Cancelled, as_line
from zoo_eval.runners.execution import Finished, Report, record_lost, refuse
from zoo_eval.runners.moves import GiveBack, HandOver, Loss, Move, Refuse, Start
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.schedule import Schedule
from zoo_eval.runners.slots import Capacity, SlotInfo, SlotShape
from zoo_eval.store import Store
from zoo_eval.sweep.faults import HANG, NODE, PROCESS, Elsewhere
from zoo_eval.sweep.plan import ModelWork

POLL_S = 0.25
# A death's message may be a page long.
MOST_SAID = 500
# How long a sweep that is cancelled waits for the groups at work.
WIND_DOWN_S = 10.0


@dataclass(frozen=True)
class Up:
    """A slot has started."""

    slot: int
    info: SlotInfo


@dataclass(frozen=True)
class NotUp:
    """A slot could not start, and why."""

    slot: int
    reason: str


@dataclass(frozen=True)
class Told:
    """A slot at work reports."""

    slot: int
    report: Report


@dataclass(frozen=True)
class Through:
    """A slot is through with its work."""

    slot: int


@dataclass(frozen=True)
class Gone:
    """A slot at work is lost, or of no more use, and what was said."""

    slot: int
    why: Elsewhere


News = Up | NotUp | Told | Through | Gone


class Cluster(Protocol):
    """What a pool asks of whatever starts its slots."""

    @property
    def is_ready(self) -> bool:
        """Whether there is what slots are given: work can be handed over."""
        ...

    def capacity(self) -> Capacity:
        """All that it has."""
        ...

    def start(self, slot: int, shape: SlotShape) -> None:
        """Starts a slot under a number of its own; news of it follow."""
        ...

    def hand_over(self, slot: int, work: ModelWork, upcoming: ModelWork | None) -> None:
        """Gives a slot its work; reports follow."""
        ...

    def end(self, slot: int) -> None:
        """Ends a slot's process at once, so that it writes no more; no news of it follow."""
        ...

    def leaving(self) -> Collection[int]:
        """Slots on machines that are about to be taken away."""
        ...

    def news(self, timeout_s: float) -> Sequence[News]:
        """What happened, waited for so long at most.

        Raises:
            ZooEvalError: the cluster is gone, or a slot met what ends a sweep.
        """
        ...


class Pool:
    """Slots at work until a schedule is over."""

    def __init__(
        self, schedule: Schedule, cluster: Cluster, store: Store, progress: Progress
    ) -> None:
        self.schedule = schedule
        self.cluster = cluster
        self.store = store
        self.progress = progress

    def run(self) -> None:
        """Runs everything; whatever ends it, no slot is at work afterwards.

        Raises:
            BadInput: no slot can be started.
            StoreError: the store is full or cannot be written, or another sweep has taken it over.
            Cancelled: the sweep was asked to end.
            ZooEvalError: the cluster is gone.
        """
        slots: set[int] = set()
        try:
            while not self.schedule.is_over:
                self._turn(slots)
        except Cancelled:
            self._wind_down(slots)
            raise
        finally:
            for slot in slots:
                self.cluster.end(slot)

    def _wind_down(self, slots: set[int]) -> None:
        """Lets groups at work finish if they soon do; a slot ends after its group, and gets no other."""
        until = time.monotonic() + WIND_DOWN_S
        while (busy := slots.intersection(self.progress.at_work)) and time.monotonic() < until:
            for one in self.cluster.news(POLL_S):
                if isinstance(one, Told):
                    self.progress.told(one.slot, self.schedule.work_of(one.slot), one.report)
                    is_over = isinstance(one.report, Finished)
                else:
                    is_over = not isinstance(one, Up | NotUp)
                if is_over and one.slot in busy:
                    self._end(one.slot, slots)

    def _turn(self, slots: set[int]) -> None:
        self.store.check_held()
        for slot in self.cluster.leaving():
            self.schedule.leaving(slot)
        capacity, is_ready = self.cluster.capacity(), self.cluster.is_ready
        for move in self.schedule.moves(capacity, inputs_ready=is_ready):
            self._carry_out(move, slots)
        for one in self.cluster.news(POLL_S):
            self._take(one, slots)
        for slot in self.schedule.hung():
            why = Elsewhere(HANG, "Hang", "no progress until the deadline")
            self._take(Gone(slot, why), slots)
        self.progress.turn()

    def _carry_out(self, move: Move, slots: set[int]) -> None:
        if isinstance(move, Start):
            slots.add(move.slot)
            self.cluster.start(move.slot, move.shape)
        elif isinstance(move, HandOver):
            self.cluster.hand_over(move.slot, move.work, move.upcoming)
        elif isinstance(move, GiveBack):
            self._end(move.slot, slots)
        elif isinstance(move, Refuse):
            refused = refuse(move.work, move.reason, self.store)
            self.progress.finished(move.work.name, refused)

    def _take(self, one: News, slots: set[int]) -> None:
        if isinstance(one, Up):
            self.schedule.started(one.slot, one.info.gpu_bytes)
        elif isinstance(one, NotUp):
            self._end(one.slot, slots)
            self.schedule.start_failed(one.slot, one.reason)
        elif isinstance(one, Through):
            self.progress.left(one.slot)
            self.schedule.finished(one.slot)
        elif isinstance(one, Gone):
            # First: nothing may write behind our back.
            self._end(one.slot, slots)
            self._lost(self.schedule.lost(one.slot, one.why.fault), one.why)
        else:
            self._reported(one, slots)

    def _end(self, slot: int, slots: set[int]) -> None:
        slots.discard(slot)
        self.progress.left(slot)
        self.cluster.end(slot)

    def _reported(self, told: Told, slots: set[int]) -> None:
        self.schedule.reported(told.slot, told.report)
        self.progress.told(told.slot, self.schedule.work_of(told.slot), told.report)
        if isinstance(told.report, Finished) and self.schedule.is_leaving(told.slot):
            self._end(told.slot, slots)
            self.schedule.handed_back(told.slot)

    def _lost(self, loss: Loss, why: Elsewhere) -> None:
        self.progress.lost(loss.work.name)
        for index, times in loss.given_up.items():
            said = as_line(str(why))[:MOST_SAID]
            text = f"{_met(why)} {times} times; last: {said}"
            self._give_up(loss.work, index, why, text)
        if loss.tried_again:
            name = loss.work.name
            self.progress.say(f"{name}: {_met(why)} ({why.error_type}); trying again")

    def _give_up(self, work: ModelWork, index: int, why: Elsewhere, text: str) -> None:
        group = work.groups[index]
        # A commit may have been made just before the death: the ledger decides.
        status = self.store.ledger().status
        n_committed = sum(status.get(trial.id) == "ok" for trial in group.trials)
        if n_committed < len(group.trials):
            record_lost(group, self.store, why, text)
        n_failed = len(group.trials) - n_committed
        classes = {why.fault.name: n_failed} if n_failed else {}
        kind = group.evaluation.kind
        finished = Finished(index, n_committed, n_failed, 0, 0, group.n_passes, text, kind, classes)
        self.progress.finished(work.name, finished)


def _met(why: Elsewhere) -> str:
    """What happened to a group, in words."""
    return "its process was lost" if why.fault in (PROCESS, NODE, HANG) else "it failed"
