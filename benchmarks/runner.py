"""What runners cost: the demo's sweep in one process and on Ray with the same threads, side by side.

    python -m benchmarks.runner [--quick]

One process of two threads against two slots of one thread each, wall and processor seconds; what a trial
costs besides its evaluation, from a sweep of many tiny ones; how long slots do nothing, from the
store's rows; seconds from a Ray's start, and from another node's joining, to the first row. --quick takes
three of the demo's models. A full run writes docs/overhead.md. The last line is JSON; exit status 1
where a bound is not held.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import processes, runner_page
from benchmarks.measurement import quick, report
from benchmarks.processes import Taken
from benchmarks.runner_arms import N_THREADS
from benchmarks.runner_rows import Rows
from benchmarks.scale_times import processor
from zoo_eval.runners import own_ray

DEMO = "sweeps/demo.toml"
ARMS = "benchmarks.runner_arms"
# Ray's wall seconds over the loop's, seconds of a trial besides its evaluation, seconds to a first row.
MOST = {"ray_ratio": 1.05, "trial_overhead_ms": 50.0, "first_row_s": 60.0, "node_first_row_s": 60.0}
N_MODELS, N_SETS = 10, 20
PATIENCE_S = 300.0

TINY = """
[store]
uri = "unused"
[models]
include = ["local/*"]
{models}
{stimuli}
{evaluations}
"""


@dataclass(frozen=True)
class Arm:
    """One way of running a sweep: seconds to begin, to run, of processors; and what its rows say."""

    starting_s: float
    wall_s: float
    first_row_s: float
    taken: Taken
    rows: Rows


def tiny(file: Path) -> None:
    """A sweep of many tiny trials: each model's of each set is a group and a commit of its own."""
    models = "".join(
        f'[[models.local]]\nname = "m{n}"\nfactory = "benchmarks.stand_ins:smallest"\n'
        for n in range(N_MODELS)
    )
    stimuli = "".join(
        f'[stimuli.s{n}]\nkind = "folder"\npath = "package:foolbox/data"\n'
        f"include = [\"imagenet_{n:02}_*.jpg\"]\nlabel_pattern = 'imagenet_\\d+_(\\d+)'\n"
        for n in range(N_SETS)
    )
    evaluations = "".join(
        f'[[evaluations]]\nkind = "accuracy"\nstimuli = "s{n}"\n' for n in range(N_SETS)
    )
    file.write_text(TINY.format(models=models, stimuli=stimuli, evaluations=evaluations))


def run(arm: str, sweep: str, folder: Path, pattern: str, environment: Mapping[str, str]) -> Arm:
    """Runs a sweep in one way, into a store of its own."""
    store = str(folder / f"{arm}-{Path(sweep).stem}-{time.time_ns()}")
    said, taken = processes.run(ARMS, [arm, sweep, store, pattern], environment)
    told = json.loads(said)
    rows = Rows.of(store, 1 if arm == "local" else N_THREADS)
    starting = told["ready"] - told["began"]
    first = rows.first_s - told["began"]
    return Arm(starting, told["ended"] - told["ready"], first, taken, rows)


def bare_s(sweep: str, folder: Path, pattern: str, environment: Mapping[str, str]) -> float:
    """Seconds of a bare loop over the same evaluations."""
    arguments = ["bare", sweep, str(folder / "bare"), pattern]
    said, _ = processes.run(ARMS, arguments, environment)
    return float(json.loads(said)["bare_s"])


def joining(sweep: str, folder: Path, pattern: str, environment: Mapping[str, str]) -> float:
    """Seconds from another node's joining a sweep on one until its first row."""
    private = own_ray.private_folder()
    os.environ.update({**environment, **own_ray.settings(private), "RAY_TMPDIR": str(private)})
    # Only here: it brings Ray into this process.
    nodes: Any = import_module("tests.chaos.nodes").Nodes(n_workers=1)
    store = str(folder / "joined")
    command = [sys.executable, "-m", ARMS, "joined", sweep, store, pattern]
    reached = {**os.environ, "RAY_ADDRESS": nodes.address}
    try:
        with subprocess.Popen(command, env=reached, stdout=subprocess.DEVNULL) as driver:
            began = time.monotonic()
            while not _has_rows(store) and driver.poll() is None:
                assert time.monotonic() < began + PATIENCE_S, "the first node made no row"
                time.sleep(0.2)
            joined = time.time()
            nodes.join()
            assert driver.wait() == 0
    finally:
        nodes.end()
        shutil.rmtree(private, ignore_errors=True)
    return Rows.of(store, N_THREADS).second_slot_s(joined)


