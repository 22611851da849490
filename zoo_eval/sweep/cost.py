"""Estimates: how long a plan takes, from the FLOPs of its models and the speeds a store measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from zoo_eval.queries import measured
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
from zoo_eval.sweep.plan import ModelWork, Plan
from zoo_eval.sweep.probe import Probed, probed
from zoo_eval.units import duration, size_text

# Of a core of a CPU: what an estimate rests on where nothing was measured or probed; it says so.
ASSUMED = Probed(1e10, "assumed: nothing was measured yet")


@dataclass(frozen=True)
class Speeds:
    """Measured image passes per second by model, FLOPs per second for the others, and GPU memory.

    `batch_sizes` are by model and device.
    `devices` are what the FLOPs per second were measured on; where there are none, `unmeasured` says
    what takes their place.
    """

    by_model: Mapping[str, float] = field(default_factory=dict)
    flops_per_s: float | None = None
    peak_gpu_bytes: Mapping[str, int] = field(default_factory=dict)
    batch_sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    devices: Sequence[str] = ()
    unmeasured: Probed = ASSUMED

    @classmethod
    def measured(cls, store: Store | None) -> "Speeds":
        """What the trials of a store measured."""
        if store is None:
            return cls()
        found = connect(store)
        return cls(
            measured.image_rates(found),
            measured.flop_rate(found),
            measured.gpu_peaks(found),
            measured.batch_sizes(found),
            measured.devices(found),
        )

    @classmethod
    def of(cls, todo: Plan, store: Store | None, probe: Callable[[], Probed] = probed) -> "Speeds":
        """What a store measured, or what this machine is probed for where the plan needs it."""
        found = cls.measured(store)
        unknown = [one for one in todo.work if one.cost and one.name not in found.by_model]
        if not unknown or found.flops_per_s:
            return found
        return replace(found, unmeasured=probe())

    def seconds(self, work: ModelWork) -> float:
        """The work's time on one slot, at most."""
        n_passes = sum(group.n_passes for group in work.groups)
        if work.name in self.by_model:
            return n_passes / self.by_model[work.name]
        return work.cost / (self.flops_per_s or self.unmeasured.flops_per_s)

    @property
    def rests_on(self) -> str:
        """What times rest on."""
        if self.flops_per_s is None:
            return f"at {self.unmeasured.flops_per_s:.2g} FLOP/s, {self.unmeasured.how}"
        where = f" on {', '.join(self.devices)}" if self.devices else ""
        return f"at the {self.flops_per_s:.2g} FLOP/s measured in this store{where}"


def describe_work(work: ModelWork, speeds: Speeds) -> str:
    """A model's work on one line."""
    n_passes = sum(group.n_passes for group in work.groups)
    return (
        f"  {work.name}: {work.n_trials} trials, at most {n_passes} image passes, "
        f"{work.cost:.2g} FLOPs, about {duration(speeds.seconds(work))}{_memory([work])}"
    )


def describe_cost(todo: Plan, speeds: Speeds) -> str:
    """What everything pending costs, on one line, and what that rests on."""
    if not todo.work:
        return "nothing to run"
    times = {work.name: speeds.seconds(work) for work in todo.work}
    longest = max(times, key=times.__getitem__)
    return (
        f"at most {todo.n_passes} image passes, {sum(o.cost for o in todo.work):.2g} FLOPs: "
        f"about {sum(times.values()) / 3600:.2g} slot-hours {speeds.rests_on}; the longest model, "
        f"{longest}, takes about {duration(times[longest])}{_memory(todo.work)}"
    )


def _memory(work: Sequence[ModelWork]) -> str:
    """What Gram matrices and the work on them take at once, where there are any."""
    peak = max(work.peak_bytes for work in work)
    return f"; at most {size_text(peak)} of memory besides the network" if peak else ""
