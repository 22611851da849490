"""Estimates: how long a plan takes, from the FLOPs of its models and the speeds a store measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
from zoo_eval.sweep.plan import ModelWork, Plan
from zoo_eval.units import duration, size_text

# What an estimate assumes where nothing was measured yet; it says so.
ASSUMED_FLOPS_PER_S = 1e12


@dataclass(frozen=True)
class Speeds:
    """Measured image passes per second by model, FLOPs per second for the others, and GPU memory."""

    by_model: Mapping[str, float] = field(default_factory=dict)
    flops_per_s: float | None = None
    peak_gpu_bytes: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def measured(cls, store: Store | None) -> "Speeds":
        """What the trials of a store measured."""
        if store is None:
            return cls()
        connection = connect(store)
        return cls(connection.image_rates(), connection.flop_rate(), connection.gpu_peaks())

    def seconds(self, work: ModelWork) -> float:
        """The work's time on one slot, at most."""
        n_passes = sum(group.n_passes for group in work.groups)
        if work.name in self.by_model:
            return n_passes / self.by_model[work.name]
        return work.cost / (self.flops_per_s or ASSUMED_FLOPS_PER_S)


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
    rests_on = (
        f"at the {speeds.flops_per_s:.2g} FLOP/s measured in this store"
        if speeds.flops_per_s
        else f"at an assumed {ASSUMED_FLOPS_PER_S:.0e} FLOP/s: no speed was measured yet"
    )
    return (
        f"at most {todo.n_passes} image passes, {sum(o.cost for o in todo.work):.2g} FLOPs: "
        f"about {sum(times.values()) / 3600:.2g} slot-hours {rests_on}; the longest model, "
        f"{longest}, takes about {duration(times[longest])}{_memory(todo.work)}"
    )


def _memory(work: Sequence[ModelWork]) -> str:
    """What Gram matrices and the work on them take at once, where there are any."""
    peak = max(work.peak_bytes for work in work)
    return f"; at most {size_text(peak)} of memory besides the network" if peak else ""
