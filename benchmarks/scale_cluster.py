"""A cluster in virtual time, which does what the real schedule says: `Schedule` and `Progress` run.

Each GPU is a node of its own: weights that were fetched for one are on no other.
"""

import heapq
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks.scale_zoo import Stated, Zoo, weights_bytes
from zoo_eval.runners.execution import Finished, Started
from zoo_eval.runners.moves import GiveBack, HandOver, Move, Start
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.schedule import Schedule
from zoo_eval.runners.slots import Capacity, GpuClass, Slots, SlotShape
from zoo_eval.sweep.faults import NODE
from zoo_eval.sweep.plan import ModelWork, Plan

# A node that was lost is there again so much later: a cloud's machine boots.
NODE_S = 300.0
# How often the driver looks where nothing happens.
POLL_S = 0.25
DAY_S = 86_400
N_TURNS = 200


@dataclass(frozen=True)
class Times:
    """Seconds that are not a network's: a slot's start, opening and fetching a model, a commit."""

    start_s: float
    open_s: float
    open_bytes_per_s: float
    fetch_bytes_per_s: float
    commit_s: float

    def opening(self, work: ModelWork) -> float:
        return self.open_s + weights_bytes(work) / self.open_bytes_per_s

    def fetching(self, work: ModelWork) -> float:
        return weights_bytes(work) / self.fetch_bytes_per_s


@dataclass
class Outcome:
    """What a simulated sweep came to; seconds are virtual but for `driver_s`."""

    makespan_s: float = 0.0
    # While every node has had work and some still waits: of all GPUs' time, that with a network
    # running, with anything running, and with weights awaited.
    computing: float = 0.0
    occupied: float = 0.0
    fetching: float = 0.0
    driver_s: float = 0.0
    n_openings: int = 0
    n_lost: int = 0
    groups_done: int = 0
    given_up: int = 0
    n_calls: int = 0
    turn_s: float = 0.0

    @property
    def driver_s_per_day(self) -> float:
        """The driver's CPU seconds in a simulated day; four turns a second find nothing to do."""
        return (self.driver_s / self.makespan_s + self.turn_s / POLL_S) * DAY_S


@dataclass
class _Slot:
    shape: SlotShape
    speed: float = 1.0
    generation: int = 0
    is_up: bool = False
    work: ModelWork | None = None
    index: int | None = None
    began: float = 0.0
    fetched: dict[str, float] = field(default_factory=dict)


