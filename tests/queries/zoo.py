"""A planted zoo: a store of random numbers whose raw rows a test can reckon with by itself."""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.planted_rows import ledger_row, result_row
from zoo_eval.store import Store
from zoo_eval.trial import Trial

LAYERS = {"stem": 0.08, "middle": 0.5, "late": 0.81, "head": 1.0}
TARGETS = {"a0": "V4", "a1": "V4", "a2": "V4", "b0": "IT", "b1": "IT"}


@dataclass
class Zoo:
    """Rows that are collected, and committed at once."""

    store: Store
    seed: int = 0
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    trials: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def add(
        self, evaluation: str, table: str, rows: Sequence[dict[str, Any]] = ({},), **facts: Any
    ) -> None:
        """A trial with these rows; `ledger` holds changes of its row in the ledger."""
        ledger = facts.pop("ledger", {})
        identity = {"weights_digest": "w", "architecture": "x", "transform": {}}
        one = Trial(
            evaluation,
            facts.pop("version", 1),
            facts.pop("protocol", "planted"),
            **{**(identity if facts.get("model") else {}), "stimuli": "photos", "stimuli_digest": "p", **facts},
        )  # fmt: skip
        if ledger.get("status", "ok") == "ok":
            self.rows[table] += [result_row(table, one, **row) for row in rows]
        self.trials.append(ledger_row(one, **ledger))

    def commit(self) -> Store:
        self.store.commit(self.rows, self.trials)
        return self.store

    def card(self, model: str, **facts: Any) -> None:
        row = {"gate": "pass", "source": "local", "weights_digest": "w", "n_params": 1000, **facts}
        self.add("gate", "models", [row], model=model)

    def accuracy(self, model: str, top1: float | None = None) -> None:
        share = float(self.random.integers(0, 20) / 20) if top1 is None else top1
        self.add("accuracy", "accuracy", [{"top1": share, "n_images": 20}], model=model)

    def depths(self, model: str) -> None:
        for layer, depth in LAYERS.items():
            self.add("layers", "layers", [{"layer": layer, "depth": depth}], model=model, layer=layer)  # fmt: skip

    def fit(
        self, model: str, *, scores: Sequence[float | None] | None = None, **facts: Any
    ) -> None:
        """Three folds of every layer; with `scores`, these in each."""
        facts = {
            "recording": "it",
            "recording_digest": "r",
            "readout": "pls",
            "mode": "fit",
            **facts,
        }
        mode = facts.pop("mode")
        for layer in LAYERS:
            rows = []
            for fold in range(3):
                r = self.random.normal(0.4, 0.2, len(TARGETS)).astype(np.float32)
                r[self.random.random(len(r)) < 0.1] = np.nan
                score = float(np.nanmedian(r)) if scores is None else scores[fold]
                rows.append(
                    {
                        "layer": layer, "fold": fold, "score": score, "r": r.tolist(), "mode": mode,
                        "selection_score": float(self.random.normal(0.4, 0.2)),
                        "target_ids": list(TARGETS), "statistic": "pearson_r",
                    }
                )  # fmt: skip
            self.add("neural_fit", "neural_scores", rows, model=model, layer=layer, protocol="nested", **facts)  # fmt: skip

    def targets(self, **facts: Any) -> None:
        facts = {"recording": "it", "recording_digest": "r", **facts}
        rows = [{"target": t, "region": region, "known": "{}"} for t, region in TARGETS.items()]
        self.add("targets", "targets", rows, model=None, **facts)

    def spatial(self, model: str) -> None:
        rows = [
            {
                "layer": layer, "stimulus_id": f"s{n}", "score": float(self.random.normal(0.3, 0.1)),
                "selection_score": float(self.random.normal(0.3, 0.1)), "r": [], "channel_ids": [],
            }
            for layer in LAYERS
            for n in range(4)
        ]  # fmt: skip
        self.add("spatial_fit", "spatial_scores", rows, model=model, recording="maps", recording_digest="m", protocol="corrected")  # fmt: skip

    def attack(
        self, model: str, distances: Sequence[float] | None = None, *, aligned: Any = "random", **facts: Any
    ) -> None:  # fmt: skip
        """Six images, bound hits infinitely far, with alignments unless None."""
        if distances is None:
            some = self.random.uniform(0.5, 3, 6).round(1)
            distances = [math.inf if self.random.random() < 0.2 else float(d) for d in some]
        attacks, alignments = [], []
        for n, distance in enumerate(distances):
            found = {"distance": distance, "l2": distance} if distance < math.inf else {}
            status = "found" if found else "bound_hit"
            attacks.append({"stimulus_id": f"s{n}", "status": status, "norm": "l2", "attack": "ddn", **found})  # fmt: skip
            value = float(self.random.normal(0.2, 0.3)) if aligned == "random" else aligned
            alignments.append(
                {
                    "stimulus_id": f"s{n}", "method": "ddn", "channel_reduction": "abs_of_mean",
                    "published_reduction": True, "spearman": value, "null_spearman": 0.1,
                }
            )  # fmt: skip
        parameters = {"norm": "l2", "decision": "argmax", "canvas": "own"}
        self.add("minimal_attack", "attacks", attacks, model=model, attack="ddn", parameters=parameters, protocol="corrected", importance="maps", importance_digest="i", **facts)  # fmt: skip
        if aligned is not None:
            last = self.trials[-1]
            self.rows["alignment"] += [
                {"trial_id": last["trial_id"], "model": model, **row} for row in alignments
            ]

    def model(self, name: str, **card: Any) -> None:
        """Everything of one model."""
        self.card(name, **card)
        self.accuracy(name)
        self.depths(name)
        for readout, mode in (
            ("pls", "fit"), ("ridge", "fit"), ("rsa", "similarity"), ("reverse_pls", "reverse"),
        ):  # fmt: skip
            self.fit(name, readout=readout, mode=mode)
        self.fit(name, recording="v4", recording_digest="r4")
        self.spatial(name)
        self.attack(name)


def planted(store: Store, n_models: int = 9, seed: int = 0) -> Store:
    """Models of three families and some years, each with every evaluation."""
    zoo = Zoo(store, seed)
    for n in range(n_models):
        zoo.model(
            f"m{n}",
            family=("resnet", "vit", "convnext")[n % 3],
            architecture=f"x{n // 2}",
            year=(2016, 2020, 2020, None)[n % 4],
            n_params=int(10 ** (3 + n % 5)),
            pretraining=("ImageNet-1k", "ImageNet-1k", "LAION")[n % 3] if n != 4 else None,
            graded_from=json.dumps({"prune": 0.2}) if n == 7 else None,
        )
    zoo.targets()
    return zoo.commit()
