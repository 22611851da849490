"""A group that goes on has until its next report, and no longer."""

from dataclasses import replace

from tests.runners.planted_evaluations import Planted, work
from zoo_eval.runners.execution import Advanced, Started
from zoo_eval.runners.moves import HandOver, Start
from zoo_eval.runners.schedule import HANG_FLOOR_S, HANG_S_PER_PASS, Schedule
from zoo_eval.runners.slots import Slots, SlotShape

CPU = SlotShape(0, 1)
N_PASSES, N_AHEAD = 10_000, 7


def test_a_report_restarts_the_deadline_which_covers_what_is_ahead_alone():
    now = [0.0]
    one = work(Planted("a", "works", "unused"))
    groups = tuple(replace(group, n_passes=N_PASSES) for group in one.groups)
    schedule = Schedule([replace(one, groups=groups)], Slots(CPU), clock=lambda: now[0])
    (start,) = schedule.moves(CPU)
    assert isinstance(start, Start)
    schedule.started(start.slot, None)
    (move,) = schedule.moves(CPU)
    assert isinstance(move, HandOver)
    schedule.reported(move.slot, Started(0))
    now[0] += HANG_FLOOR_S + HANG_S_PER_PASS * N_AHEAD + 1
    assert schedule.hung() == []
    schedule.reported(move.slot, Advanced(0, 3, N_AHEAD))
    now[0] += HANG_FLOOR_S + HANG_S_PER_PASS * N_AHEAD - 1
    assert schedule.hung() == []
    schedule.reported(move.slot, Advanced(0, 4, N_AHEAD))
    now[0] += HANG_FLOOR_S + HANG_S_PER_PASS * N_AHEAD + 1
    assert schedule.hung() == [move.slot]
    # It had started, and is to blame.
    assert schedule.work_of(move.slot).name == one.name
