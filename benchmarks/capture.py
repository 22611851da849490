"""Gram matrices of every block, beside the bare forward pass over the same images, in one run.

python -m benchmarks.capture [--quick]

Ratios are medians of five, each of a captured pass and the bare passes next to it in time. The exact
capture is made six times: first in fresh memory (`exact_fresh_ratio`, and the peak), which a virtual
machine may have to get from its host, then in what that one left, as a second evaluation of the same
model is; a bare pass before, between and after. The sketched one is made once: it
pauses before each fifth of the stimuli for a bare pass over that fifth, and a fifth of what is left
to do after the last stimulus (products, and Gram matrices made whole) is added to each.
"""

import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, SupportsIndex, TypeVar, cast

import psutil
import torch
from torch import Tensor

from benchmarks.measurement import quick, report
from zoo_eval import paths
from zoo_eval.catalog import ModelCard
from zoo_eval.models import allocator
from zoo_eval.models.open_model import OpenModel, open_model
from zoo_eval.numerics.pls import fit_paths
from zoo_eval.representations.footprint import Footprint
from zoo_eval.representations.grams import LayerGram, NonFinite
from zoo_eval.representations.representations import Representations
from zoo_eval.stimuli.crops import random_crops
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.stimuli.stimulus_set import Pixels, StimulusSet

PLENTY = 2**50
# For the sketch, whose Gram matrices alone take more.
SMALL = 2**29
BLOCKS = "layer?.?"
SKETCH = 16_384
SEED = 0
N_TIMES = 5
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
QUICK = Size("timm/resnet18", 64, 160)


@dataclass(frozen=True)
class Moment:
    """Seconds that have passed, and those of work in all threads."""

    seconds: float
    cpu_seconds: float

    @classmethod
    def now(cls) -> "Moment":
        return cls(time.perf_counter(), time.process_time())

    def __sub__(self, other: "Moment") -> "Moment":
        return Moment(self.seconds - other.seconds, self.cpu_seconds - other.cpu_seconds)

    def __add__(self, other: "Moment") -> "Moment":
        return Moment(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds)

    def share(self, n: int) -> "Moment":
        return Moment(self.seconds / n, self.cpu_seconds / n)


@dataclass(frozen=True)
class Ratios:
    """Captured passes over bare ones, and the medians of their ratios."""

    captured: Sequence[Moment]
    bare: Sequence[Moment]

    @property
    def wall(self) -> float:
        pairs = zip(self.captured, self.bare, strict=True)
        return statistics.median(one.seconds / other.seconds for one, other in pairs)

    @property
    def cpu(self) -> float:
        pairs = zip(self.captured, self.bare, strict=True)
        return statistics.median(one.cpu_seconds / other.cpu_seconds for one, other in pairs)


