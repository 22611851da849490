"""A generated zoo: planted rows of every kind that the report shows, for as many models as asked for."""

import random
from collections import defaultdict
from typing import Any

from tests.planted_rows import ledger_row, result_row
from zoo_eval.store import Store
from zoo_eval.trial import Trial

N_FOLDS, N_IMAGES = 2, 5
RECORDINGS = ("it", "v4")
# In one commit.
TOGETHER = 50


def fill(store: Store, n_models: int, n_layers: int) -> None:
    """Commits planted rows of what the report shows, some models at a time."""
    random_ = random.Random(0)
    for first in range(0, n_models, TOGETHER):
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        trials: list[dict[str, Any]] = []
        for number in range(first, min(first + TOGETHER, n_models)):
            add_model(rows, trials, number, n_layers=n_layers, random_=random_)
        store.commit(rows, trials)


def add_model(
    rows: dict[str, list[dict[str, Any]]],
    trials: list[dict[str, Any]],
    number: int,
    *,
    n_layers: int,
    random_: random.Random,
) -> None:
    """Rows of one model: the more accurate, the better told, the more tolerant, the less aligned."""
    name, skill = f"timm/generated_{number:04}.a{number % 7}_in1k", 0.2 + 0.6 * random_.random()

    def add(table: str, evaluation: str, several: list[dict[str, Any]], **facts: Any) -> None:
        protocol = facts.pop("protocol", "standard")
        one = Trial(
            evaluation, 1, protocol, model=name, weights_digest=f"w{number}", transform={},
            **{"stimuli": "photos", "stimuli_digest": "p", **facts},
        )  # fmt: skip
        trials.append(ledger_row(one))
        rows[table].extend(result_row(table, one, **row) for row in several)

    def noisy(slope: float) -> float:
        return skill * slope + random_.gauss(0, 0.05)

    add("models", "gate", [{
        "source": "timm", "architecture": f"timm/generated_{number:04}", "family": f"family{number % 60}",
        "n_params": 10**6 + 5_000 * number, "input_px": 224, "gate": "pass", "licence": "apache-2.0",
        "year": 2012 + number % 14, "pretraining": f"recipe {number % 20}", "flops": 10**9 + number,
    }])  # fmt: skip
    add("accuracy", "accuracy", [{
        "top1": skill, "top1_low": skill - 0.02, "top1_high": skill + 0.02, "top5": skill, "n_images": 1000,
    }])  # fmt: skip
    for place in range(n_layers):
        layer, depth = f"blocks.{place // 10}.{place % 10}", (place + 1) / n_layers
        add(
            "layers",
            "layers",
            [{"layer": layer, "depth": depth, "layer_index": place}],
            layer=layer,
        )
        for recording in RECORDINGS:
            best = noisy(0.6) * (1 - (depth - 0.7) ** 2)
            folds = [
                {"fold": fold, "score": best + random_.gauss(0, 0.02), "selection_score": best,
                 "statistic": "pearson_r", "mode": "fit"}
                for fold in range(N_FOLDS)
            ]  # fmt: skip
            add("neural_scores", "neural_fit", folds, layer=layer, readout="ridge", recording=recording,
                recording_digest=recording, protocol="nested")  # fmt: skip
    for norm, attack in (("l2", "ddn"), ("linf", "fmn")):
        attacked = [
            {"stimulus_id": f"s{image}", "status": "found", "norm": norm, "distance": abs(noisy(1.0)) + 0.01,
             "l2": 1.0, "linf": 1.0, "attack": attack}
            for image in range(N_IMAGES)
        ]  # fmt: skip
        add("attacks", "minimal_attack", attacked, attack=attack, protocol="corrected",
            parameters={"norm": norm, "decision": "argmax", "canvas": "own"})  # fmt: skip
    for maps in ("clickme", "others"):
        aligned = [
            {"stimulus_id": f"s{image}", "method": "input_gradient", "channel_reduction": "abs_max",
             "published_reduction": True, "spearman": 0.5 - noisy(0.4), "null_spearman": 0.1}
            for image in range(N_IMAGES)
        ]  # fmt: skip
        add("alignment", "human_alignment", aligned, importance=maps, importance_digest=maps)
