"""Every model that `zoo-eval models` lists x 8 evaluations, planned and run: each cell ends as a row.

    python -m benchmarks.matrix [--models N] [--runner ray|local]

Planned as a sweep is, committed to a store as a sweep's trials are; only the networks are stand-ins of
the real names (`benchmarks/stand_ins.py`). Prints what became of the cells, why some are refused, and
what planning cost; the last line is JSON. Exit status 1 where a cell has no row.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import stand_ins
from benchmarks.measurement import report
from zoo_eval.catalog import ModelCard
from zoo_eval.commands.sweep import RunOptions, run_sweep
from zoo_eval.queries.connection import connect
from zoo_eval.sources import registry
from zoo_eval.store import Ledger, Store
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep.cards import roster
from zoo_eval.sweep.file import Sweep
from zoo_eval.sweep.load import read_inputs
from zoo_eval.sweep.plan import Plan, Settled, plan

SWEEP = """
[store]
uri = "{store}"
[models]
include = {models}
[stimuli.photos]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_0[0-3]_*.jpg"]
label_pattern = 'imagenet_\\d+_(\\d+)'
[stimuli.few]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_0[01]_*.jpg"]
label_pattern = 'imagenet_\\d+_(\\d+)'
[stimuli.crops]
kind = "crops"
of = ["photos"]
n = 16
size_px = 64
[recordings.planted]
kind = "planted"
stimuli = "crops"
model = "{planted}"
layer = "logits"
n_components = 3
n_targets = 4
n_repetitions = 2
[importance.contrast]
kind = "planted"
stimuli = "few"
[[evaluations]]
kind = "accuracy"
stimuli = "few"
[[evaluations]]
kind = "features"
stimuli = "few"
layers = "logits"
[[evaluations]]
kind = "neural_fit"
recording = "planted"
readouts = ["rsa"]
layers = "stages"
n_folds = 3
n_inner_folds = 2
n_resamples = 10
[[evaluations]]
kind = "human_alignment"
stimuli = "few"
importance = "contrast"
methods = ["input_gradient"]
[[evaluations]]
kind = "minimal_attack"
stimuli = "few"
attacks = ["ddn"]
options = {{ ddn = {{ steps = 3 }} }}
[[evaluations]]
kind = "minimal_attack"
stimuli = "few"
attacks = ["deepfool"]
options = {{ deepfool = {{ steps = 2, candidates = 2 }} }}
[run]
view_budget = "1GiB"
"""
# The gate and the geometry of layers are planned with those in the file.
EVALUATIONS = (
    "gate", "accuracy", "features", "layers", "neural_fit", "human_alignment", "minimal_attack ddn",
    "minimal_attack deepfool",
)  # fmt: skip
# Its shape is known, and it has a hub's weights.
PLANTED = "timm/resnet18.a1_in1k"
Cell = tuple[str, str]


@dataclass(frozen=True)
class Planned:
    """What a plan cost: seconds of the processor, and the peak of memory after it."""

    n_cells: int
    n_trials: int
    n_refused: int
    cpu_s: float
    wall_s: float
    peak_gib: float


def names(n_models: int | None) -> list[str]:
    """The listed models' names, or so many of them from all over the list, the planted one among them."""
    everything = [one.card.name for one in registry.listed_cards(["*"])]
    if n_models is None or n_models >= len(everything):
        return everything
    step = len(everything) / n_models
    some = {everything[int(number * step)] for number in range(n_models - 1)}
    return sorted({*some, PLANTED})


def sweep_of(models: Sequence[str], store: str, folder: Path) -> Sweep:
    """The sweep of some models."""
    file = folder / "matrix.toml"
    written = SWEEP.format(store=store, models=json.dumps(list(models)), planted=PLANTED)
    file.write_text(written)
    return sweep_file.read(file, folder)


def planned(sweep: Sweep) -> tuple[Plan, Planned]:
    """The sweep's plan, nothing of it done yet, and what it cost."""
    cpu, wall = time.process_time(), time.perf_counter()
    models = roster(sweep.models)
    todo = plan(
        sweep, models.cards, read_inputs(sweep, models, "streamed"), Settled(Ledger({}, {}))
    )
    cost = Planned(
        n_cells=len(models.cards) * len(EVALUATIONS),
        n_trials=todo.wanted,
        n_refused=len(todo.refused),
        cpu_s=time.process_time() - cpu,
        wall_s=time.perf_counter() - wall,
        peak_gib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    )
    return todo, cost


