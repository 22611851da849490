"""Every block of a ResNet-50 against one subject of LAION's size: ridge with Brain-Score's 21 penalties.

    python -m benchmarks.laion [--quick] [--blocks N] [--pixels N]

6,204 planted images and 15,000 planted voxels, written as LAION-fMRI's betas and its split are; the
sweep runs in a process of its own. Its budget is 6 GiB: network, activations and libraries come on top,
and all may take 8. Whole, it takes an hour and a half on two cores, with larger images longer. `--blocks 1` fits the last block alone, whose
fit takes the same memory as any other's, `--pixels 64` shows smaller images, whose Gram matrices are of
the same size.
The witness of the last block is dual ridge in NumPy on features of a forward hook, a fit per fold and
penalty, for some of the voxels. Exit status 1 where the peak is above 8 GiB, or an r off by 1e-4.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from benchmarks.measurement import report
from tests.recordings.laion_files import NAME, TRIALS, split, trials
from tests.recordings.voxel_files import mask, nifti
from zoo_eval.models.open_model import open_model
from zoo_eval.numerics.splits import Fold, Rows, grouped_folds_within
from zoo_eval.queries.connection import connect
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.stimuli.stimulus_set import Pixels
from zoo_eval.store import Store
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep.cards import roster
from zoo_eval.units import size_text

Numbers = npt.NDArray[np.float64]

TRUE_SIZE = (6_204, 15_000)
QUICK_SIZE = (320, 500)
TRAINED = 0.8
SESSION_TRIALS = 1_034
MOST_BYTES = 8 * 2**30
MOST_OFF = 1e-4
ALPHAS = 10.0 ** np.arange(-10, 11)
N_WITNESSED = 100
N_INNER_FOLDS = 4
# The sweep's seed is 0; the folds inside the first split have the next.
INNER_SEED = 1
LAST = "layer4.2"
SWEEP = """
[store]
uri = "store"
[models]
include = ["local/*"]
[[models.local]]
name = "resnet50"
architecture = "timm/resnet50"
weights = "untrained"
edits = {{ input_px = {pixels} }}
[stimuli.laion]
kind = "folder"
path = "images"
[recordings.subject]
kind = "laion_fmri"
stimuli = "laion"
path = "sub-01"
mask = "sub-01/mask.nii"
splits = "splits"
zscore = "session"
[[evaluations]]
kind = "neural_fit"
recording = "subject"
readouts = ["ridge"]
alphas = "brainscore"
protocol = "published"
split = "tau"
layers = {layers}
[run]
memory_budget = "6GiB"
"""
HEADER = ("images x voxels", "blocks", "pixels", "s", "s per block", "peak", "largest |r - r|")


@dataclass(frozen=True)
class Size:
    """What is asked for: images, voxels, the last so many blocks (None: all), and the input's side."""

    n_images: int
    n_voxels: int
    n_blocks: int | None
    pixels: int

    @property
    def layers(self) -> str:
        """As a sweep file has them; the last block of the last stage is always among them."""
        stages = [f"layer{stage + 1}.{block}" for stage, n in enumerate((3, 4, 6, 3)) for block in range(n)]  # fmt: skip
        return json.dumps("blocks" if self.n_blocks is None else stages[-self.n_blocks :])


def main() -> None:
    """Prints seconds, peak and the largest difference from the witness."""
    size = _asked()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, size)
        start = time.perf_counter()
        command = [sys.executable, "-m", "zoo_eval", "sweep", "sweep.toml", "--runner", "local"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        elapsed = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        scores = connect(Store(str(folder / "store"))).rows(
            "SELECT layer, r, target_ids FROM neural_scores"
        )
        (own,) = (row for row in scores if row["layer"] == LAST)
        chosen = np.linspace(0, size.n_voxels - 1, N_WITNESSED).astype(int).tolist()
        witness = _witness(folder, [_place(own["target_ids"][voxel]) for voxel in chosen])
        off = float(np.abs(np.array(own["r"])[chosen] - witness).max())
    row = [
        f"{size.n_images} x {size.n_voxels}",
        len(scores),
        size.pixels,
        f"{elapsed:.0f}",
        f"{elapsed / len(scores):.0f}",
        size_text(peak),
        f"{off:.1e}",
    ]
    facts = {"s": elapsed, "blocks": len(scores), "peak_bytes": peak, "largest_difference": off}
    report(HEADER, [row], facts)
    if peak > MOST_BYTES or not off <= MOST_OFF:
        sys.exit(f"the peak may be {size_text(MOST_BYTES)} at most, a difference {MOST_OFF:g}")


def _asked() -> Size:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="320 images, 500 voxels, two blocks")
    parser.add_argument("--blocks", type=int, help="fit the last so many blocks alone")
    parser.add_argument("--pixels", type=int, default=224, help="of the model's input")
    asked = parser.parse_args()
    if asked.quick:
        return Size(*QUICK_SIZE, asked.blocks or 2, 64)
    return Size(*TRUE_SIZE, asked.blocks, asked.pixels)


