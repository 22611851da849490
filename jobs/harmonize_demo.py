"""The harmonizer's lesson: networks and their controls trained on a planted task, then swept like any.

    python -m jobs.harmonize_demo [N_SEEDS]

Everything is planted (see `jobs/planted_task.py`): images, maps, and the confound that a network may use
instead of what the maps mark. What is printed comes from the store, by SQL.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

from jobs import planted_task
from zoo_eval.cli import main as zoo_eval
from zoo_eval.files.names import say
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

FOLDER = Path("results/harmonize_demo")
# Of each set the number of images, and the share of them in which the spot misleads.
SETS = {"train": (512, 0.05), "held_out": (128, 0.0), "misleading": (128, 1.0)}
N_ATTACKED = 48
WEIGHT = 5.0

IMAGES = """
[stimuli.{name}]
kind = "folder"
path = "{folder}/data/{name}/images"
labels = "{folder}/data/{name}/labels.csv"
[importance.{name}]
kind = "folder"
stimuli = "{name}"
path = "{folder}/data/{name}/maps"
canvas_px = {side}
blur = false
"""
RUN = """
[store]
uri = "{folder}/store"
[models]
include = ["local/start"]
[[models.local]]
name = "start"
factory = "jobs.planted_task:start_{seed}"
[harmonize]
name = "{name}"
mapped = "train"
importance = "train"
lambda = {weight}
control = {control}
standard = "min_max"
levels = 4
[training]
epochs = 24
batch_size = 32
learning_rate = 0.03
warmup_epochs = 0
label_smoothing = 0.0
crop_area = [1.0, 1.0]
crop_ratio = [1.0, 1.0]
flip = false
[validation]
stimuli = "held_out"
importance = "held_out"
[run]
seed = {seed}
"""
SWEEP = """
[store]
uri = "{folder}/store"
[models]
include = ["harmonized/*"]
[stimuli.attacked]
kind = "folder"
path = "{folder}/data/held_out/images"
labels = "{folder}/data/held_out/labels.csv"
limit = {n_attacked}
[[evaluations]]
kind = "accuracy"
stimuli = "held_out"
[[evaluations]]
kind = "accuracy"
stimuli = "misleading"
[[evaluations]]
kind = "human_alignment"
stimuli = "held_out"
importance = "held_out"
[[evaluations]]
kind = "minimal_attack"
stimuli = "attacked"
attacks = ["ddn"]
options = {{ ddn = {{ steps = 100 }} }}
"""
# One row a network: what the sweep found of it.
FOUND = """
WITH right_ones AS (
    SELECT model, stimuli, top1 FROM accuracy JOIN trials USING (trial_id, model)
),
smallest AS (
    SELECT model, median(CASE status WHEN 'found' THEN distance ELSE 'infinity' END) AS attack
    FROM attacks WHERE status IN ('found', 'bound_hit') GROUP BY model
),
agreeing AS (
    SELECT model, avg(spearman) AS alignment FROM alignment
    WHERE channel_reduction = 'abs_max' GROUP BY model
)
SELECT
    r.model, r.control, r.harmonization_lambda AS weight, h.top1 AS top1, m.top1 AS misled, alignment, attack
FROM training_runs AS r
JOIN right_ones AS h ON h.model = r.model AND h.stimuli = 'held_out'
JOIN right_ones AS m ON m.model = r.model AND m.stimuli = 'misleading'
JOIN agreeing AS a ON a.model = r.model
JOIN smallest AS s ON s.model = r.model
ORDER BY r.model
"""
MEASURES = {
    "top1": "accuracy where both marks agree",
    "misled": "accuracy where the spot misleads",
    "alignment": "agreement with the planted maps",
    "attack": "median smallest attack (l2)",
}


def write_images(folder: Path) -> None:
    """The planted images of all sets."""
    for number, (name, (n, misled)) in enumerate(SETS.items()):
        planted_task.write(folder / "data" / name, n, number, misled=misled)


def sections(folder: Path, *names: str) -> str:
    """What a run or sweep file says of these sets."""
    side = planted_task.SIDE_PX
    return "".join(IMAGES.format(name=name, folder=folder, side=side) for name in names)


def train(folder: Path, name: str, weight: float, control: str, seed: int = 0) -> int:
    """Trains one network, and its control unless `control` (TOML) names one; the exit code."""
    run = folder / f"{name}.toml"
    chosen = {"name": name, "weight": weight, "control": control, "seed": seed, "folder": folder}
    run.write_text(RUN.format(**chosen) + sections(folder, "train", "held_out"))
    return zoo_eval(["harmonize", str(run), "--runner", "local"])


def sweep(folder: Path) -> int:
    """Evaluates every network that was trained; the exit code."""
    path = folder / "sweep.toml"
    of = sections(folder, "held_out", "misleading")
    path.write_text(SWEEP.format(n_attacked=N_ATTACKED, folder=folder) + of)
    return zoo_eval(["sweep", str(path), "--runner", "local"])


def found(folder: Path) -> list[dict[str, Any]]:
    """What the sweep found of each network."""
    return connect(Store(str(folder / "store"))).rows(FOUND)


def main(n_seeds: int = planted_task.N_SEEDS) -> int:
    """Trains, sweeps, and prints what became of each network; the exit code of what failed, or 0."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    write_images(FOLDER)
    for seed in range(n_seeds):
        if code := train(FOLDER, f"seed_{seed}", WEIGHT, "true", seed):
            return code
    return sweep(FOLDER) or show()


def show() -> int:
    """Prints each network beside its control."""
    rows = {row["model"]: row for row in found(FOLDER)}
    pairs = [(row, rows[row["control"]]) for row in rows.values() if row["control"]]
    say("planted task: harmonized networks and their controls (lambda = 0), one seed a row")
    for measure, meaning in MEASURES.items():
        differences = [one[measure] - other[measure] for one, other in pairs]
        say(f"{meaning}:")
        for (one, other), difference in zip(pairs, differences, strict=True):
            say(
                f"  {one['model']}: {one[measure]:.3f}, control {other[measure]:.3f}: {difference:+.3f}"
            )
        say(f"  mean difference {sum(differences) / len(differences):+.3f}")
    say(f"store {FOLDER / 'store'}: zoo-eval report --store {FOLDER / 'store'} --out report.html")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))
