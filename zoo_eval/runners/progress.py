"""Progress: done of total, image passes per second, time left, failures; one line at a time."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from zoo_eval.runners.eta import Eta
from zoo_eval.runners.execution import Advanced, Finished, Report, Started
from zoo_eval.sweep.plan import ModelWork, Plan
from zoo_eval.units import duration

# A log of days is read too: its lines come in hundredths of the time so far, up to this.
LONGEST_BETWEEN_S = 60.0


@dataclass
class Progress:
    """Counts a sweep's trials and says how far it is, at most every `every_s` seconds.

    Attributes:
        passes_run: image passes that were run, forward and backward.
        failures: trials that failed or were refused, by the class of their failure.
        counted: trials by evaluation and status.
        at_work: what each slot is at, by its number.
        show: takes lines of how far it is, if not `say`.
        observers: are shown it at every turn of whoever runs the sweep.
    """

    n_trials: int
    n_passes: int
    say: Callable[[str], None]
    every_s: float = 5.0
    n_models: int = 0
    n_ok: int = 0
    n_failed: int = 0
    n_refused: int = 0
    passes_run: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    at_work: dict[int, str] = field(default_factory=dict)
    eta: Eta = field(default_factory=lambda: Eta(0.0))
    show: Callable[[str], None] | None = None
    observers: list[Callable[["Progress"], None]] = field(default_factory=list)
    models_done: set[str] = field(default_factory=set)
    _groups_left: dict[str, int] = field(default_factory=dict)
    _open_passes: Counter[tuple[str, int]] = field(default_factory=Counter)
    _began: float = field(default_factory=lambda: time.monotonic())
    _said: float = field(default_factory=lambda: time.monotonic())
    _ended: bool = False

    def __post_init__(self) -> None:
        self.eta.estimated_s = self.eta.estimated_s or float(self.n_passes)

    @classmethod
    def of(cls, plan: Plan, say: Callable[[str], None]) -> "Progress":
        """The progress of a plan's pending trials."""
        progress = cls(plan.pending, plan.n_passes, say)
        progress._count_models(plan)
        return progress

    def _count_models(self, plan: Plan) -> None:
        of_models = [work for work in plan.work if work.candidate.card is not None]
        self.n_models = len({work.name for work in of_models})
        for work in of_models:
            left = self._groups_left.get(work.name, 0)
            self._groups_left[work.name] = left + len(work.groups)

    def expects(self, plan: Plan, seconds: Mapping[str, float]) -> None:
        """Starts from the plan's estimate: the seconds of each model's work on one slot."""
        self.eta = Eta.of(plan.work, seconds)

    @property
    def n_done(self) -> int:
        return self.n_ok + self.n_failed + self.n_refused

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    @property
    def rate(self) -> float:
        """Image passes per second, of all slots together, since the beginning."""
        return self.passes_run / max(self.elapsed_s, 1e-9)

    @property
    def eta_s(self) -> float | None:
        """Seconds left; None only where nothing was estimated and nothing is done yet."""
        self.eta.elapsed(self.elapsed_s, len(self.at_work))
        return self.eta.left_s()

    def told(self, slot: int, work: ModelWork, report: Report) -> None:
        """Takes what a slot reports of its work into account."""
        if isinstance(report, Started):
            self.started(slot, work, report.group_index)
        elif isinstance(report, Finished):
            self.finished(work.name, report)
        else:
            self.advanced(work.name, report)
        self.line()

    def started(self, slot: int, work: ModelWork, group_index: int | None) -> None:
        """A slot begins with a group of its work, or opens the model."""
        # What passed until now passed with the slots that were at work until now.
        self.eta.elapsed(self.elapsed_s, len(self.at_work))
        what = "opening"
        if group_index is not None:
            kind, n_groups = work.groups[group_index].evaluation.kind, len(work.groups)
            what = f"{kind} ({group_index + 1}/{n_groups})"
        self.at_work[slot] = f"{work.name}: {what}"

    def left(self, slot: int) -> None:
        """A slot is through with its work, or gone."""
        self.eta.elapsed(self.elapsed_s, len(self.at_work))
        self.at_work.pop(slot, None)

    def advanced(self, name: str, report: Advanced) -> None:
        """A group goes on: what takes hours is not silent for so long."""
        self.eta.elapsed(self.elapsed_s, len(self.at_work))
        self.passes_run += report.n_passes
        self._open_passes[name, report.group_index] += report.n_passes
        self.eta.advanced(name, report.group_index, report.n_passes)
        self.line()

    def finished(self, name: str, report: Finished) -> None:
        """Takes a group's report into account."""
        self.n_ok += report.n_ok
        self.n_failed += report.n_failed
        self.n_refused += report.n_refused
        if name in self._groups_left:
            self._groups_left[name] -= 1
            if not self._groups_left[name]:
                self.models_done.add(name)
        self.failures.update(report.failures)
        for status in ("ok", "failed", "refused"):
            self.counted[report.evaluation, status] += getattr(report, f"n_{status}")
        self.passes_run += report.n_passes - self._open_passes.pop((name, report.group_index), 0)
        self.eta.elapsed(self.elapsed_s, len(self.at_work))
        self.eta.finished(name, report.group_index, report.planned_passes)
        if report.first_error is not None:
            self.say(f"{name}: {report.n_failed + report.n_refused} not done: {report.first_error}")
        self.line()

    def lost(self, name: str) -> None:
        """A model's process is gone: what it did of its last group is done again."""
        for key in [key for key in self._open_passes if key[0] == name]:
            del self._open_passes[key]
        self.eta.lost(name)

    def turn(self) -> None:
        """Shows how far the sweep is to whoever looks; for runners whose slots come and go."""
        if not self.at_work:
            self.eta.waits(self.elapsed_s)
        for observe in self.observers:
            observe(self)
        self.line()

    def line(self) -> None:
        """Says how far the sweep is, unless it just did; its end is said once."""
        now = time.monotonic()
        ended = self.n_done >= self.n_trials
        between = max(self.every_s, min(LONGEST_BETWEEN_S, self.elapsed_s / 100))
        if self._ended or (not ended and now - self._said < between):
            return
        self._said, self._ended = now, ended
        show = self.show or self.say
        show(
            ", ".join(
                [f"{self.n_done}/{self.n_trials} trials", *self.how_it_goes(), *self.time_left()]
            )
        )

    def how_it_goes(self) -> list[str]:
        """What went wrong, how fast it is, how long it took."""
        classes = ", ".join(f"{name} {n}" for name, n in self.failures.most_common())
        return [
            f"{self.n_failed} failed",
            f"{self.n_refused} refused" + (f" ({classes})" if classes else ""),
            f"{self.rate:.1f} image passes/s",
            f"{duration(self.elapsed_s)} so far",
        ]

    def time_left(self) -> list[str]:
        """The time left, and whether that is the plan's word; nothing where nobody can know."""
        if (left := self.eta_s) is None:
            return []
        by = " by the plan's estimate" if self.eta.is_of_the_plan else ""
        return [f"{duration(left)} left{by}"]

    def close(self) -> None:
        """Nothing more is said of it."""
