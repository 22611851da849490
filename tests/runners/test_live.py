"""A live display is written over; lines pass above it; a terminal shows what a terminal would."""

import io
import re

import pytest

from tests.runners.test_progress import group, planned
from zoo_eval.runners import live
from zoo_eval.runners.execution import Started
from zoo_eval.runners.live import Foot, Live


class Screen(io.StringIO):
    """What a terminal shows of what is written to it: lines, and the two codes that are used."""

    def shown(self) -> list[str]:
        lines, row = [""], 0
        for part in re.findall(r"\x1b\[\d*[A-Z]|\r|\n|[^\x1b\r\n]+", self.getvalue()):
            if match := re.fullmatch(r"\x1b\[(\d+)A", part):
                row -= int(match[1])
                assert row >= 0
            elif part == "\x1b[J":
                lines = [*lines[:row], ""]
            elif part == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif part != "\r":
                assert not part.startswith("\x1b")
                lines[row] += part
        return lines[:-1]


@pytest.fixture
def screen():
    return Screen()


@pytest.fixture
def shown(screen, monkeypatch):
    """A live display of two models on a screen of 100 columns, drawn when it is told to."""
    monkeypatch.setattr(live, "TICK_S", 3600.0)
    monkeypatch.setattr(live, "LEAST_S", 0.0)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(live.sys, "stdout", screen)
    plan = planned(a=100, b=100)
    one = Live.of(plan, lambda line: screen.write(f"{line}\n"))
    one.expects(plan, {"a": 300.0, "b": 300.0})
    yield one
    one.close()


def test_it_is_written_over_and_lines_stay_above_it(shown, screen):
    work = planned(a=100).work[0]
    shown.told(0, work, Started(0))
    assert screen.shown()[0] == (
        "[........................]   0 %  0/2 trials, 0/2 models, 10m00s left by the plan's estimate"
    )
    assert screen.shown()[2] == "  slot 0: a: planted (1/1)"
    shown.finished("a", group(0, 1, planned=100, run=30, error="planted error"))
    assert screen.shown()[0] == "a: 1 not done: planted error"
    assert screen.shown()[1].startswith(
        "[############............]  50 %  1/2 trials, 1/2 models, "
    )
    assert screen.shown()[2].startswith("  1 failed, 0 refused, ")
    assert len(screen.shown()) == 4


def test_at_the_end_one_line_stays(shown, screen):
    for name in ("a", "b"):
        shown.finished(name, group())
    shown.close()
    shown.close()
    shown.say("the summary")
    (last, summary) = screen.shown()
    assert last.startswith("2/2 trials, 0 failed, 0 refused, ")
    assert summary == "the summary"


def test_of_many_slots_a_few_are_shown(shown, screen):
    work = planned(a=100).work[0]
    for slot in range(9):
        shown.told(slot, work, Started(None))
    assert [line.strip() for line in screen.shown()[2:]] == [
        *(f"slot {slot}: a: opening" for slot in range(4)), "and 5 slots more",
    ]  # fmt: skip


def test_no_line_is_wider_than_the_terminal_nor_steers_it(screen, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    foot = Foot(screen)
    foot.draw(["x" * 100, "a\x1b[31mb"])
    assert screen.shown() == ["x" * 19, "a\\x1b[31mb"]
