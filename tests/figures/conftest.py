"""A store with hand-written (planted) rows of six models, of which every figure can be drawn."""

import numpy as np
import pytest

from tests.planted_rows import ledger_row, result_row
from zoo_eval.figures.figure import Figure
from zoo_eval.figures.shown import figures
from zoo_eval.pictures import png
from zoo_eval.queries.connection import Connection, connect
from zoo_eval.store import Store
from zoo_eval.trial import Trial

HOSTILE = "local/<b>\"'\\\x1b[31m\u202e</script>"
# Model: top-1, score, tolerance, alignment; infinite is an attack that never succeeds.
MODELS = {
    "timm/base.a1": (0.8, 0.50, 0.2, 0.1),
    "timm/better": (0.9, 0.30, float("inf"), 0.05),
    "timm/blank": (0.1, 0.20, 0.5, 0.0),
    "timm/worse": (0.7, 0.45, 0.1, 0.2),
    "local/human": (0.75, 0.60, 0.4, 0.5),
    HOSTILE: (0.5, 0.40, 0.3, 0.15),
}
CARDS = {
    "timm/blank": {"gate": "exempt", "gate_reason": "untrained on purpose"},
    "timm/worse": {"graded_from": '{"noise": 0.1}'},
    "local/human": {"harmonized_from": "timm/base.a1"},
}
LAYERS = {"stem": 0.1, "blocks.1": 0.5, "head": 1.0}
N_FOLDS = 3
PX = 8


def trial(evaluation: str, model: str | None, **facts) -> Trial:
    own = {} if model is None else {"weights_digest": f"w {model}", "transform": {}}
    facts = {"protocol": "standard", "stimuli": "photos", "stimuli_digest": "p"} | facts
    return Trial(evaluation, 1, facts.pop("protocol"), model=model, **own, **facts)


def add(store: Store, one: Trial, **tables) -> None:
    rows = {name: [result_row(name, one, **row) for row in some] for name, some in tables.items()}
    store.commit(rows, [ledger_row(one)])


def add_accuracy(store: Store, model: str, top1: float) -> None:
    card = {"gate": "pass", "gate_reason": "", **CARDS.get(model, {})}
    add(store, trial("gate", model), models=[card])
    ends = {"top1_low": top1 - 0.05, "top1_high": top1 + 0.05}
    add(store, trial("accuracy", model), accuracy=[{"top1": top1, **ends, "n_images": 100}])


def add_scores(store: Store, model: str, score: float) -> None:
    """`score` at the middle layer, which is chosen, plus and minus 0.01 from fold to fold."""
    for place, (layer, depth) in enumerate(LAYERS.items()):
        one = trial(
            "neural_fit", model, layer=layer, readout="pls", recording="it", recording_digest="r"
        )
        here = score if layer == "blocks.1" else score / 2
        folds = [
            {"recording": "it", "layer": layer, "readout": "pls", "protocol": "standard",
             "statistic": "pearson_r", "fold": fold, "score": here + 0.01 * (fold - 1),
             "selection_score": here}
            for fold in range(N_FOLDS)
        ]  # fmt: skip
        add(store, one, neural_scores=folds)
        at = {"layer": layer, "layer_index": place, "depth": depth}
        add(store, trial("layers", model, layer=layer), layers=[at])


def add_attacks(store: Store, model: str, tolerance: float, alignment: float) -> None:
    one = trial(
        "minimal_attack", model, protocol="corrected", attack="ddn", importance="clickme",
        importance_digest="i", parameters={"decision": "argmax", "importance": {"planted": True}},
    )  # fmt: skip
    found = np.isfinite(tolerance)
    pixels = np.full((PX, PX, 3), 128, np.uint8)
    attack = {"attack": "ddn", "norm": "l2", "status": "found" if found else "bound_hit"}
    attack |= {"distance": tolerance, "l2": tolerance} if found else {}
    picture = {
        "attack": "ddn",
        "shape": [3, PX, PX],
        "photo": png(pixels),
        "human_map": png(pixels[..., 0]),
    }
    picture["perturbation"] = np.full(3 * PX * PX, 0.01, np.float16)
    add(
        store, one, attacks=[attack | {"label": 7, "adversarial_prediction": 9}],
        perturbations=[picture] if found else [],
        alignment=[{"method": "ddn", "channel_reduction": "abs_of_mean", "importance": "clickme",
                    "spearman": alignment, "null_spearman": 0.02, "human_ceiling": 0.6}],
    )  # fmt: skip


def add_maps(store: Store, model: str, score: float) -> None:
    facts = {
        "layer": "blocks.1",
        "recording": "v4",
        "recording_digest": "m",
        "protocol": "corrected",
    }
    named = {"recording": "v4", "layer": "blocks.1"}
    grid = {
        "n_rows": 2,
        "n_columns": 3,
        "predicted": [0.0, 1, 2, 3, 4, 5],
        "neural": [1.0, 1, 2, 3, 4, 4],
    }
    scores = {"score": score, "selection_score": score, "ceiling": 0.9, "protocol": "corrected"}
    add(
        store, trial("spatial_fit", model, **facts),
        spatial_scores=[{**named, **scores, "r": [score], "channel_ids": ["c"]}],
        spatial_maps=[{**named, **grid}],
    )  # fmt: skip


def add_ceiling(store: Store) -> None:
    for estimator in ("planted_exact", "splithalf_spearman_brown"):
        one = trial(
            "ceilings", None, recording="it", recording_digest="r", parameters={"of": estimator}
        )
        row = {"recording": "it", "estimator": estimator, "statistic": "pearson_r"}
        add(store, one, ceilings=[{**row, "scale": "reliability", "target": "t", "ceiling": 0.81}])


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Store:
    store = Store(str(tmp_path_factory.mktemp("figures") / "store"), create=True)
    for model, (top1, score, tolerance, alignment) in MODELS.items():
        add_accuracy(store, model, top1)
        add_scores(store, model, score)
        add_attacks(store, model, tolerance, alignment)
        add_maps(store, model, score)
    add_ceiling(store)
    return store


@pytest.fixture(scope="session")
def connection(store) -> Connection:
    return connect(store)


@pytest.fixture(scope="session")
def drawn(connection) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures(connection)}