def _has_rows(store: str) -> bool:
    return any(Path(store, "accuracy").glob("*.parquet"))


def measured(*, is_quick: bool, folder: Path) -> tuple[dict[str, Arm], dict[str, float]]:
    """All arms, and the figures that are promised."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(processes.root()),
        "OMP_NUM_THREADS": str(N_THREADS),
        "ZOO_EVAL_VIEWS": str(folder / "views"),
    }
    pattern = "local/*px" if is_quick else "local/*"
    bare = bare_s(DEMO, folder, pattern, environment)
    small = folder / "tiny.toml"
    tiny(small)
    arms = {
        "demo, one process": run("local", DEMO, folder, pattern, environment),
        "demo, Ray": run("ray", DEMO, folder, pattern, environment),
        "tiny trials, one process": run("local", str(small), folder, "local/*", environment),
        "tiny trials, Ray": run("ray", str(small), folder, "local/*", environment),
    }
    local, on_ray = arms["demo, one process"], arms["demo, Ray"]
    figures = {
        "overhead_ratio": local.wall_s / bare,
        "ray_ratio": on_ray.wall_s / local.wall_s,
        "ray_cpu_ratio": on_ray.taken.total_s / local.taken.total_s,
        "trial_overhead_ms": 1000 * arms["tiny trials, Ray"].rows.overhead_s,
        "trial_overhead_local_ms": 1000 * arms["tiny trials, one process"].rows.overhead_s,
        "idle_share": on_ray.rows.idle_share,
        "idle_share_local": local.rows.idle_share,
        "driver_cpu_share": arms["tiny trials, Ray"].taken.driver_s
        / arms["tiny trials, Ray"].wall_s,
        "first_row_s": on_ray.first_row_s,
        "node_first_row_s": joining(DEMO, folder, pattern, environment),
    }
    return arms, {name: round(value, 4) for name, value in figures.items()}


HEADER = (
    "sweep", "trials", "starting, s", "sweep, s", "first row, s", "processor, s", "driver, s", "slots, s",
    "Ray's own, s", "slots do nothing", "besides, ms a trial",
)  # fmt: skip


def line(name: str, arm: Arm) -> list[str]:
    """An arm's line of the table."""
    taken, rows = arm.taken, arm.rows
    return [
        name, str(rows.n_trials), f"{arm.starting_s:.1f}", f"{arm.wall_s:.1f}", f"{arm.first_row_s:.1f}",
        f"{taken.total_s:.1f}", f"{taken.driver_s:.1f}", f"{taken.slots_s:.1f}", f"{taken.others_s:.1f}",
        f"{rows.idle_share:.1%}", f"{1000 * rows.overhead_s:.1f}",
    ]  # fmt: skip


def broken(figures: Mapping[str, float]) -> list[str]:
    """The bounds that are not held."""
    return [f"{name} is over {most:g}" for name, most in MOST.items() if figures[name] > most]


def main() -> int:
    """Prints the table; a full run also writes the page."""
    is_quick = quick(__doc__ or "")
    with tempfile.TemporaryDirectory() as folder:
        arms, figures = measured(is_quick=is_quick, folder=Path(folder))
    lines = [line(name, arm) for name, arm in arms.items()]
    if not is_quick:
        runner_page.write((HEADER, lines), figures, processor())
    for said in broken(figures):
        print(said)
    report(HEADER, lines, {**figures, "processor": processor()})
    return int(bool(broken(figures)))


if __name__ == "__main__":
    sys.exit(main())
