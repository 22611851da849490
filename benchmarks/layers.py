"""Layers by default, before and now, beside the blocks in each architecture's own description.

    python -m benchmarks.layers [--quick]      # families, and the cost of capturing all of them
    python -m benchmarks.layers --planted      # a recording planted in every layer of the demo's model

Nothing of a family is computed: networks are built on the meta device. Costs are medians of three on
small untrained networks; a ratio is of Gram matrices of every default layer to the bare forward pass.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.capture import forward, measured, photos
from benchmarks.measurement import report, seconds
from zoo_eval.catalog import ModelCard
from zoo_eval.commands.sweep import RunOptions, run_sweep
from zoo_eval.models.blueprint import anatomy_of
from zoo_eval.models.open_model import OpenModel, open_model
from zoo_eval.networks.runs import names_text
from zoo_eval.paths import SweepPath
from zoo_eval.queries.connection import connect
from zoo_eval.representations.representations import Representations
from zoo_eval.sources.registry import source_of
from zoo_eval.stimuli.stimulus_set import StimulusSet
from zoo_eval.store import Store
from zoo_eval.sweep import file as sweep_file

BUDGET = 2**31
N_IMAGES = 64
DEMO = Path("sweeps/demo.toml")
PLANTED_IN = "lite0"


@dataclass(frozen=True)
class Family:
    """An architecture, and how many blocks its paper's table counts, by stage.

    `before`: layers that `blocks` stood for until 0.1, timm's `feature_info` or the outermost modules
    of a repeated kind with their neighbours.
    """

    architecture: str
    blocks: tuple[int, ...]
    before: int


FAMILIES = (
    Family("timm/tf_efficientnet_lite0", (1, 2, 2, 3, 3, 4, 1), 5),
    Family("timm/resnet50", (3, 4, 6, 3), 5),
    Family("timm/convnext_tiny", (3, 3, 9, 3), 4),
    Family("timm/vit_small_patch16_224", (12,), 12),
    Family("timm/swin_tiny_patch4_window7_224", (2, 2, 6, 2), 4),
    Family("timm/mobilenetv3_large_100", (1, 2, 3, 4, 2, 3), 5),
    Family("timm/densenet121", (6, 12, 24, 16), 5),
    Family("timm/inception_v3", (3, 1, 4, 1, 2), 5),
    Family("timm/regnety_004", (1, 3, 6, 6), 5),
    Family("timm/maxvit_tiny_tf_224", (2, 2, 5, 2), 5),
    Family("timm/coatnet_0_rw_224", (2, 3, 7, 2), 5),
    Family("timm/xcit_small_12_p16_224", (12, 2), 12),
    Family("timm/levit_128s", (2, 3, 4), 3),
    Family("timm/nasnetalarge", (6, 1, 6, 1, 6), 5),
    Family("timm/mixer_b16_224", (12,), 12),
    Family("torchvision/resnet50", (3, 4, 6, 3), 16),
    Family("torchvision/densenet121", (6, 12, 24, 16), 7),
    Family("torchvision/efficientnet_b0", (1, 2, 2, 3, 3, 4, 1), 18),
    Family("torchvision/mobilenet_v2", (1, 2, 3, 4, 3, 3, 1), 19),
    Family("torchvision/convnext_tiny", (3, 3, 9, 3), 19),
    Family("torchvision/swin_t", (2, 2, 6, 2), 15),
    Family("torchvision/vit_b_16", (12,), 12),
    Family("torchvision/googlenet", (2, 5, 2), 12),
    # Fire modules; its classifier reads maps, so there are no pooled features.
    Family("torchvision/squeezenet1_1", (8,), 8),
    # Without blocks: the activation functions before the last, which gives the pooled features.
    Family("torchvision/alexnet", (5, 1), 7),
    Family("torchvision/vgg16", (2, 2, 3, 3, 3, 1), 15),
    Family("open_clip/ViT-B-32", (12,), 12),
    Family("open_clip/RN50", (3, 4, 6, 3), 17),
    Family("open_clip/convnext_base", (3, 3, 27, 3), 4),
)
COSTED = ("timm/tf_efficientnet_lite0", "timm/resnet18", "timm/vit_tiny_patch16_224")


def families() -> list[Sequence[object]]:
    """Model, blocks in the source, layers before and now, and which; from networks built anew."""
    rows: list[Sequence[object]] = []
    for one in FAMILIES:
        source = source_of(one.architecture)
        size = source.transform(one.architecture, None).size
        found = anatomy_of(source, one.architecture, size).named["blocks"]
        names = names_text(layer.name for layer in found)
        rows.append([one.architecture, sum(one.blocks), one.before, len(found), names])
    return rows


def cost(architecture: str, n_images: int) -> Sequence[object]:
    """Layers, seconds of the bare pass, ratio of time, growth of memory, and image passes."""
    card = ModelCard(architecture, "timm", architecture, weights="untrained")
    model, shown = open_model(card, torch.device("cpu")), photos(n_images)
    layers = model.blueprint.layers("blocks")
    representations = Representations(model, BUDGET)
    plan = representations.footprint(representations.shapes(shown, layers), len(shown))
    bare = seconds(lambda: forward(model, shown), n_runs=3)
    every = seconds(lambda: captured(model, shown, layers), n_runs=3)
    _, _, of_bare = measured(lambda: forward(model, shown))
    _, _, growth = measured(lambda: captured(model, shown, layers))
    mib = [round(n / 2**20) for n in (of_bare, growth, plan.peak_bytes)]
    return [architecture, len(layers), f"{bare:.2f}", f"{every / bare:.2f}", *mib, plan.n_passes]


def captured(model: OpenModel, shown: StimulusSet, layers: Sequence[str]) -> None:
    """Gram matrices made anew: what was made for one evaluation is kept for the next."""
    Representations(model, BUDGET).grams(shown, layers)


def planted(layer: str) -> dict[str, str]:
    """The best layer of the demo's model, of a recording planted in one of its layers, by readout.

    The readout that predicts best comes first: the leaderboard takes its layer.
    """
    with TemporaryDirectory() as folder:
        sweep = sweep_file.read(DEMO, Path.cwd()).at(SweepPath.of(f"{folder}/store", Path.cwd()))
        recording = sweep.recordings["planted_it"].model_copy(update={"layer": layer})
        local = tuple(model for model in sweep.models.local if model.name == PLANTED_IN)
        fits = tuple(
            one.model_copy(update={"layers": "blocks"})
            for one in sweep.evaluations
            if one.kind == "neural_fit"
        )
        small = sweep.model_copy(
            update={
                "models": sweep.models.model_copy(update={"local": local}),
                "recordings": {"planted_it": recording},
                "evaluations": fits,
            }
        )
        run_sweep(small, RunOptions(runner="local"), lambda line: None)
        rows = connect(Store(f"{folder}/store")).rows(
            "SELECT readout, layer FROM best_layer ORDER BY selection_score DESC"
        )
        return {row["readout"]: row["layer"] for row in rows}


def show_planted() -> None:
    """Every layer of the demo's model, and where it is found."""
    source = source_of("timm/tf_efficientnet_lite0")
    found = anatomy_of(source, "timm/tf_efficientnet_lite0", (224, 224)).named
    skipped = {layer.name.rpartition(".")[0] for layer in found["blocks"]}
    skipped -= {layer.name for layer in found["feature_info"]}
    rows, n_found, n_by_all = [], 0, 0
    for layer in found["blocks"]:
        by_readout = planted(layer.name)
        n_found += next(iter(by_readout.values())) == layer.name
        n_by_all += set(by_readout.values()) == {layer.name}
        in_skipped = layer.name.rpartition(".")[0] in skipped
        best = ", ".join(f"{readout}: {name}" for readout, name in by_readout.items())
        rows.append([layer.name, "yes" if in_skipped else "no", best])
        print(*rows[-1], flush=True)
    report(
        ["planted in", "skipped by feature_info", "best layer, by the best readout first"],
        rows,
        {"planted": len(rows), "found": n_found, "found_by_every_readout": n_by_all},
    )


def main() -> None:
    """Prints the tables, and one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="costs of one network on few photos")
    parser.add_argument("--planted", action="store_true", help="a recording in every layer instead")
    options = parser.parse_args()
    if options.planted:
        show_planted()
        return
    rows = families()
    report(
        ["model", "blocks in the source", "layers before", "layers now", "which"],
        rows,
        {"families": len(rows)},
    )
    costed = COSTED[1:2] if options.quick else COSTED
    costs = [cost(name, 16 if options.quick else N_IMAGES) for name in costed]
    report(
        ["model", "layers", "bare s", "time ratio", "bare MiB", "MiB", "predicted MiB", "passes"],
        costs,
        {"costs": {str(row[0]): row[3] for row in costs}},
    )


if __name__ == "__main__":
    main()
