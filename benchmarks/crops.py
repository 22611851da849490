"""Alignment of the same weights at three crops: over the whole canvas, what is seen, what all see.

    python -m benchmarks.crops [--quick]

EfficientNet-Lite0 on the ImageNet photos inside foolbox, its input gradient against planted maps (local
contrast: no human data), on a canvas of 224 px. Only the crop differs: a smaller one leaves a wider frame
of zeros around the gradient. What is left between crops when the frame does not count is that the
network sees the photo at another magnification.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import floor
from pathlib import Path
from statistics import fmean
from typing import get_args

import torch

from benchmarks.measurement import quick, report
from zoo_eval import paths
from zoo_eval.catalog import ModelCard
from zoo_eval.evaluations.evaluation import Candidate, Result, Workbench
from zoo_eval.evaluations.human_alignment import HumanAlignment
from zoo_eval.evaluations.regions import RegionName
from zoo_eval.importance.planted import plant
from zoo_eval.importance.preparation import PUBLISHED
from zoo_eval.inputs import Inputs
from zoo_eval.models.blueprint import transform_of
from zoo_eval.models.open_model import OpenModel, open_model
from zoo_eval.representations.representations import Representations
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.stimuli.stimulus_set import StimulusSet
from zoo_eval.sweep import file as sweep_file

DEMO = Path(__file__).parent.parent / "sweeps" / "demo.toml"
CROPS = (0.875, 0.949, 1.0)
CANVAS_PX = 224


@dataclass(frozen=True)
class Row:
    """Mean alignment and null at one crop, over one region of the canvas."""

    crop: float
    region: RegionName
    unseen_share: float
    alignment: float
    null: float


def photos(limit: int | None) -> StimulusSet:
    """Labelled ImageNet photos."""
    folder = paths.resolve("package:foolbox/data", Path.cwd())
    return read_folder(
        "photos",
        folder,
        include=["imagenet_*.jpg"],
        label_pattern=r"imagenet_\d+_(\d+)",
        limit=limit,
    )


def cropped() -> list[ModelCard]:
    """The same weights at each crop."""
    demo = sweep_file.read(DEMO, DEMO.parent.parent)
    (card,) = (one for one in demo.models.own() if one.name == "local/lite0")
    own = transform_of(card)
    sides = [floor(own.input_px / crop) for crop in CROPS]
    return [replace(card, transform=replace(own, resize_px=side)) for side in sides]


def rows(shown: StimulusSet) -> Iterator[Row]:
    """Each crop over each region."""
    cards = cropped()
    maps = plant("planted", shown, PUBLISHED)
    compared = tuple(transform_of(card) for card in cards)
    inputs = Inputs({shown.name: shown}, {}, {maps.name: maps}, compared)
    for crop, card in zip(CROPS, cards, strict=True):
        model = open_model(card, torch.device("cpu"))
        for region in get_args(RegionName):
            yield _row(model, inputs, shown.name, crop, region)


def _row(model: OpenModel, inputs: Inputs, shown: str, crop: float, region: RegionName) -> Row:
    candidate = Candidate(model.card, model.blueprint)
    bench = Workbench(inputs, candidate, model, Representations(model, 2**28))
    (maps,) = inputs.importance
    wanted = HumanAlignment(
        stimuli=shown,
        importance=maps,
        canvas=CANVAS_PX,
        region=region,
        channel_reductions=("abs_max",),
    )
    told = wanted.run(wanted.trials(candidate, inputs, 0), bench)
    (result,) = (one for one in told if isinstance(one, Result))
    found = result.rows["alignment"]
    return Row(
        crop,
        region,
        found[0]["unseen_share"],
        fmean(row["spearman"] for row in found),
        fmean(row["null_spearman"] for row in found),
    )


HEADER = ["region", "crop", "unseen share", "alignment", "null", "above null"]


def main() -> None:
    """Prints the table and one JSON object: by region, the range of each over crops."""
    small = quick(__doc__ or "")
    found = sorted(rows(photos(6 if small else None)), key=lambda row: (row.region, row.crop))
    cells = [
        [row.region, f"{row.crop:g}", f"{row.unseen_share:.3f}", f"{row.alignment:.3f}",
         f"{row.null:.3f}", f"{row.alignment - row.null:.3f}"]
        for row in found
    ]  # fmt: skip
    result = {}
    for region in get_args(RegionName):
        own = [row for row in found if row.region == region]
        for name in ("alignment", "null"):
            values = [getattr(row, name) for row in own]
            result[f"{region}_{name}_range"] = max(values) - min(values)
    report(HEADER, cells, result)


if __name__ == "__main__":
    main()
