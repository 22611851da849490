"""The whole zoo on 1 to 256 GPUs in virtual time, by the schedule that runs real sweeps.

    python -m benchmarks.scale [--quick]

Every model that `zoo-eval models` lists, eight evaluations each, with times that are planned wrong by a
lognormal factor (sigma 0.3); one class of GPU and three; no node lost and every tenth. --quick draws the
factors once instead of three times. A full run writes docs/scale.md and docs/scale.svg. The last line is
JSON; of each number it has the worst. Exit status 1 where a bound is not held.
"""

import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context

from benchmarks import scale_page, scale_times
from benchmarks.measurement import quick, report
from benchmarks.scale_cluster import DAY_S, Cluster, Outcome, Times
from benchmarks.scale_zoo import Zoo, zoo
from zoo_eval.runners.slots import GpuClass

GIB = 2**30
LOST = 0.1
# Of each number of GPUs: the makespan over its bound, and the busy share.
MOST = {64: 1.03, 256: 1.10}
MOST_PREEMPTED = 1.25
LEAST_BUSY = {64: 0.99, 256: 0.97}
MOST_GIB = 1.0


def one_class(n_gpus: int) -> tuple[GpuClass, ...]:
    """GPUs that hold every model."""
    return (GpuClass("H200", n_gpus, 139 * GIB),)


def mixed(n_gpus: int) -> tuple[GpuClass, ...]:
    """Half of them small, a quarter large and slow, a quarter large and fast."""
    return (
        GpuClass("A10G", n_gpus // 2, 22 * GIB, 1.6),
        GpuClass("A100-80G", n_gpus // 4, 79 * GIB, 1.0),
        GpuClass("H100", n_gpus // 4, 79 * GIB, 3.4),
    )


CLUSTERS: dict[str, Callable[[int], tuple[GpuClass, ...]]] = {
    "one class": one_class,
    "three classes": mixed,
}


@dataclass(frozen=True)
class Run:
    """One simulated sweep."""

    n_gpus: int
    classes: str
    n_models: int
    is_whole: bool
    lost: float
    bound_s: float
    outcome: Outcome

    @property
    def ratio(self) -> float:
        return self.outcome.makespan_s / self.bound_s


def simulated(n_gpus: int, classes: str, lost: float, models: Zoo, times: Times) -> Run:
    """A sweep over some models, whole or without those that are too long for an even share.

    Raises:
        AssertionError: a group was not done exactly once.
    """
    there = CLUSTERS[classes](n_gpus)
    cluster = Cluster(models, there, times, seed=n_gpus)
    outcome = cluster.run(lost)
    n_groups = sum(len(one.groups) for one in models.everything)
    assert outcome.groups_done == n_groups, (outcome.groups_done, n_groups)
    assert not outcome.given_up, outcome.given_up
    n_models = len(models.everything)
    return Run(n_gpus, classes, n_models, True, lost, models.bound(there), outcome)


def simulations(seeds: Sequence[int], times: Times) -> list[Run]:
    """All of them, each said as it ends."""
    runs: list[Run] = []
    for seed in seeds:
        whole = zoo(seed)
        for n_gpus in (1, 8, 64, 256):
            some = (
                {False: whole.without_longest(n_gpus), True: whole} if n_gpus > 8 else {True: whole}
            )
            for is_whole, models in some.items():
                for classes in CLUSTERS if n_gpus > 1 else ["one class"]:
                    for lost in (0.0, LOST) if n_gpus > 1 else [0.0]:
                        run = simulated(n_gpus, classes, lost, models, times)
                        runs.append(Run(**{**vars(run), "is_whole": is_whole}))
                        print(".", end="", flush=True)
    print()
    return runs


def rows(runs: Sequence[Run]) -> list[list[str]]:
    """A line for each setting, the worst of its seeds."""
    found: dict[tuple[int, str, bool, float], list[Run]] = {}
    for run in runs:
        found.setdefault((run.n_gpus, run.classes, run.is_whole, run.lost), []).append(run)
    return [_row(same) for same in found.values()]


def _row(same: Sequence[Run]) -> list[str]:
    worst = max(same, key=lambda run: run.ratio)
    one = worst.outcome
    return [
        str(worst.n_gpus), worst.classes, f"{worst.n_models:,}", f"{worst.lost:.0%}",
        f"{one.makespan_s / DAY_S:.2f}", f"{worst.bound_s / DAY_S:.2f}", f"{worst.ratio:.3f}",
        f"{min(run.outcome.computing for run in same):.2%}",
        f"{max(run.outcome.fetching for run in same):.2%}",
        f"{max(run.outcome.n_openings for run in same):,}",
        f"{max(run.outcome.driver_s_per_day for run in same):.0f}",
    ]  # fmt: skip


HEADER = (
    "GPUs", "classes", "models", "nodes lost", "days", "bound, days", "over bound",
    "network running", "waiting for weights", "models opened", "driver, s/day",
)  # fmt: skip


def worst(runs: Sequence[Run]) -> dict[str, float]:
    """The numbers that are promised."""
    result: dict[str, float] = {}
    for n_gpus in sorted({run.n_gpus for run in runs}):
        for lost, suffix in ((0.0, ""), (LOST, "_preempted")):
            some = [run for run in runs if run.n_gpus == n_gpus and run.lost == lost]
            if some:
                result[f"makespan_{n_gpus}{suffix}"] = round(max(run.ratio for run in some), 4)
                busy = min(run.outcome.computing for run in some)
                result[f"busy_{n_gpus}{suffix}"] = round(busy, 4)
    result["driver_cpu_s_per_day"] = round(max(run.outcome.driver_s_per_day for run in runs), 1)
    result["driver_turn_us"] = round(1e6 * max(run.outcome.turn_s for run in runs), 1)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result["driver_peak_gib"] = round(peak_kib / 2**20, 3)
    return result


def broken(result: dict[str, float]) -> list[str]:
    """The bounds that are not held."""
    said = []
    for n_gpus, most in MOST.items():
        if result[f"makespan_{n_gpus}"] > most:
            said.append(f"makespan_{n_gpus} is over {most}")
        if result[f"makespan_{n_gpus}_preempted"] > MOST_PREEMPTED:
            said.append(f"makespan_{n_gpus}_preempted is over {MOST_PREEMPTED}")
        if result[f"busy_{n_gpus}"] < LEAST_BUSY[n_gpus]:
            said.append(f"busy_{n_gpus} is below {LEAST_BUSY[n_gpus]}")
    if result["driver_peak_gib"] > MOST_GIB:
        said.append(f"driver_peak_gib is over {MOST_GIB}")
    return said


def main() -> int:
    """Prints the table; a full run also writes the page and the figure."""
    is_quick = quick(__doc__ or "")
    # In another process, so that this one's memory is the driver's.
    with get_context("spawn").Pool(1) as pool:
        times = pool.apply(scale_times.measured, (2**26 if is_quick else 2**28,))
    where = scale_times.processor()
    runs = simulations(range(1 if is_quick else 3), times)
    result = worst(runs)
    if not is_quick:
        scale_page.write((HEADER, rows(runs)), result, times, where)
    said = broken(result)
    for line in said:
        print(line)
    report(HEADER, rows(runs), {**result, **vars(times), "processor": where})
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main())
