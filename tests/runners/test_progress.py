"""Progress: what a sweep says of itself, on a clock of the test's own."""

from dataclasses import dataclass, replace

import pytest

from tests.runners.planted_evaluations import Planted, work
from zoo_eval.catalog import ModelCard
from zoo_eval.evaluations.evaluation import Candidate
from zoo_eval.runners import progress
from zoo_eval.runners.eta import Eta
from zoo_eval.runners.execution import Finished, Started
from zoo_eval.runners.progress import Progress
from zoo_eval.sweep.plan import Plan
from zoo_eval.units import duration


@pytest.fixture
def clock(monkeypatch):
    """Seconds, to be set by the test."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def said():
    return []


@dataclass(frozen=True)
class Advanced:
    """What a group says of itself while it goes on, as far as progress reads it."""

    group_index: int
    n_passes: int


def planned(**n_passes: int) -> Plan:
    """A plan of models, by name, each with one group of so many image passes."""
    everything = []
    for name, n in n_passes.items():
        one = work(Planted(name, "works", "."), candidate=Candidate(ModelCard(name, "local", "x")))
        (planted,) = one.groups
        everything.append(replace(one, groups=(replace(planted, n_passes=n),)))
    return Plan(work=everything)


def group(n_ok=1, n_failed=0, *, planned=100, run=50, error=None):
    return Finished(
        group_index=0, n_ok=n_ok, n_failed=n_failed, n_refused=0, n_passes=run,
        planned_passes=planned, first_error=error,
    )  # fmt: skip


def test_time_left_is_in_proportion_to_the_planned_passes(clock, said):
    shown = Progress(10, 1000, said.append)
    clock[0] = 20.0
    shown.finished("a", group(planned=250, run=40))
    assert shown.eta_s == pytest.approx(60)
    assert said == [
        "1/10 trials, 0 failed, 0 refused, 2.0 image passes/s, 0m20s so far, 1m00s left"
    ]


def test_where_nothing_was_estimated_the_first_group_says_how_long_it_takes(clock, said):
    shown = Progress(10, 10_000, said.append)
    assert shown.eta_s is None
    clock[0] = 6.0
    shown.line()
    assert said == ["0/10 trials, 0 failed, 0 refused, 0.0 image passes/s, 0m06s so far"]
    clock[0] = 20.0
    shown.finished("a", group(planned=100))
    assert shown.eta_s == pytest.approx(99 * 20)


def test_time_left_is_the_plans_at_first_and_what_was_measured_later(clock, said):
    """Two models of 300 s as estimated; the first takes twice as long."""
    plan = planned(a=100, b=100)
    shown = Progress.of(plan, said.append)
    shown.expects(plan, {"a": 300.0, "b": 300.0})
    assert shown.eta_s == pytest.approx(600)
    clock[0] = 12.0
    shown.line()
    assert said[-1].endswith(", 9m48s left by the plan's estimate")
    clock[0] = 600.0
    shown.finished("a", group(planned=100, run=100))
    # The estimate counts as 30 s that were measured to be right.
    assert shown.eta_s == pytest.approx(300 * (600 + 30) / (300 + 30))
    assert not said[-1].endswith("estimate")
    clock[0] = 1000.0
    assert shown.eta_s == pytest.approx(300 * (600 + 30) / (300 + 30) - 400)
    # What should long be done is never done at once.
    clock[0] = 9000.0
    assert shown.eta_s == pytest.approx(0.1 * 300 * (600 + 30) / (300 + 30))


@pytest.mark.parametrize(("estimated", "trust"), [(40.0, 10.0), (1000.0, 30.0), (10_000.0, 200.0)])
def test_the_plans_estimate_counts_for_a_part_of_it(estimated, trust):
    assert Eta.of(planned(a=100).work, {"a": estimated}).trust == pytest.approx(trust)


def test_time_left_is_shared_by_the_slots_at_work(clock, said):
    plan = planned(a=100, b=100)
    shown = Progress.of(plan, said.append)
    shown.expects(plan, {"a": 300.0, "b": 300.0})
    for slot, one in enumerate(plan.work):
        shown.told(slot, one, Started(0))
    assert shown.eta_s == pytest.approx(300)
    clock[0] = 150.0
    shown.advanced("a", Advanced(0, 50))
    shown.advanced("b", Advanced(0, 50))
    assert shown.eta_s == pytest.approx(150)
    assert shown.rate == pytest.approx(100 / 150)


def test_while_slots_start_nothing_is_taken_off_the_time_left(clock, said):
    plan = planned(a=100)
    shown = Progress.of(plan, said.append)
    shown.expects(plan, {"a": 300.0})
    for now in (0.5, 50.0, 100.0):
        clock[0] = now
        shown.turn()
    assert shown.eta_s == pytest.approx(300)
    shown.told(1, plan.work[0], Started(0))
    clock[0] = 250.0
    shown.turn()
    shown.advanced("a", Advanced(0, 50))
    assert shown.eta_s == pytest.approx(150)


def test_what_a_group_told_of_itself_is_not_counted_again_and_is_lost_with_its_process(clock, said):
    plan = planned(a=100, b=100)
    shown = Progress.of(plan, said.append)
    shown.expects(plan, {"a": 300.0, "b": 300.0})
    clock[0] = 100.0
    shown.advanced("a", Advanced(0, 40))
    shown.advanced("b", Advanced(0, 50))
    assert (shown.passes_run, shown.eta.share) == (90, pytest.approx(0.45))
    shown.finished("a", group(planned=100, run=70))
    assert (shown.passes_run, shown.eta.share) == (120, pytest.approx(0.75))
    shown.lost("b")
    assert shown.eta.share == pytest.approx(0.5)
    shown.finished("b", group(planned=100, run=100))
    # The 50 that were lost were run all the same.
    assert (shown.passes_run, shown.eta.share) == (220, pytest.approx(1.0))
    assert shown.models_done == {"a", "b"}


def test_slots_are_said_to_be_at_what_they_are_at(clock, said):
    (one,) = planned(a=100).work
    shown = Progress.of(planned(a=100), said.append)
    shown.told(3, one, Started(None))
    assert shown.at_work == {3: "a: opening"}
    shown.told(3, one, Started(0))
    assert shown.at_work == {3: "a: planted (1/1)"}
    shown.left(3)
    assert shown.at_work == {}


def test_failures_are_counted_by_class_and_trials_by_evaluation(clock, said):
    shown = Progress(9, 900, said.append)
    gone = {"n_ok": 1, "n_failed": 2, "n_refused": 0, "n_passes": 0, "planned_passes": 0}
    clock[0] = 10.0
    shown.finished("a", Finished(0, **gone, evaluation="gate", failures={"disk": 1, "gpu": 1}))
    shown.finished("b", Finished(0, **gone, evaluation="gate", failures={"gpu": 2}))
    clock[0] = 20.0
    shown.line()
    assert said[-1].startswith(
        "6/9 trials, 4 failed, 0 refused (gpu 3, disk 1), 0.0 image passes/s"
    )
    assert shown.counted == {("gate", "ok"): 2, ("gate", "failed"): 4, ("gate", "refused"): 0}


def test_a_log_of_hours_is_no_longer_than_it_must_be(clock, said):
    shown = Progress(10, 1000, said.append)
    for second in range(7200):
        clock[0] = float(second)
        shown.line()
    # Every 5 s for the first 500 s, then every hundredth of the time so far: 100 + 100 log(7200 / 500).
    assert 340 < len(said) < 370


def test_lines_are_seconds_apart_but_the_end_is_said_once(clock, said):
    shown = Progress(3, 300, said.append, every_s=5)
    for now in (1.0, 2.0):
        clock[0] = now
        shown.finished("a", group())
    assert said == []
    clock[0] = 3.0
    shown.finished("a", group())
    clock[0] = 100.0
    shown.line()
    assert len(said) == 1
    assert said[0].startswith("3/3 trials")


def test_a_failure_is_said_at_once_with_its_model_and_reason(clock, said):
    shown = Progress(10, 1000, said.append)
    shown.finished("b", group(0, 2, error="out of memory"))
    assert said == ["b: 2 not done: out of memory"]
    assert (shown.n_done, shown.n_failed) == (2, 2)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0m00s"), (59.6, "1m00s"), (185, "3m05s"), (7260, "2h01m")]
)
def test_durations_are_readable(seconds, text):
    assert duration(seconds) == text
