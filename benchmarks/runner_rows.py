"""What a store's rows say of a sweep's time: when groups of trials ran, and how long slots did none."""

from collections.abc import Sequence
from dataclasses import dataclass

from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

GROUPS = """
SELECT epoch(min(started_at)) AS start, sum(seconds) AS seconds, count(*) AS n_trials
FROM trials WHERE seconds > 0 GROUP BY commit_id ORDER BY start
"""


@dataclass(frozen=True)
class Group:
    """Trials that ran and were committed together: when they began, and for how many seconds."""

    start: float
    seconds: float
    n_trials: int

    @property
    def end(self) -> float:
        return self.start + self.seconds


@dataclass(frozen=True)
class Rows:
    """The groups of a sweep on some slots, in the order in which they began."""

    groups: Sequence[Group]
    n_slots: int

    @classmethod
    def of(cls, uri: str, n_slots: int) -> "Rows":
        """Those of a store."""
        found = connect(Store(uri)).rows(GROUPS)
        return cls([Group(r["start"], r["seconds"], r["n_trials"]) for r in found], n_slots)

    @property
    def first_s(self) -> float:
        """When the first row was made."""
        return min(group.end for group in self.groups)

    @property
    def n_trials(self) -> int:
        return sum(group.n_trials for group in self.groups)

    @property
    def lanes(self) -> list[list[Group]]:
        """Groups by slot, as many slots as were ever busy at once: each goes where room was first."""
        lanes: list[list[Group]] = []
        for group in self.groups:
            free = [lane for lane in lanes if lane[-1].end <= group.start]
            if free:
                max(free, key=lambda lane: lane[-1].end).append(group)
            else:
                lanes.append([group])
        return lanes

    @property
    def idle_s(self) -> float:
        """Seconds of slots in which no group ran, from the first one's start until a slot has no more.

        Opening models, committing, handing over, and waiting.
        """
        lanes = self.lanes
        if len(lanes) < self.n_slots:
            until = max(group.end for group in self.groups)
        else:
            until = min(lane[-1].end for lane in lanes)
        start = self.groups[0].start
        busy = sum(max(0.0, min(one.end, until) - one.start) for one in self.groups)
        return self.n_slots * (until - start) - busy

    @property
    def idle_share(self) -> float:
        """`idle_s` as a share of the slots' time."""
        busy = sum(group.seconds for group in self.groups)
        return self.idle_s / (self.idle_s + busy)

    @property
    def overhead_s(self) -> float:
        """Seconds of slots in which no group ran, for each trial, to the very end."""
        span = max(group.end for group in self.groups) - self.groups[0].start
        return (self.n_slots * span - sum(group.seconds for group in self.groups)) / self.n_trials

    def second_slot_s(self, joined: float) -> float:
        """Seconds from a moment until the first row of a slot that works beside another since then.

        Raises:
            AssertionError: no group since ran beside another.
        """
        for number, group in enumerate(self.groups):
            before = self.groups[:number]
            if group.start > joined and any(one.end > group.start for one in before):
                return group.end - joined
        raise AssertionError("no second slot came to work: the sweep was over before")
