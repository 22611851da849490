"""spatial_fit of every block of a ResNet-50 beside scikit-learn's PLS on the same rows, in one run.

    python -m benchmarks.spatial_fit [--quick]

Photos are foolbox's, weights untrained, maps planted in a block: 14 images x 289 positions, 32 channels.
Beside the speed, the effect of each defect of the released code on the best block's score.
"""

import resource
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from sklearn.cross_decomposition import PLSRegression
from torch import Tensor

from benchmarks.measurement import quick, report, show
from zoo_eval.catalog import ModelCard
from zoo_eval.evaluations.evaluation import Candidate, Result, Workbench
from zoo_eval.evaluations.spatial_fit import SpatialFit
from zoo_eval.evaluations.spatial_protocols import DEFECTS, PROTOCOLS
from zoo_eval.evaluations.spatial_scores import without_each
from zoo_eval.inputs import Inputs
from zoo_eval.models.open_model import OpenModel, open_model
from zoo_eval.numerics.image_pls import ImageRows, predict
from zoo_eval.numerics.spatial import on_grid
from zoo_eval.paths import SweepPath
from zoo_eval.recordings.planted_spatial import SpatialRecipe, plant
from zoo_eval.recordings.spatial import SpatialMaps
from zoo_eval.recordings.spatial_recording import SpatialRecording
from zoo_eval.representations.position_maps import KeptMaps, PositionMaps, layouts
from zoo_eval.representations.representations import Representations
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.stimuli.stimulus_set import StimulusSet

Rows = npt.NDArray[np.float64]
GRID, N_IMAGES, N_COMPONENTS = (17, 17), 14, 25
PLANTED = "layer3.5"


@dataclass(frozen=True)
class Sizes:
    """What scikit-learn is timed on: which blocks, and of how many folds each."""

    layers: tuple[str, ...] | None = None
    n_folds: int = N_IMAGES


# One block of each width, and one fold of each.
QUICK = Sizes(("layer1.2", "layer2.3", "layer3.5", "layer4.2"), 1)


@dataclass(frozen=True)
class Problem:
    """An open ResNet-50, its photos, and its blocks' maps at the grid."""

    model: OpenModel
    photos: StimulusSet

    @cached_property
    def maps(self) -> Mapping[str, KeptMaps]:
        plan = self.model.blueprint
        found = layouts(plan, plan.layers("blocks"))
        transform = self.model.transform.squashed()
        return PositionMaps(self.model, transform, lambda one: on_grid(one, GRID)).of(
            self.photos, found
        )

    def of(self, layer: str) -> Tensor:
        maps = self.maps[layer].read(layer)
        assert isinstance(maps, Tensor), maps
        return maps

    @cached_property
    def recording(self) -> SpatialRecording:
        recipe = SpatialRecipe(
            "untrained", {}, PLANTED, self.photos.digest, GRID, 10, 32, 4, 2.0, 0
        )
        repeated = plant("planted", self.of(PLANTED).double().numpy(), recipe)
        maps = SpatialMaps(repeated.mean(1), self.photos.ids, recipe.channel_ids, repeated)
        return SpatialRecording("planted", self.photos.name, maps)

    @property
    def responses(self) -> Tensor:
        return torch.from_numpy(self.recording.spatial().maps)

    def scores(self, **choices: object) -> dict[str, list[float]]:
        """What spatial_fit makes of it, by block: image, pixel and selection included."""
        section = SpatialFit.model_validate({"recording": "planted", **choices})
        inputs = Inputs({self.photos.name: self.photos}, {"planted": self.recording})
        candidate = Candidate(self.model.card, self.model.blueprint)
        bench = Workbench(inputs, candidate, self.model, Representations(self.model, 2**33))
        found = {}
        told = section.run(section.trials(candidate, inputs, 0), bench)
        for result in (one for one in told if isinstance(one, Result)):
            rows = result.rows.get("spatial_scores", ())
            found[str(result.trial.layer)] = [
                [row[key] for key in ("score", "ceiling", "map_spearman_quarter")] for row in rows
            ]
        return {layer: np.mean(rows, 0).tolist() for layer, rows in found.items() if rows}


def problem() -> Problem:
    card = ModelCard("local/resnet50", "local", "timm/resnet50", weights="untrained")
    folder = SweepPath.of("package:foolbox/data", None).resolve()
    names = sorted(path.name for path in folder.glob("imagenet_*.jpg"))[:N_IMAGES]
    photos = read_folder("photos", folder, include=names).identified()
    return Problem(open_model(card, torch.device("cpu")), photos)


def our_predictions(maps: Tensor, responses: Tensor) -> list[Rows]:
    """By image held out (position, channel)."""
    rows = ImageRows.of(maps, responses)
    found = predict(rows, without_each(N_IMAGES), N_COMPONENTS)
    return [found.of_image[image][image].numpy() for image in range(N_IMAGES)]


def their_predictions(maps: Rows, responses: Rows, image: int, **settings: float) -> Rows:
    """Scikit-learn's of one image, fitted to the others."""
    rest = np.delete(np.arange(N_IMAGES), image)
    flat = [one.reshape(-1, one.shape[-1]) for one in (maps[rest], responses[rest], maps[image])]
    model = PLSRegression(N_COMPONENTS, scale=False, **settings).fit(*flat[:2])
    predicted: Rows = model.predict(flat[2])
    return predicted