class Cluster:
    """Nodes of one GPU each, some of which are lost, and the schedule that they serve."""

    def __init__(self, zoo: Zoo, classes: Sequence[GpuClass], times: Times, seed: int = 0) -> None:
        self.zoo = zoo
        self.classes = tuple(classes)
        self.times = times
        self.chance = random.Random(seed)
        self.n_gpus = int(sum(one.n_gpus for one in classes))
        self.now = 0.0
        self.outcome = Outcome()
        slots = Slots(SlotShape(1, 1), shares=True)
        self.schedule = Schedule(zoo.everything, slots, zoo.expected, lambda: self.now)
        self.progress = Progress.of(Plan(work=list(zoo.everything)), lambda line: None)
        self._slots: dict[int, _Slot] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._n_events = 0
        # Slots that no node was there for.
        self._awaited: list[int] = []
        self._away: dict[str | None, int] = {}
        # What is left of a group of which parts are kept, as a share.
        self._left: dict[tuple[str, str], float] = {}
        # From when until when a GPU did what.
        self._spans: list[tuple[float, float, str]] = []
        self._first_work: dict[int, float] = {}
        self._empty_at: float | None = None

    def run(self, lost: float = 0.0) -> Outcome:
        """Until everything is done; that share of the nodes is lost once, at random moments."""
        self._say_losses(lost)
        clock = time.process_time
        while True:
            began = clock()
            moves = self.schedule.moves(self._capacity())
            self.outcome.driver_s += clock() - began
            for move in moves:
                self._carry_out(move)
            if self._empty_at is None and not self.schedule.n_waiting:
                self._empty_at = self.now
            if self.schedule.is_over:
                break
            self.now, _, happens = heapq.heappop(self._events)
            happens()
            if not self.outcome.turn_s and self.outcome.groups_done > len(self.zoo.everything):
                self._time_turns()
        self.outcome.makespan_s = self.now
        self._count_shares()
        return self.outcome

    def _time_turns(self) -> None:
        """Turns in which nothing happens but that time passes."""
        now = self.now
        began = time.process_time()
        for _ in range(N_TURNS):
            self.now += POLL_S
            moves = self.schedule.moves(self._capacity())
            self.schedule.hung()
            for move in moves:
                self._carry_out(move)
        self.outcome.turn_s = (time.process_time() - began) / N_TURNS
        self.now = now

    def _say_losses(self, lost: float) -> None:
        until = self.zoo.bound(self.classes)
        for _ in range(round(lost * self.n_gpus)):
            self._later(self.chance.uniform(0, until), self._lose_one)

    def _capacity(self) -> Capacity:
        there = tuple(
            GpuClass(one.name, one.n_gpus - self._away.get(one.name, 0), one.n_bytes, one.speed)
            for one in self.classes
        )
        total = sum(one.n_gpus for one in there)
        return Capacity(total, total, there)

    def _later(self, seconds: float, happens: Callable[[], None]) -> None:
        self._n_events += 1
        heapq.heappush(self._events, (self.now + seconds, self._n_events, happens))

    def _tell(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Tells the schedule something, on the driver's account."""
        began = time.process_time()
        told = method(*arguments)
        self.outcome.driver_s += time.process_time() - began
        self.outcome.n_calls += 1
        return told

    def _carry_out(self, move: Move) -> None:
        if isinstance(move, Start):
            speeds = {one.name: one.speed for one in self.classes}
            self._slots[move.slot] = _Slot(move.shape, speeds.get(move.shape.gpu_class, 1.0))
            self._later(self.times.start_s, lambda: self._come_up(move.slot))
        elif isinstance(move, HandOver):
            self._hand_over(move)
        elif isinstance(move, GiveBack):
            del self._slots[move.slot]
        else:
            raise AssertionError(move.reason)

    def _come_up(self, slot: int) -> None:
        if slot not in self._slots:
            return
        kind = self._slots[slot].shape.gpu_class
        there = sum(one.n_gpus for one in self._capacity().classes if one.name == kind)
        if sum(one.is_up for one in self._slots.values() if one.shape.gpu_class == kind) >= there:
            # It was asked for before there was a node for it.
            self._awaited.append(slot)
            return
        self._slots[slot].is_up = True
        self._tell(self.schedule.started, slot, None)

    def _hand_over(self, move: HandOver) -> None:
        one = self._slots[move.slot]
        one.work, one.index = move.work, None
        one.generation += 1
        self._first_work.setdefault(move.slot, self.now)
        times, now = self.times, self.now
        there = one.fetched.get(move.work.name, now + times.fetching(move.work))
        # The weights of one model at a time, those that are needed now first.
        begins = max(now, there)
        one.fetched = {move.work.name: min(there, begins)}
        if move.upcoming is not None:
            one.fetched[move.upcoming.name] = begins + times.fetching(move.upcoming)
        opened = begins + times.opening(move.work)
        self._note(now, begins, "fetching")
        self._note(begins, opened, "opening")
        self.outcome.n_openings += 1
        self._tell(self.schedule.reported, move.slot, Started(None))
        self._at(move.slot, opened - now, lambda: self._begin(move.slot, 0))

    def _at(self, slot: int, seconds: float, happens: Callable[[], None]) -> None:
        """Later, unless the slot is lost by then."""
        generation = self._slots[slot].generation

        def unless_lost() -> None:
            if slot in self._slots and self._slots[slot].generation == generation:
                happens()

        self._later(seconds, unless_lost)

    def _begin(self, slot: int, index: int) -> None:
        one = self._slots[slot]
        assert one.work is not None
        if index == len(one.work.groups):
            self._tell(self.schedule.finished, slot)
            one.work = None
            return
        one.index, one.began = index, self.now
        self._tell(self.schedule.reported, slot, Started(index))
        seconds = self._seconds(one)
        self._at(slot, seconds + self.times.commit_s, lambda: self._end(slot, index, seconds))

    def _seconds(self, one: _Slot) -> float:
        """How long the slot's group still takes."""
        name, stated = _named(one)
        return (
            self.zoo.seconds(name, stated.name)
            * self._left.get((name, stated.name), 1.0)
            / one.speed
        )

    def _end(self, slot: int, index: int, seconds: float) -> None:
        one = self._slots[slot]
        assert one.work is not None
        self._note(one.began, one.began + seconds, "computing")
        self._note(one.began + seconds, self.now, "committing")
        passes = one.work.groups[index].n_passes
        report = Finished(index, 1, 0, 0, passes, passes)
        self._tell(self.schedule.reported, slot, report)
        self._tell(self.progress.finished, one.work.name, report)
        self.outcome.groups_done += 1
        self._begin(slot, index + 1)

    def _lose_one(self) -> None:
        """A node at work is gone at once, with what it was at; another comes after a while."""
        busy = [slot for slot, one in self._slots.items() if one.work is not None]
        place = self.chance.randrange(self.n_gpus)
        if place >= len(busy):
            # Its work is done already, and no other is asked for.
            return
        slot = busy[place]
        one = self._slots[slot]
        if one.index is not None:
            # What it did was work, whether or not it is kept.
            self._note(one.began, self.now, "computing")
            self._keep_parts(one)
        del self._slots[slot]
        self.outcome.n_lost += 1
        kind = one.shape.gpu_class
        self._away[kind] = self._away.get(kind, 0) + 1
        self._later(NODE_S, lambda: self._come_back(kind))
        loss = self._tell(self.schedule.lost, slot, NODE)
        self.outcome.given_up += len(loss.given_up)

    def _keep_parts(self, one: _Slot) -> None:
        name, stated = _named(one)
        left = self._left.get((name, stated.name), 1.0)
        whole = self.zoo.seconds(name, stated.name) / one.speed
        done = min(left, (self.now - one.began) / whole)
        kept = math.floor((1 - left + done) * stated.n_kept + 1e-9) / stated.n_kept
        self._left[name, stated.name] = min(left, 1 - kept)

    def _come_back(self, kind: str | None) -> None:
        self._away[kind] -= 1
        awaited, self._awaited = self._awaited, []
        for slot in awaited:
            self._later(self.times.start_s, partial(self._come_up, slot))

    def _note(self, begin: float, end: float, what: str) -> None:
        if end > begin:
            self._spans.append((begin, end, what))

    def _count_shares(self) -> None:
        # The nodes that there are at first; replacements come later.
        begin = max(sorted(self._first_work.values())[: self.n_gpus])
        end = self._empty_at or self.now
        done = dict.fromkeys(("computing", "fetching", "opening", "committing"), 0.0)
        for first, last, what in self._spans:
            done[what] += max(0.0, min(last, end) - max(first, begin))
        room = self.n_gpus * (end - begin)
        if room <= 0:
            return
        self.outcome.computing = done["computing"] / room
        self.outcome.fetching = done["fetching"] / room
        self.outcome.occupied = (sum(done.values()) - done["fetching"]) / room


def _named(one: _Slot) -> tuple[str, Stated]:
    assert one.work is not None
    assert one.index is not None
    stated: Any = one.work.groups[one.index].evaluation
    return one.work.name, stated