def measured(work: Callable[[], T], *, anew: bool = True) -> tuple[T, Moment, int]:
    """What a call returns, what it took, and how far memory rose above its start, in bytes.

    Memory is what the process has for itself, sampled: pages of files, such as its libraries, come
    and go with the system's cache. What was freed before is returned to the system first, so that
    the growth is the call's own; unless `anew` is false, where it means nothing.
    """
    process, done = psutil.Process(), threading.Event()

    def own_bytes() -> int:
        info = process.memory_info()
        # Only Linux tells the two apart.
        return int(info.rss - getattr(info, "shared", 0))

    if anew:
        allocator.give_back()
    before = most = own_bytes()

    def watch() -> None:
        nonlocal most
        while not done.wait(SAMPLED_S):
            most = max(most, own_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = Moment.now()
    try:
        result = work()
    finally:
        took = Moment.now() - start
        done.set()
        watcher.join()
    return result, took, most - before


def photos(n: int) -> StimulusSet:
    """Crops of photos at the network's own size."""
    folder = paths.resolve("package:foolbox/data", Path.cwd())
    found = read_folder("photos", folder, include=["imagenet_*.jpg"])
    return random_crops("crops", [found], n=n, size_px=224, seed=SEED)


def part(shown: StimulusSet, start: int, stop: int) -> StimulusSet:
    """Some stimuli of a set."""
    rows = slice(start, stop)
    return StimulusSet(shown.name, shown.ids[rows], shown.images[rows], shown.groups[rows])


@torch.no_grad()
def forward(model: OpenModel, shown: StimulusSet) -> None:
    """The bare forward pass: the same preprocessing and batches, and nothing kept."""
    for _ in model.in_batches(shown.images, lambda batch: model.logits(model.view(batch))[:0]):
        pass


@dataclass(frozen=True)
class Capture:
    """Every block's Gram matrix, what it took, how far memory rose, and what was predicted."""

    grams: Mapping[str, LayerGram | NonFinite]
    took: Moment
    growth_bytes: int
    plan: Footprint


def captured(
    model: OpenModel,
    shown: StimulusSet,
    budget: int,
    *,
    sketch: int | None = None,
    anew: bool = True,
) -> Capture:
    """One capture, within the budget."""
    layers = model.blueprint.layers(BLOCKS)
    representations = Representations(model, budget)
    shapes = representations.shapes(shown, layers)
    plan = representations.footprint(shapes, len(shown), sketch=sketch)
    grams, took, growth = measured(
        lambda: representations.grams(shown, layers, sketch=sketch, seed=SEED), anew=anew
    )
    return Capture(grams, took, growth, plan)


def gram_of(capture: Capture, layer: str) -> LayerGram:
    """One layer's, read from the disk."""
    found = capture.grams[layer]
    assert not isinstance(found, NonFinite)
    return found


def alternating(model: OpenModel, shown: StimulusSet) -> tuple[Ratios, Capture, int]:
    """The exact capture between bare passes, the one before them, and how far memory rises in those."""
    rise = max(measured(lambda: forward(model, shown))[2] for _ in range(3))
    bare, takes = [], []
    first = captured(model, shown, PLENTY)
    for _ in range(N_TIMES):
        _, took, _ = measured(lambda: forward(model, shown), anew=False)
        bare.append(took)
        takes.append(captured(model, shown, PLENTY, anew=False).took)
    _, took, _ = measured(lambda: forward(model, shown), anew=False)
    bare.append(took)
    around = [(before + after).share(2) for before, after in pairwise(bare)]
    return Ratios(takes, around), first, rise


class Pausing(tuple[Pixels, ...]):
    """Images that call `before` with their row before the first of a part is handed out."""

    part: int
    before: Callable[[int], None]

    def __getitem__(self, place: SupportsIndex | slice) -> Any:
        if not isinstance(place, slice) and (row := int(place)) and row % self.part == 0:
            self.before(row)
        return super().__getitem__(place)


@dataclass
class Parts:
    """When each part of a capture began and, before it, how long the bare pass took."""

    model: OpenModel
    shown: StimulusSet
    length: int
    bare: list[Moment] = field(default_factory=list)
    began: list[Moment] = field(default_factory=list)
    ended: list[Moment] = field(default_factory=list)

    def __call__(self, row: int) -> None:
        """Ends the part before this row, and begins the next one after a bare pass over it."""
        # Means of a few stimuli are taken before the first part: they belong to it.
        if row and row != self.length * len(self.began):
            return
        if row:
            self.ended.append(Moment.now())
        start = Moment.now()
        forward(self.model, part(self.shown, row, row + self.length))
        self.bare.append(Moment.now() - start)
        self.began.append(Moment.now())


def paused(model: OpenModel, shown: StimulusSet) -> tuple[Ratios, Capture]:
    """The sketched capture in five parts, each after a bare pass over the same stimuli."""
    images = Pausing(shown.images)
    images.part = len(shown) // N_TIMES
    images.before = parts = Parts(model, shown, images.part)
    shown = StimulusSet(shown.name, shown.ids, cast(tuple[Pixels, ...], images), shown.groups)
    last = Moment.now()

    def note(*_: object) -> None:
        nonlocal last
        last = Moment.now()

    parts(0)
    handle = model.net.register_forward_hook(note)
    try:
        capture = captured(model, shown, SMALL, sketch=SKETCH)
    finally:
        handle.remove()
    end = Moment.now()
    parts.ended.append(last)
    share = (end - last).share(N_TIMES)
    takes = [stop - start + share for start, stop in zip(parts.began, parts.ended, strict=True)]
    return Ratios(takes, parts.bare), capture


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


def pls_differences(exact: Capture, sketched: Capture) -> dict[str, float]:
    """By sketched layer, by how much PLS from its sketch differs in median r from the exact one."""
    differences = {}
    for layer in sketched.grams:
        if (gram := gram_of(sketched, layer)).sketch is not None:
            known = gram_of(exact, layer).gram
            responses = planted(known)
            differences[layer] = abs(median_r(gram.gram, responses) - median_r(known, responses))
    return differences


def relative_difference(exact: Capture, other: Capture) -> float:
    """The largest of all entries of all layers, relative to the layer's largest."""
    differences = []
    for layer in exact.grams:
        known = gram_of(exact, layer).gram
        difference = (gram_of(other, layer).gram - known).abs().max()
        differences.append(float(difference / known.abs().max()))
    return max(differences)


def main() -> None:
    """Prints ratios to the bare forward pass, passes, and memory beside its prediction."""
    size = QUICK if quick(__doc__ or "") else FULL
    card = ModelCard(size.architecture, "local", size.architecture, weights="untrained")
    model = open_model(card, torch.device("cpu"))
    many = photos(size.n_sketched)
    few = part(many, 0, size.n_stimuli)
    forward(model, part(many, 0, 2 * model.batch_size))

    exact, whole, bare_growth = alternating(model, few)
    budget = whole.plan.peak_bytes // 4
    quarter = captured(model, few, budget)
    difference = relative_difference(whole, quarter)
    pls = pls_differences(whole, captured(model, few, PLENTY, sketch=SKETCH))
    sketch, sketched = paused(model, many)

    bare_seconds = statistics.median(one.seconds for one in exact.bare) / len(few)
    rows: list[list[object]] = []
    result: dict[str, Any] = {}
    for name, capture, ratios, budget_bytes in (
        ("exact", whole, exact, PLENTY),
        ("quarter", quarter, None, budget),
        ("sketch", sketched, sketch, SMALL),
    ):
        found: dict[str, float] = {
            "stimuli": capture.plan.request.n_stimuli,
            "passes": capture.plan.n_passes,
            "budget_bytes": budget_bytes,
            "predicted_bytes": capture.plan.peak_bytes,
            "peak_bytes": capture.growth_bytes - bare_growth,
            "disk_bytes": capture.plan.disk_bytes,
        }
        said = ["", ""]
        if ratios is not None:
            found |= {"ratio": ratios.wall, "cpu_ratio": ratios.cpu}
            said = [f"{ratios.wall:.2f}", f"{ratios.cpu:.2f}"]
        sizes = ("budget_bytes", "predicted_bytes", "peak_bytes", "disk_bytes")
        in_mb = ("" if found[key] == PLENTY else f"{found[key] / 1e6:.0f}" for key in sizes)
        rows.append([name, found["stimuli"], f"{found['passes']:.2f}", *said, *in_mb])
        result |= {f"{name}_{key}": value for key, value in found.items()}
    result |= {
        "quarter_most_passes": -(-feature_bytes(quarter.plan) // budget),
        "quarter_max_relative_difference": difference,
        "sketch_pls_max_difference": max(pls.values(), default=0.0),
        "exact_fresh_ratio": whole.took.seconds / len(few) / bare_seconds,
        "bare_seconds_per_image": bare_seconds,
    }
    header = ["what", "stimuli", "passes", "ratio", "CPU ratio",
              "budget MB", "predicted MB", "actual MB", "disk MB"]  # fmt: skip
    report(header, rows, result)


def feature_bytes(plan: Footprint) -> int:
    """What all features of all stimuli would take."""
    return 4 * plan.request.n_stimuli * sum(plan.request.n_features.values())


if __name__ == "__main__":
    main()