def cells(store: Store) -> dict[Cell, Counter[str]]:
    """What the store's rows say of each cell: how many trials of it ended how.

    A request that was refused as a whole names its attacks, not an attack.
    """
    found: dict[Cell, Counter[str]] = {}
    rows = connect(store).rows(
        "SELECT model, evaluation, attack, parameters, status FROM trials WHERE model IS NOT NULL"
    )
    for row in rows:
        for kind in _kinds(row):
            found.setdefault((row["model"], kind), Counter())[row["status"]] += 1
    return found


def _kinds(row: Mapping[str, Any]) -> list[str]:
    if row["evaluation"] != "minimal_attack":
        return [row["evaluation"]]
    asked = json.loads(row["parameters"]).get("request", {}).get("attacks", [])
    return [f"minimal_attack {one}" for one in ([row["attack"]] if row["attack"] else asked)]


def state(statuses: Counter[str]) -> str:
    """How a cell ended: as its worst trial, or `no row`."""
    return next((one for one in ("failed", "refused", "ok") if statuses[one]), "no row")


def reasons(store: Store) -> list[tuple[str, int]]:
    """Why trials failed or were refused, the commonest first; the names of models left out."""
    rows = connect(store).rows(
        "SELECT model, status, failure_class, error_message FROM failures WHERE model IS NOT NULL"
    )
    said = Counter(
        f"{row['status']} ({row['failure_class']}): "
        + row["error_message"].replace(row["model"], "MODEL")
        for row in rows
    )
    return said.most_common()


def run(sweep: Sweep, cards: Sequence[ModelCard], runner: str) -> dict[str, Any]:
    """Runs the sweep; its cells by how they ended, and what it took."""
    store_uri = sweep.store.uri.address
    driver, wall = time.process_time(), time.perf_counter()
    # Of a sweep's lines, the last says it all; what is refused is counted here.
    options = RunOptions(runner="ray" if runner == "ray" else "local")
    run_sweep(sweep, options, lambda line: None)
    driver, wall = time.process_time() - driver, time.perf_counter() - wall
    store = Store(store_uri)
    found = cells(store)
    ended = Counter(
        state(found.get((card.name, kind), Counter())) for card in cards for kind in EVALUATIONS
    )
    return {
        "cells": len(cards) * len(EVALUATIONS),
        **{
            f"cells_{name.replace(' ', '_')}": ended[name]
            for name in ("ok", "failed", "refused", "no row")
        },
        "trials": sum(map(Counter.total, found.values())),
        "wall_s": round(wall, 1),
        "driver_cpu_s": round(driver, 1),
        "driver_cpu_share": round(driver / wall, 3),
    }


def matrix(
    n_models: int | None, runner: str, folder: Path
) -> tuple[dict[str, Any], list[tuple[str, int]]]:
    """Plans, then runs; the figures, and why cells failed or were refused."""
    models = names(n_models)
    sweep = sweep_of(models, str(folder / "store"), folder)
    cards = roster(sweep.models).cards
    _, cost = planned(sweep)
    found = run(sweep, cards, runner)
    figures = {
        "models": len(cards),
        "plan_cpu_s": round(cost.cpu_s, 1),
        "plan_peak_gib": round(cost.peak_gib, 2),
        "plan_refused": cost.n_refused,
    }
    return {**figures, **found, "runner": runner}, reasons(Store(str(folder / "store")))


def main() -> int:
    """Prints cells by how they ended and the reasons; 1 where a cell has no row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, help="from all over the list; all by default")
    parser.add_argument("--runner", choices=("local", "ray"), default="local")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.runner == "ray":
            _start_ray()
        with stand_ins.opened():
            found, why = matrix(options.models, options.runner, Path(folder))
    for said, n in why:
        print(f"{n:6}  {said}")
    report(["what", ""], [[name, value] for name, value in found.items()], found)
    return int(found["cells_no_row"] > 0)


def _start_ray() -> None:
    """A Ray of its own, in whose processes stand-ins are opened too."""
    from zoo_eval.runners.on_ray import session

    session.start(runtime_env={"worker_process_setup_hook": "benchmarks.stand_ins.put"})


if __name__ == "__main__":
    sys.exit(main())
