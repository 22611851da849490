"""Progress: done of total, image passes per second, time left, failures; one line at a time."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from zoo_eval.planning import Plan
from zoo_eval.runners.work import Finished


def _print(line: str) -> None:
    print(line, file=sys.stdout, flush=True)


@dataclass
class Progress:
    """Counts a sweep's trials and says how far it is, at most every `every_s` seconds."""

    n_trials: int
    n_passes: int
    every_s: float = 5.0
    say: Callable[[str], None] = _print
    n_ok: int = 0
    n_failed: int = 0
    n_refused: int = 0
    passes_run: int = 0
    passes_settled: int = 0
    _began: float = field(default_factory=time.monotonic)
    _said: float = 0.0

    @classmethod
    def of(cls, plan: Plan) -> "Progress":
        return cls(plan.pending, plan.n_passes)

    @property
    def n_done(self) -> int:
        return self.n_ok + self.n_failed + self.n_refused

    @property
    def eta_s(self) -> float | None:
        """Seconds left, from the share of the planned image passes that is settled."""
        elapsed = time.monotonic() - self._began
        if not self.passes_settled:
            return None
        return elapsed * (self.n_passes - self.passes_settled) / self.passes_settled

    def finished(self, name: str, report: Finished) -> None:
        """Takes a group's report into account."""
        self.n_ok += report.n_ok
        self.n_failed += report.n_failed
        self.n_refused += report.n_refused
        self.passes_run += report.n_passes
        self.passes_settled += report.planned_passes
        if report.first_error is not None:
            self.say(f"{name}: {report.n_failed + report.n_refused} not done: {report.first_error}")
        self.line()

    def line(self, *, force: bool = False) -> None:
        """Says how far the sweep is, unless it just did."""
        now = time.monotonic()
        if not force and now - self._said < self.every_s and self.n_done < self.n_trials:
            return
        self._said = now
        rate = self.passes_run / max(now - self._began, 1e-9)
        left = "unknown" if self.eta_s is None else _duration(self.eta_s)
        self.say(
            f"{self.n_done}/{self.n_trials} trials, {self.n_failed} failed, "
            f"{self.n_refused} refused, {rate:.1f} image passes/s, "
            f"{_duration(now - self._began)} so far, {left} left"
        )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s"
