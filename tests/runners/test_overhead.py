"""What rows say of a sweep's time, by hand: slots that do nothing, a trial's cost, a slot that joins."""

import sys

import psutil
import pytest

from benchmarks import processes
from benchmarks.runner import broken
from benchmarks.runner_rows import Group, Rows


def test_of_one_slot_that_pauses():
    rows = Rows([Group(100.0, 3.0, 2), Group(104.0, 5.0, 1), Group(110.0, 0.0, 1)], 1)
    assert rows.first_s == 103.0
    assert rows.idle_s == pytest.approx(2.0)
    assert rows.idle_share == pytest.approx(2 / 10)
    assert rows.overhead_s == pytest.approx(2 / 4)


def test_of_two_slots_until_one_has_no_more():
    rows = Rows([Group(0.0, 4.0, 1), Group(1.0, 9.0, 1), Group(5.0, 1.0, 1)], 2)
    assert [len(lane) for lane in rows.lanes] == [2, 1]
    # Until 6: one did nothing for a second in the middle, the other one at the beginning.
    assert rows.idle_s == pytest.approx(2.0)
    # To the very end, at 10, four more.
    assert rows.overhead_s == pytest.approx(6 / 3)


def test_a_slot_that_never_came_did_nothing_all_the_time():
    assert Rows([Group(0.0, 4.0, 1)], 2).idle_s == pytest.approx(4.0)


def test_the_first_row_of_a_slot_that_joined():
    groups = [Group(0.0, 10.0, 1), Group(2.0, 1.0, 1), Group(12.0, 9.0, 1), Group(14.0, 2.5, 1)]
    assert Rows(groups, 2).second_slot_s(11.0) == pytest.approx(5.5)
    with pytest.raises(AssertionError, match="over before"):
        Rows(groups, 2).second_slot_s(15.0)


def test_what_a_command_and_its_children_take_is_counted(monkeypatch):
    monkeypatch.setattr(processes, "LOOK_S", 0.01)
    before = psutil.Process().children()
    said, taken = processes.run("tests.runners.busy_family", [], {"PYTHONPATH": ":".join(sys.path)})
    own, child = map(float, said.split())
    assert taken.driver_s == pytest.approx(own, rel=0.5)
    assert taken.others_s == pytest.approx(child, rel=0.5)
    assert taken.slots_s == 0
    assert set(psutil.Process().children()) <= set(before)


def test_a_bound_that_is_not_held_is_named():
    held = {"ray_ratio": 1.0, "trial_overhead_ms": 9, "first_row_s": 9, "node_first_row_s": 9}
    assert broken(held) == []
    assert broken({**held, "ray_ratio": 1.2}) == ["ray_ratio is over 1.05"]