def _write(folder: Path, size: Size) -> None:
    """Images of blurred noise, a subject whose voxels follow their coarse pixels, and the sweep."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    labels = [f"unique_LAION_cluster_{number}_i0.png" for number in range(size.n_images)]
    coarse = rng.integers(0, 256, (size.n_images, 8, 8, 3), dtype=np.uint8)
    for label, pixels in zip(labels, coarse, strict=True):
        Image.fromarray(pixels).resize((96, 96)).save(folder / "images" / label, compress_level=1)
    known = (coarse.reshape(size.n_images, -1) / 255 - 0.5).astype(np.float32)
    weights = rng.standard_normal((known.shape[1], size.n_voxels), np.float32)
    grid = (size.n_voxels // 100, 10, 10)
    for number, start in enumerate(range(0, size.n_images, SESSION_TRIALS)):
        shown = slice(start, start + SESSION_TRIALS)
        func = folder / "sub-01" / f"ses-{number + 1:02d}" / "func"
        func.mkdir(parents=True)
        signal = known[shown] @ weights
        signal += 4 * rng.standard_normal(signal.shape, np.float32)
        name = NAME.format(func.parent.name).removesuffix(".gz")
        nifti(func / name, np.ascontiguousarray(signal.T).reshape(*grid, -1))
        trials(func / TRIALS.format(func.parent.name), func.parent.name, labels[shown])
    mask(folder / "sub-01" / "mask.nii", grid, np.argwhere(np.ones(grid, bool)))
    order, n_train = rng.permutation(size.n_images), int(TRAINED * size.n_images)
    train, test = ([labels[i] for i in some] for some in np.split(order, [n_train]))
    split(folder / "splits" / "tau.json", train, test)
    (folder / "sweep.toml").write_text(SWEEP.format(pixels=size.pixels, layers=size.layers))


def _place(target_id: str) -> tuple[int, ...]:
    """Where a voxel is, (x, y, z), which its id ends in."""
    return tuple(map(int, target_id.rpartition("_")[2].split("-")))


def _witness(folder: Path, places: Sequence[tuple[int, ...]]) -> Numbers:
    """R of the voxels from the last block's features, which are centred here and fitted fold by fold."""
    shown = read_folder("laion", folder / "images")
    features = _features(folder, shown.images)
    responses = _responses(folder, shown.ids, places)
    published = json.loads((folder / "splits" / "tau.json").read_text())["variants"][0]
    train, test = (
        np.flatnonzero(np.isin(shown.ids, published[side])) for side in ("train_ids", "test_ids")
    )
    errors = np.zeros((len(ALPHAS), len(places)))
    fold = Fold(train, test)
    for inner in grouped_folds_within(fold, shown.groups, n_folds=N_INNER_FOLDS, seed=INNER_SEED):
        predictions = _dual(features, responses, inner.train, inner.test)
        for number, predicted in enumerate(predictions):
            errors[number] += ((predicted - responses[inner.test]) ** 2).mean(0)
    best = errors.argmin(0).tolist()
    every = list(_dual(features, responses, train, test))
    chosen = zip(best, range(len(places)), strict=True)
    fitted = [every[number][:, voxel] for number, voxel in chosen]
    pairs = zip(fitted, responses[test].T, strict=True)
    return np.array([np.corrcoef(ours, theirs)[0, 1] for ours, theirs in pairs])


def _dual(features: Numbers, responses: Numbers, train: Rows, test: Rows) -> Iterator[Numbers]:
    """Predictions (test, voxel) by penalty: K = F F^T of centred features, (K + alpha I)^-1 by `eigh`."""
    held = features[train]
    mean, of_responses = held.mean(0), responses[train].mean(0)
    held = held - mean
    values, vectors = np.linalg.eigh(held @ held.T)
    crossed = (features[test] - mean) @ held.T @ vectors
    rotated = vectors.T @ (responses[train] - of_responses)
    for alpha in ALPHAS:
        yield of_responses + crossed @ (rotated / (values.clip(min=0) + alpha)[:, None])


def _features(folder: Path, images: Iterable[Pixels]) -> Numbers:
    """The last block's, float64 (image, feature), as a hook sees them one image at a time."""
    sweep = sweep_file.read(folder / "sweep.toml", folder)
    (card,) = roster(sweep.models).cards
    model = open_model(card, torch.device("cpu"))
    seen: list[Tensor] = []
    module = model.net.get_submodule(LAST)
    module.register_forward_hook(lambda _module, _given, found: seen.append(found.flatten()))
    for image in images:
        model.logits(model.view([image]))
    return torch.stack(seen).double().numpy()


def _responses(folder: Path, ids: Sequence[str], places: Sequence[tuple[int, ...]]) -> Numbers:
    """Betas of some voxels z-scored within sessions, (image, voxel), in the images' order."""
    found: dict[str, Numbers] = {}
    for path in sorted(folder.glob("sub-01/ses-*/func/*.nii")):
        shape = np.fromfile(path, "<i2", 5, offset=40)[1:]
        betas = np.memmap(path, "<f4", "r", offset=352, shape=tuple(shape), order="F")
        some = np.array([betas[place] for place in places], np.float64).T
        scored = (some - some.mean(0)) / some.std(0)
        session = path.parent.parent.name
        with (path.parent / TRIALS.format(session)).open() as file:
            for row in csv.DictReader(file, delimiter="\t"):
                found[row["label"]] = scored[int(row["beta_index"])]
    return np.stack([found[stimulus] for stimulus in ids])


if __name__ == "__main__":
    main()
