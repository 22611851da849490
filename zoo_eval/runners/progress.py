"""Progress: done of total, image passes per second, time left, failures; one line at a time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from zoo_eval.runners.execution import Finished
from zoo_eval.sweep.plan import Plan
from zoo_eval.units import duration

# Before this share of the passes is settled, starting up is most of the time: no estimate.
LEAST_SETTLED = 0.01


@dataclass
class Progress:
    """Counts a sweep's trials and says how far it is, at most every `every_s` seconds."""

    n_trials: int
    n_passes: int
    say: Callable[[str], None]
    every_s: float = 5.0
    n_ok: int = 0
    n_failed: int = 0
    n_refused: int = 0
    passes_run: int = 0
    passes_settled: int = 0
    _began: float = field(default_factory=lambda: time.monotonic())
    _said: float = field(default_factory=lambda: time.monotonic())
    _ended: bool = False

    @classmethod
    def of(cls, plan: Plan, say: Callable[[str], None]) -> "Progress":
        """The progress of a plan's pending trials."""
        return cls(plan.pending, plan.n_passes, say)

    @property
    def n_done(self) -> int:
        return self.n_ok + self.n_failed + self.n_refused

    @property
    def eta_s(self) -> float | None:
        """Seconds left, from the share of the planned image passes that is settled."""
        elapsed = time.monotonic() - self._began
        if self.passes_settled < LEAST_SETTLED * self.n_passes or not self.passes_settled:
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

    def line(self) -> None:
        """Says how far the sweep is, unless it just did; its end is said once."""
        now = time.monotonic()
        ended = self.n_done >= self.n_trials
        if self._ended or (not ended and now - self._said < self.every_s):
            return
        self._said, self._ended = now, ended
        rate = self.passes_run / max(now - self._began, 1e-9)
        left = "unknown" if self.eta_s is None else duration(self.eta_s)
        self.say(
            f"{self.n_done}/{self.n_trials} trials, {self.n_failed} failed, "
            f"{self.n_refused} refused, {rate:.1f} image passes/s, "
            f"{duration(now - self._began)} so far, {left} left"
        )
