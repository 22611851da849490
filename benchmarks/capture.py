"""Gram matrices of every block, beside the bare forward pass over the same images, in one run.

python -m benchmarks.capture [--quick]
"""

import ctypes
import gc
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import torch
from torch import Tensor

from benchmarks.measurement import quick, report
from zoo_eval import paths, stimuli
from zoo_eval.catalog import ModelCard
from zoo_eval.footprint import Footprint
from zoo_eval.models import OpenModel, open_model
from zoo_eval.numerics.pls import fit_paths
from zoo_eval.representations import LayerGram, NonFinite, Representations
from zoo_eval.stimuli import StimulusSet

PLENTY = 2**50
BLOCKS = "layer?.?"
SKETCH = 16_384
SEED = 0
SAMPLED_S = 0.002
N_LATENT = 40
N_TARGETS = 64
N_COMPONENTS = 25
N_FOLDS = 10
T = TypeVar("T")


@dataclass(frozen=True)
class Size:
    """What is measured: residual blocks; the sketch on more stimuli than are held exactly."""

    architecture: str
    n_stimuli: int
    n_sketched: int


FULL = Size("timm/resnet50", 400, 3200)
QUICK = Size("timm/resnet18", 128, 256)


@dataclass(frozen=True)
class Cost:
    """Seconds of a call, of all its threads' work, and how far memory rose above its start."""

    seconds: float
    cpu_seconds: float
    growth_bytes: int


def measured(work: Callable[[], T]) -> tuple[T, Cost]:
    """What a call returns, and its cost; memory is the process's resident set, sampled."""
    process, done = psutil.Process(), threading.Event()
    _give_back()
    before = most = process.memory_info().rss

    def watch() -> None:
        nonlocal most
        while not done.wait(SAMPLED_S):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start, worked = time.perf_counter(), time.process_time()
    try:
        result = work()
    finally:
        elapsed, worked = time.perf_counter() - start, time.process_time() - worked
        done.set()
        watcher.join()
    return result, Cost(elapsed, worked, most - before)


def _give_back() -> None:
    """Returns freed memory to the system, so that the next call's growth is its own."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def photos(n: int) -> StimulusSet:
    """Crops of photos at the network's own size."""
    folder = paths.resolve("package:foolbox/data", Path.cwd())
    found = stimuli.folder("photos", folder, include=["imagenet_*.jpg"])
    return stimuli.crops("crops", [found], n=n, size_px=224, seed=SEED)


def first(shown: StimulusSet, n: int) -> StimulusSet:
    """The first stimuli of a set."""
    return StimulusSet(shown.name, shown.ids[:n], shown.images[:n], groups=shown.groups[:n])


@torch.no_grad()
def forward(model: OpenModel, shown: StimulusSet) -> None:
    """The bare forward pass: the same preprocessing and batches, and nothing kept."""
    for _ in model.in_batches(shown.images, lambda batch: model.logits(model.view(batch))[:0]):
        pass


def captured(
    model: OpenModel, shown: StimulusSet, budget: int, *, sketch: int | None = None
) -> tuple[Mapping[str, LayerGram], Cost, Footprint]:
    """Every block's Gram matrix, its cost, and what was predicted."""
    layers = model.blueprint.layers(BLOCKS)
    representations = Representations(model, budget)
    shapes = representations.shapes(shown, layers)
    plan = representations.footprint(shapes, len(shown), sketch=sketch)
    grams, cost = measured(lambda: representations.grams(shown, layers, sketch=sketch, seed=SEED))
    found = {layer: gram for layer, gram in grams.items() if not isinstance(gram, NonFinite)}
    assert len(found) == len(layers)
    return found, cost, plan


def planted(gram: Tensor) -> Tensor:
    """Responses (stimulus, target): noisy mixtures of a layer's first principal components."""
    generator = torch.Generator().manual_seed(SEED)
    centred = gram - gram.mean(0) - gram.mean(1)[:, None] + gram.mean()
    _, vectors = torch.linalg.eigh(centred)
    latent = vectors[:, -N_LATENT:] * len(gram) ** 0.5
    mixing = torch.randn(N_LATENT, N_TARGETS, generator=generator, dtype=gram.dtype)
    noise = torch.randn(len(gram), N_TARGETS, generator=generator, dtype=gram.dtype)
    responses: Tensor = latent @ mixing / N_LATENT**0.5 + noise
    return responses


