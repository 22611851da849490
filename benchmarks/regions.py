"""Four regions beside one: what capture, Gram matrices, ridge and PLS cost, over blocks of a ResNet-18.

    python -m benchmarks.regions [--quick]

One Gram matrix of a layer serves every region. Ridge is fitted once to all targets; PLS apart by region
(`fit_by = ["region"]`), because its components follow every target it is given. `ratio` is of four
regions to one (ridge: medians of three); exit status 1 where capture, Gram matrices and ridge together take more
than 1.1 times as long.
"""

import sys
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.capture import photos
from benchmarks.measurement import quick, report, timed
from zoo_eval.catalog import ModelCard
from zoo_eval.models.open_model import open_model
from zoo_eval.numerics import protocols
from zoo_eval.numerics.protocols import FoldScore
from zoo_eval.numerics.solvers import Pls, Ridge, Solver
from zoo_eval.readouts.ridge import ALPHAS
from zoo_eval.representations.grams import LayerGram
from zoo_eval.representations.representations import Representations

BUDGET = 2**32
# As many as Majaj and Hong 2015 have in IT.
N_TARGETS = 168
N_REGIONS = 4
N_IMAGES, QUICK_IMAGES = 512, 96
MOST = 1.1
N_RUNS = 3
N_LATENT = 40


def main() -> None:
    """Prints seconds for one region and for four, and their ratio."""
    n_images = QUICK_IMAGES if (is_quick := quick(__doc__ or "")) else N_IMAGES
    captured_s, grams = timed(partial(_captured, n_images), n_runs=1, warm=False)
    responses = _responses(next(iter(grams.values())))
    found: dict[str, tuple[float, float]] = {"capture and Gram matrices": (captured_s, captured_s)}
    readouts: tuple[tuple[str, Solver, int], ...] = (
        ("ridge", Ridge(ALPHAS), N_RUNS),
        ("PLS", Pls(25, choose=True), 1),
    )
    for name, solver, n_runs in readouts:
        one, four = (
            timed(
                partial(_fitted, grams, responses[:, : N_TARGETS * n], solver, name == "PLS"),
                n_runs=n_runs,
                warm=False,
            )[0]
            for n in (1, N_REGIONS)
        )
        found[name] = (one, four)
    shared = [found["capture and Gram matrices"], found["ridge"]]
    found["capture, Gram matrices and ridge"] = (
        sum(one for one, _ in shared),
        sum(four for _, four in shared),
    )
    ratios = {name: four / one for name, (one, four) in found.items()}
    rows = [
        [name, f"{one:.2f}", f"{four:.2f}", f"{ratios[name]:.3f}"]
        for name, (one, four) in found.items()
    ]
    ratio = ratios["capture, Gram matrices and ridge"]
    facts = {"images": n_images, "blocks": len(grams), "ratio": ratio, "pls_ratio": ratios["PLS"]}
    report(["", "one region s", "four regions s", "ratio"], rows, facts)
    if ratio > MOST and not is_quick:
        sys.exit(f"four regions may cost {MOST} times one region at most")


def _captured(n_images: int) -> Mapping[str, LayerGram]:
    """Gram matrices of every block, made anew."""
    card = ModelCard("resnet18", "timm", "timm/resnet18", weights="untrained")
    model = open_model(card, torch.device("cpu"))
    grams = Representations(model, BUDGET).grams(photos(n_images), model.blueprint.layers("blocks"))
    return {layer: gram for layer, gram in grams.items() if isinstance(gram, LayerGram)}


def _responses(gram: LayerGram) -> Tensor:
    """Planted, (stimulus, target): directions among the first block's components, and noise."""
    rng = np.random.default_rng(0)
    values, vectors = np.linalg.eigh(gram.gram.numpy())
    signal = vectors[:, -N_LATENT:] * values[-N_LATENT:].clip(min=0) ** 0.5
    signal = signal @ rng.standard_normal((N_LATENT, N_TARGETS * N_REGIONS))
    signal /= signal.std(0)
    return torch.from_numpy(signal + rng.standard_normal(signal.shape))


def _fitted(
    grams: Mapping[str, LayerGram], responses: Tensor, solver: Solver, apart: bool
) -> list[list[FoldScore]]:
    """Every block's scores; region by region where they are fitted apart."""
    starts = range(0, responses.shape[1], N_TARGETS if apart else responses.shape[1])
    parts = [responses[:, start : start + starts.step] for start in starts]
    groups = [str(row) for row in range(len(responses))]
    return [
        protocols.nested(gram.gram, part, groups, solver, n_folds=5, n_inner_folds=4, seed=0)
        for gram in grams.values()
        for part in parts
    ]


if __name__ == "__main__":
    main()
