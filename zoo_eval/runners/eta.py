"""Eta: the time left of a sweep, from its plan's estimate at first and from what was measured later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zoo_eval.sweep.plan import ModelWork

# The plan's estimate counts as if so much of it had been measured to be right: a share of long ones, of
# short ones what opening models takes, which nobody estimates.
TRUST, TRUST_S, MOST_TRUST = 0.02, 30.0, 0.25
# What takes longer than was thought takes so much longer still, as far as anybody knows.
OVERDUE = 0.1


@dataclass
class Eta:
    """What is left, in seconds that were estimated, times how many real ones such a second takes.

    Attributes:
        estimated_s: of all the work, one piece after another, on one slot.
        per_pass: estimated seconds of an image pass, by model.
        default: the same of a model that is not among them.
        trust: how many estimated seconds the estimate counts for; 0 where there was none.
    """

    estimated_s: float
    per_pass: Mapping[str, float] = field(default_factory=dict)
    default: float = 1.0
    trust: float = 0.0
    n_slots: int = 1
    settled_s: float = 0.0
    _open: dict[tuple[str, int], float] = field(default_factory=dict)
    _spent_s: float = 0.0
    _now: float = 0.0
    _at: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @classmethod
    def of(cls, work: Sequence[ModelWork], seconds: Mapping[str, float]) -> "Eta":
        """That of a plan's work, given the estimated seconds of each model's."""
        passes: dict[str, int] = {}
        for one in work:
            passes[one.name] = passes.get(one.name, 0) + sum(g.n_passes for g in one.groups)
        total = sum(seconds.get(name, 0.0) for name, n in passes.items() if n)
        if not total:
            return cls(float(sum(passes.values())))
        per_pass = {name: seconds.get(name, 0.0) / n for name, n in passes.items() if n}
        trust = max(TRUST * total, min(TRUST_S, MOST_TRUST * total))
        return cls(total, per_pass, 0.0, trust)

    @property
    def is_of_the_plan(self) -> bool:
        """Whether the plan's estimate outweighs what was measured."""
        return self.settled_s < self.trust

    @property
    def share(self) -> float:
        """The share of the work that is settled, by the plan's estimate."""
        return min(1.0, self.settled_s / self.estimated_s) if self.estimated_s else 0.0

    def advanced(self, name: str, group: int, n_passes: int) -> None:
        """A group that goes on has done so many image passes more."""
        done = n_passes * self.per_pass.get(name, self.default)
        self._open[name, group] = self._open.get((name, group), 0.0) + done
        self._settle(done)

    def finished(self, name: str, group: int, planned_passes: int) -> None:
        """A group is done, and with it all that was planned of it, whether or not it was needed."""
        all_of_it = planned_passes * self.per_pass.get(name, self.default)
        self._settle(all_of_it - self._open.pop((name, group), 0.0))

    def lost(self, name: str) -> None:
        """What a model's groups had done that are not done is to be done again."""
        for key in [key for key in self._open if key[0] == name]:
            self._settle(-self._open.pop(key))

    def _settle(self, seconds: float) -> None:
        self.settled_s += seconds
        self._at = (self.settled_s, self._spent_s, self._now)

    def elapsed(self, now: float, n_slots: int) -> None:
        """It is so many seconds after the beginning, and so many slots are at work from now on."""
        self._spent_s += (now - self._now) * self.n_slots
        self._now, self.n_slots = now, max(1, n_slots)

    def waits(self, now: float) -> None:
        """Nothing is at work, for slots are still starting: the time until now takes nothing off."""
        settled, spent, when = self._at
        self._at = settled, spent, when + now - self._now
        self._now = now

    def left_s(self) -> float | None:
        """Seconds left; None only where nothing was estimated and nothing is done yet."""
        settled, spent, when = self._at
        if not settled + self.trust:
            return None
        factor = (spent + self.trust) / (settled + self.trust)
        then = max(0.0, self.estimated_s - settled) * factor / self.n_slots
        return max(then - (self._now - when), OVERDUE * then)