def median_r(gram: Tensor, responses: Tensor) -> float:
    """PLS over folds: the median over targets of r with the held-out responses, mean over folds."""
    n = len(gram)
    fold_of = torch.randperm(n, generator=torch.Generator().manual_seed(SEED)) % N_FOLDS
    training = torch.stack([fold_of != fold for fold in range(N_FOLDS)])
    path = fit_paths(gram, responses, training, N_COMPONENTS)
    medians = []
    for fold in range(N_FOLDS):
        rows = (~training[fold]).nonzero()[:, 0]
        pair = torch.stack([path.predictions(fold, rows, N_COMPONENTS), responses[rows]])
        pair = pair - pair.mean(1, keepdim=True)
        pair = pair / pair.norm(dim=1, keepdim=True)
        medians.append(float((pair[0] * pair[1]).sum(0).median()))
    return sum(medians) / N_FOLDS


def pls_differences(
    exact: Mapping[str, LayerGram], sketched: Mapping[str, LayerGram]
) -> dict[str, float]:
    """By sketched layer, by how much PLS from its sketch differs in median r from the exact one."""
    differences = {}
    for layer, gram in sketched.items():
        if gram.sketch is not None:
            responses = planted(exact[layer].gram)
            differences[layer] = abs(
                median_r(gram.gram, responses) - median_r(exact[layer].gram, responses)
            )
    return differences


def main() -> None:
    """Prints ratios to the bare forward pass (per image), passes, and memory beside its prediction."""
    size = QUICK if quick(__doc__ or "") else FULL
    card = ModelCard(size.architecture, "local", size.architecture, weights="untrained")
    model = open_model(card, torch.device("cpu"))
    many = photos(size.n_sketched)
    few = first(many, size.n_stimuli)
    forward(model, first(many, 2 * model.batch_size))

    _, bare_before = measured(lambda: forward(model, few))
    exact, whole, whole_plan = captured(model, few, PLENTY)
    budget = whole_plan.peak_bytes // 4
    quartered, quarter, quarter_plan = captured(model, few, budget)
    difference = max(
        float((quartered[layer].gram - gram.gram).abs().max() / gram.gram.abs().max())
        for layer, gram in exact.items()
    )
    del quartered
    same, _, _ = captured(model, few, PLENTY, sketch=SKETCH)
    pls = pls_differences(exact, same)
    del exact, same
    _, bare_after = measured(lambda: forward(model, few))
    _, sketch, sketch_plan = captured(model, many, PLENTY, sketch=SKETCH)

    bare = Cost(
        (bare_before.seconds + bare_after.seconds) / 2,
        (bare_before.cpu_seconds + bare_after.cpu_seconds) / 2,
        max(bare_before.growth_bytes, bare_after.growth_bytes),
    )
    rows: list[list[object]] = [["bare forward", len(few), f"{bare.seconds:.1f}", *[""] * 5]]
    result: dict[str, Any] = {}
    for name, n, cost, plan in (
        ("exact", len(few), whole, whole_plan),
        ("quarter", len(few), quarter, quarter_plan),
        ("sketch", len(many), sketch, sketch_plan),
    ):
        found = {
            "ratio": cost.seconds / bare.seconds * len(few) / n,
            "cpu_ratio": cost.cpu_seconds / bare.cpu_seconds * len(few) / n,
            "passes": plan.n_passes,
            "predicted_bytes": plan.peak_bytes,
            "peak_bytes": cost.growth_bytes - bare.growth_bytes,
        }
        ratios = (f"{found[key]:.2f}" for key in ("ratio", "cpu_ratio", "passes"))
        sizes = (f"{found[key] / 1e6:.0f}" for key in ("predicted_bytes", "peak_bytes"))
        rows.append([name, n, f"{cost.seconds:.1f}", *ratios, *sizes])
        result |= {f"{name}_{key}": value for key, value in found.items()}
    result |= {
        "quarter_budget_bytes": budget,
        "quarter_max_relative_difference": difference,
        "sketch_pls_max_difference": max(pls.values(), default=0.0),
        "bare_seconds_per_image": bare.seconds / len(few),
    }
    header = ["what", "stimuli", "seconds", "ratio", "CPU ratio", "passes",
              "predicted MB", "actual MB"]  # fmt: skip
    report(header, rows, result)


if __name__ == "__main__":
    main()
