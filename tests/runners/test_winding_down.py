"""A pool that is cancelled: groups at work finish if they soon do, and nothing else begins."""

from collections import deque

import pytest

from tests.runners.planted_evaluations import Planted, work
from zoo_eval.errors import Cancelled
from zoo_eval.runners import pool
from zoo_eval.runners.execution import Finished, Started
from zoo_eval.runners.pool import Gone, Pool, Through, Told, Up
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.schedule import Schedule
from zoo_eval.runners.slots import Capacity, SlotInfo, Slots, SlotShape
from zoo_eval.store import Store
from zoo_eval.sweep.faults import PROCESS, Elsewhere
from zoo_eval.sweep.plan import Plan

DONE = {"n_ok": 1, "n_failed": 0, "n_refused": 0, "n_passes": 0, "planned_passes": 0}


class Scripted:
    """A cluster of two slots whose news are written beforehand, in order, each in a turn of its own."""

    is_ready = True

    def __init__(self, *news):
        self.script = deque(news)
        self.handed_over: list[int] = []
        self.ended: list[int] = []

    def capacity(self):
        return Capacity(0, 2)

    def leaving(self):
        return []

    def start(self, slot, shape):
        pass

    def hand_over(self, slot, work, upcoming):
        self.handed_over.append(slot)

    def end(self, slot):
        self.ended.append(slot)

    def news(self, timeout_s):
        return [self.script.popleft()] if self.script else []


UP = [Up(1, SlotInfo("cpu", None)), Up(2, SlotInfo("cpu", None))]
AT_WORK = [Told(1, Started(0)), Told(2, Started(0))]


def cancelled(tmp_path, monkeypatch, *rest) -> tuple[Scripted, Progress, list[str]]:
    """Two slots with a model of two groups each, a third model waiting; cancelled once both are at work."""
    models = [work(*(Planted(f"{m}{i}", "works", ".") for i in "01")) for m in "abc"]
    plan, said = Plan(work=models), []
    progress = Progress.of(plan, said.append)
    cluster = Scripted(*UP, *AT_WORK, *rest)
    store = Store(str(tmp_path / "store"), create=True)

    def check():
        if len(progress.at_work) == 2:
            raise Cancelled("cancelled")

    monkeypatch.setattr(store, "check_held", check)
    schedule = Schedule(plan.work, Slots(SlotShape(0, 1)))
    with pytest.raises(Cancelled):
        Pool(schedule, cluster, store, progress).run()
    return cluster, progress, said


def test_a_slot_ends_with_its_group_and_the_other_is_waited_for(tmp_path, monkeypatch):
    news = [Told(1, Finished(0, **DONE)), Told(2, Finished(0, **DONE)), Told(1, Started(1))]
    cluster, progress, _ = cancelled(tmp_path, monkeypatch, *news)
    assert progress.n_ok == 2
    assert cluster.ended == [1, 2]
    assert cluster.handed_over == [1, 2]
    # Nobody listened any more.
    assert list(cluster.script) == news[2:]


def test_what_does_not_finish_soon_is_ended_and_left(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "WIND_DOWN_S", 0.05)
    cluster, progress, _ = cancelled(tmp_path, monkeypatch, Told(1, Finished(0, **DONE)))
    assert progress.n_ok == 1
    assert sorted(cluster.ended) == [1, 2]
    assert progress.n_trials - progress.n_done == 5


@pytest.mark.parametrize("last", [Through(2), Gone(2, Elsewhere(PROCESS, "Died", "planted"))])
def test_a_slot_that_is_through_or_gone_is_not_waited_for(tmp_path, monkeypatch, last):
    monkeypatch.setattr(pool, "WIND_DOWN_S", 3600.0)
    cluster, progress, said = cancelled(tmp_path, monkeypatch, Told(1, Finished(0, **DONE)), last)
    assert cluster.ended == [1, 2]
    assert progress.n_ok == 1
    assert said == []
