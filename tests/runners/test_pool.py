"""A pool does what its schedule says, on whatever starts its slots; here they are generators."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import torch

from tests.runners.planted_evaluations import Planted, work
from zoo_eval.errors import BadInput, StoreError
from zoo_eval.inputs import Inputs
from zoo_eval.queries.connection import connect
from zoo_eval.runners.execution import Machine, Report, Started, run_work
from zoo_eval.runners.pool import Gone, NotUp, Pool, Through, Told, Up
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.queue import MAX_DEATHS
from zoo_eval.runners.schedule import Schedule
from zoo_eval.runners.slots import Capacity, SlotInfo, Slots, SlotShape
from zoo_eval.store import Store
from zoo_eval.sweep.faults import NODE, PROCESS, Elsewhere, Fault
from zoo_eval.sweep.file import Budgets
from zoo_eval.sweep.plan import ModelWork, Plan

CPU, ONE = SlotShape(0, 1), Capacity(0, 1)


@dataclass
class Here:
    """Slots in this process, each a step at a time; `meets` gives what ends one before its next step."""

    store: Store
    meets: Callable[[int, str | None], Fault | None] = lambda slot, group: None
    capacity_: Capacity = ONE
    up: list[int] = field(default_factory=list)
    running: dict[int, tuple[ModelWork, Iterator[Report]]] = field(default_factory=dict)
    # The name of the group that each slot has told that it is at.
    at: dict[int, str | None] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    going: list[int] = field(default_factory=list)

    is_ready = True

    def capacity(self) -> Capacity:
        return self.capacity_

    def start(self, slot, shape):
        self.up.append(slot)

    def hand_over(self, slot, work, upcoming):
        machine = Machine(torch.device("cpu"), Budgets(1))
        self.running[slot] = work, run_work(work, Inputs(), self.store, machine)
        self.at[slot] = None

    def end(self, slot):
        self.ended.append(slot)
        self.running.pop(slot, None)

    def leaving(self):
        return self.going

    def news(self, timeout_s):
        up, self.up = self.up, []
        started = [Up(slot, SlotInfo("cpu", None)) for slot in up]
        return started + [self._step(slot) for slot in list(self.running)]

    def _step(self, slot):
        if (fault := self.meets(slot, self.at[slot])) is not None:
            return Gone(slot, Elsewhere(fault, "Killed", "by somebody\nand a page more"))
        work, reports = self.running[slot]
        try:
            report = next(reports)
        except StopIteration:
            del self.running[slot]
            return Through(slot)
        is_at_one = isinstance(report, Started)
        self.at[slot] = work.groups[report.group_index].evaluation.name if is_at_one else None
        return Told(slot, report)


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


@pytest.fixture
def pooled(tmp_path, store):
    """Runs work of groups of these names on a cluster; what was said."""

    def run(cluster, *works):
        everything = [
            work(*(Planted(name, "works", str(tmp_path)) for name in names)) for names in works
        ]
        said: list[str] = []
        plan = Plan(work=everything)
        Pool(Schedule(everything, Slots(CPU)), cluster, store, Progress.of(plan, said.append)).run()
        return said

    return run


def statuses(store):
    rows = connect(store).rows("SELECT model, status, failure_class FROM trials ORDER BY model")
    return {row["model"]: (row["status"], row["failure_class"]) for row in rows}


OK = ("ok", None)


def test_everything_is_done_and_no_slot_is_left(store, pooled):
    cluster = Here(store, capacity_=Capacity(0, 2))
    pooled(cluster, "ab", "c")
    assert statuses(store) == dict.fromkeys("abc", OK)
    assert sorted(set(cluster.ended)) == [1, 2]
    assert cluster.running == {}


def test_what_ends_its_process_again_and_again_is_given_up_and_its_class_is_a_column(store, pooled):
    cluster = Here(store, lambda slot, group: PROCESS if group == "b" else None)
    said = pooled(cluster, "abc")
    assert statuses(store) == {"a": OK, "b": ("failed", "process"), "c": OK}
    (row,) = connect(store).rows("SELECT error_type, error_message FROM failures")
    assert row["error_type"] == "Killed"
    assert row["error_message"] == (
        f"its process was lost {MAX_DEATHS} times; last: by somebody and a page more"
    )
    assert sum("its process was lost (Killed); trying again" in line for line in said) == MAX_DEATHS


def test_what_was_committed_before_the_death_counts(store, pooled, tmp_path):
    finished = []

    def meets(slot, group):
        # Its commit was made, and nobody was told: three times, as far as the driver knows.
        if group == "a" and len(finished) < MAX_DEATHS:
            if not finished:
                list(cluster.running[slot][1])
            finished.append(slot)
            return PROCESS
        return None

    cluster = Here(store, meets)
    pooled(cluster, "a")
    assert statuses(store) == {"a": OK}


def test_a_node_that_is_lost_costs_nobody_anything(store, pooled):
    lost = []

    def meets(slot, group):
        if group == "b" and len(lost) < MAX_DEATHS + 1:
            lost.append(slot)
            return NODE
        return None

    pooled(Here(store, meets), "ab")
    assert statuses(store) == dict.fromkeys("ab", OK)
    assert len(set(lost)) == MAX_DEATHS + 1


def test_a_machine_that_goes_ends_its_group_and_another_does_the_rest(store, pooled, tmp_path):
    def meets(slot, group):
        if slot == 1 and group == "a":
            cluster.going.append(1)
        return

    cluster = Here(store, meets)
    pooled(cluster, "abc")
    assert statuses(store) == dict.fromkeys("abc", OK)
    assert cluster.ended[0] == 1
    # Nothing was done twice.
    assert [len((tmp_path / name).read_text()) for name in "abc"] == [1, 1, 1]


def test_what_ends_a_sweep_ends_its_slots(store, pooled):
    def meets(slot, group):
        raise StoreError("taken over")

    cluster = Here(store, meets)
    with pytest.raises(StoreError, match="taken over"):
        pooled(cluster, "a")
    assert cluster.ended == [1]


def test_slots_that_cannot_start_end_it_with_a_line(store, pooled):
    cluster = Here(store)
    cluster.news = lambda timeout_s: [NotUp(slot, "no torch") for slot in cluster.up[-1:]]
    with pytest.raises(BadInput, match=r"slots in a row could not start \(no torch\)"):
        pooled(cluster, "a")
    assert len(cluster.ended) == MAX_DEATHS
