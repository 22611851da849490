"""Progress: what a sweep says of itself, on a clock of the test's own."""

import pytest

from zoo_eval.runners import progress
from zoo_eval.runners.execution import Finished
from zoo_eval.runners.progress import Progress
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


def test_time_left_is_unknown_while_starting_up_is_most_of_the_time(clock, said):
    shown = Progress(10, 10_000, said.append)
    assert shown.eta_s is None
    clock[0] = 20.0
    shown.finished("a", group(planned=1))
    assert shown.eta_s is None
    assert said[-1].endswith("unknown left")


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
