"""Logits of photos beside those of each library's own pipeline; tensors resized instead, as a contrast.

    python -m benchmarks.pixels [--quick]

Both networks have the same weights, trained where a package brings them. Differences are the largest
over photos and classes, in logits and relative to the largest logit. `tensors` is the differentiable
view, which attacks on a common canvas have: resized in floating point, where the libraries resize 8 bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from benchmarks.measurement import quick, report
from benchmarks.zoo import OWN, Own, unsettle
from zoo_eval import paths
from zoo_eval.catalog import ModelCard
from zoo_eval.models.open_model import OpenModel, open_model
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.stimuli.stimulus_set import Pixels
from zoo_eval.sweep import file as sweep_file

CPU = torch.device("cpu")
DEMO = Path(__file__).parent.parent / "sweeps" / "demo.toml"
TRAINED = ("local/lite0", "local/lite1", "local/lite2")
UNTRAINED = (
    "timm/convnext_atto", "timm/vit_tiny_patch16_224", "timm/deit_tiny_patch16_224",
    "torchvision/squeezenet1_1", "torchvision/alexnet", "torchvision/shufflenet_v2_x0_5",
    "torchvision/mobilenet_v3_small", "open_clip/ViT-S-32-alt", "open_clip/MobileCLIP2-S0",
)  # fmt: skip
QUICK = ("local/lite0", "torchvision/squeezenet1_1", "open_clip/MobileCLIP2-S0")


@dataclass(frozen=True)
class Row:
    """Largest differences of one model's logits from its library's own."""

    model: str
    weights: str
    largest_logit: float
    exact: float
    tensors: float


def cards() -> list[ModelCard]:
    """Trained ones of the demo, and untrained ones of each library."""
    demo = sweep_file.read(DEMO, DEMO.parent.parent)
    own = {card.name: card for card in demo.models.own()}
    untrained = [ModelCard(name, "local", name, weights="untrained") for name in UNTRAINED]
    return [own[name] for name in TRAINED] + untrained


def photos() -> Sequence[Pixels]:
    """Twenty ImageNet photos of many sizes."""
    folder = paths.resolve("package:foolbox/data", Path.cwd())
    return read_folder("photos", folder, include=["imagenet_*.jpg"]).images[:]


@torch.no_grad()
def compared(card: ModelCard, images: Sequence[Pixels]) -> Row:
    """One model's row."""
    model = open_model(card, CPU)
    if card.weights == "untrained":
        # Untrained logits hardly depend on the image: they would agree whatever it is.
        unsettle(model.net, model.transform.normalise(model.view(images[:8])))
    own = OWN[card.architecture.partition("/")[0]](card.architecture, model)
    expected = _own(own, model, images)
    exact = (model.predict(images) - expected).abs().max()
    tensors = torch.cat([model(_tensor(one)) for one in images])
    return Row(
        card.architecture,
        "trained" if card.weights != "untrained" else "untrained",
        float(expected.abs().max()),
        float(exact),
        float((tensors - expected).abs().max()),
    )


def _own(own: Own, model: OpenModel, images: Sequence[Pixels]) -> Tensor:
    """The library's own logits, in the batches that the open model makes."""
    seen = [own.preprocess(Image.fromarray(one)) for one in images]
    return torch.cat(
        list(model.in_batches(seen, lambda batch: own.logits(torch.stack(list(batch)))))
    )


def _tensor(image: Pixels) -> Tensor:
    return torch.tensor(image).permute(2, 0, 1)[None] / 255


HEADER = ["model", "weights", "largest logit", "exact pixels", "tensors resized"]


def main() -> None:
    """Prints the table and one JSON object."""
    small = quick(__doc__ or "")
    # Two threads on two cores wait for each other as soon as anything else runs.
    torch.set_num_threads(1)
    images = photos()
    chosen = [card for card in cards() if not small or card.name in QUICK]
    rows = [compared(card, images) for card in chosen]
    cells = [
        [
            row.model,
            row.weights,
            f"{row.largest_logit:.2f}",
            f"{row.exact:.1e}",
            f"{row.tensors:.1e}",
        ]
        for row in rows
    ]
    result = {
        "n_photos": len(images),
        "n_models": len(rows),
        "exact_max_difference": max(row.exact for row in rows),
        "exact_max_relative": max(row.exact / row.largest_logit for row in rows),
        "tensors_max_difference": max(row.tensors for row in rows),
    }
    report(HEADER, cells, result)


if __name__ == "__main__":
    main()