def r(predicted: Rows, observed: Rows) -> Rows:
    """Pearson r (channel,) over positions."""
    found: Rows = np.array(
        [np.corrcoef(p, o)[0, 1] for p, o in zip(predicted.T, observed.T, strict=True)]
    )
    return found


@dataclass(frozen=True)
class Cost:
    """One block: seconds for all folds, ours and scikit-learn's, and the largest difference in r."""

    layer: str
    n_features: int
    ours: float
    theirs: float | None
    n_timed: int
    difference: float | None

    def cells(self) -> list[str]:
        theirs = "" if self.theirs is None else f"{self.theirs:.1f}"
        ratio = "" if self.theirs is None else f"{self.theirs / self.ours:.1f}"
        difference = "" if self.difference is None else f"{self.difference:.1e}"
        timed = str(self.n_timed or "")
        return [self.layer, str(self.n_features), f"{self.ours:.2f}", theirs, timed, ratio, difference]  # fmt: skip


def cost(given: Problem, layer: str, n_folds: int) -> Cost:
    """Both on one block; scikit-learn on so many folds, whose mean stands for all of them."""
    maps, responses = given.of(layer).double(), given.responses
    start = time.perf_counter()
    ours = our_predictions(maps, responses)
    taken = time.perf_counter() - start
    times, differences = [], []
    for image in range(n_folds):
        start = time.perf_counter()
        theirs = their_predictions(maps.numpy(), responses.numpy(), image)
        times.append(time.perf_counter() - start)
        observed = responses[image].flatten(0, 1).numpy()
        differences.append(float(np.abs(r(ours[image], observed) - r(theirs, observed)).max()))
    print(f"{layer}: {taken:.2f} s, scikit-learn {sum(times):.1f} s", file=sys.stderr, flush=True)
    whole = statistics.mean(times) * N_IMAGES if times else None
    return Cost(layer, maps.shape[-1], taken, whole, n_folds, max(differences, default=None))


def defects(given: Problem, layer: str) -> list[list[str]]:
    """Score, ceiling and map Spearman of one block under every protocol."""
    rows = []
    for protocol in PROTOCOLS:
        found = given.scores(protocol=protocol, layers=[layer], selection=False)[layer]
        meaning = DEFECTS.get(protocol.removeprefix("defect_"), "")
        score, ceiling, rho = found
        rows.append([protocol, f"{score:.4f}", f"{ceiling:.4f}", f"{score / ceiling:.4f}", f"{rho:.4f}", meaning])  # fmt: skip
    return rows


def main() -> None:
    """Prints both tables, and the figures as JSON."""
    small = quick(__doc__ or "")
    sizes, given = QUICK if small else Sizes(), problem()
    start = time.perf_counter()
    layers = list(given.maps)
    capturing = time.perf_counter() - start
    assert given.recording.n_stimuli == N_IMAGES
    start = time.perf_counter()
    chosen = given.scores(layers=["layer1.2", PLANTED, "layer4.2"] if small else "blocks")
    whole = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    best = max(chosen, key=lambda layer: chosen[layer][0])
    timed = sizes.layers or tuple(layers)
    costs = [cost(given, layer, sizes.n_folds if layer in timed else 0) for layer in layers]
    compared = [one for one in costs if one.theirs is not None]
    theirs = sum(one.theirs or 0.0 for one in compared)
    ours = sum(one.ours for one in compared)
    exact = their_predictions(
        given.of("layer1.2").double().numpy(),
        given.responses.numpy(),
        0,
        tol=1e-14,
        max_iter=20_000,
    )
    mine = our_predictions(given.of("layer1.2"), given.responses)[0]
    observed = given.responses[0].flatten(0, 1).numpy()
    print(
        f"{N_IMAGES} images x {GRID[0] * GRID[1]} positions, 32 channels planted in {PLANTED}, PLS-"
        f"{N_COMPONENTS}, {torch.get_num_threads()} threads; scikit-learn at its default tolerance on "
        f"{sizes.n_folds} of {N_IMAGES} folds of {len(compared)} of {len(layers)} blocks\n"
    )
    show(["protocol", "score", "ceiling", "ceiled", "map rho, quarter", "meaning"], defects(given, PLANTED))  # fmt: skip
    print()
    report(
        [
            "block",
            "features",
            "ours, s",
            "scikit-learn, s",
            "folds timed",
            "ratio",
            "difference in r",
        ],
        [one.cells() for one in costs],
        {
            "speedup": theirs / ours,
            "smallest_speedup": min((one.theirs or 0.0) / one.ours for one in compared),
            "fits_s": sum(one.ours for one in costs),
            "capture_s": capturing,
            "whole_evaluation_with_selection_s": whole,
            "n_blocks_of_whole_evaluation": len(chosen),
            # Untrained, a block's last normalisation multiplies by zero: a stage's blocks are the same.
            "best_stage": best.partition(".")[0],
            "planted_block": PLANTED,
            "peak_gib": peak / 2**30,
            "max_abs_diff_r_converged": float(np.abs(r(mine, observed) - r(exact, observed)).max()),
        },
    )


if __name__ == "__main__":
    main()
