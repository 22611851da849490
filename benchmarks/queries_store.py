"""The store that benchmarks.queries asks: planted scores and attacks, through the product's own store.

    python -m benchmarks.queries_store FOLDER MODELS KIND

MODELS models x 50 layers x 10 folds x 168 targets, and 1,000 attacked images of each model, in one commit
a model, as a sweep would leave them. KIND says whether a score's 168 numbers are `independent` or
`correlated`: then three quarters of their variance are the layer's and the target's own, as of real ones.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.planted_rows import ledger_row, result_row
from zoo_eval.store import Store
from zoo_eval.trial import Trial

LAYERS, FOLDS, TARGETS, IMAGES = 50, 10, 168, 1_000
MEAN, DEVIATION = 0.3, 0.15
N_FAMILIES = 40
TARGET_IDS = [f"it_{number:03d}" for number in range(TARGETS)]
DIGESTS: dict[str, Any] = {
    "stimuli": "photos",
    "stimuli_digest": "5" * 32,
    "recording": "planted",
    "recording_digest": "7" * 32,
}
LENGTHS = ("distance", "l2", "linf", "rms", "relative_l2")
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Planted:
    """One model's rows, drawn by its number."""

    number: int
    kind: str

    @property
    def model(self) -> str:
        return f"local/model_{self.number:04d}"

    @property
    def weights(self) -> str:
        return f"{self.number:032x}"

    def scores(self) -> np.ndarray:
        """Float32 (layer, fold, target)."""
        draw = np.random.default_rng(self.number)
        shape = (LAYERS, FOLDS, TARGETS)
        if self.kind == "independent":
            return draw.normal(MEAN, DEVIATION, shape).astype(np.float32)
        shared = np.random.default_rng(0).normal(size=(1, 1, TARGETS)) * 0.75**0.5
        shared = 0.7 * shared + 0.7 * 0.75**0.5 * draw.normal(size=(LAYERS, 1, TARGETS))
        drawn = MEAN + DEVIATION * (shared + 0.5 * draw.normal(size=shape))
        return np.asarray(drawn, np.float32)

    def commit(self, store: Store) -> None:
        """All of a model, at once."""
        rows, trials = Rows(), list[Trial]()
        for table, row, trial in [*self._card(), *self._neural(), *self._attacked()]:
            rows.setdefault(table, []).append(row)
            if not trials or trials[-1].id != trial.id:
                trials.append(trial)
        store.commit(rows, [ledger_row(one, minute=self.number % 1000) for one in trials])

    def _trial(self, evaluation: str, protocol: str, **more: Any) -> Trial:
        return Trial(
            evaluation, 1, protocol, model=self.model, weights_digest=self.weights,
            transform={"input_px": 224}, **more,
        )  # fmt: skip

    def _card(self) -> Iterator[tuple[str, dict[str, Any], Trial]]:
        trial = self._trial(
            "accuracy", "standard", stimuli="photos", stimuli_digest=DIGESTS["stimuli_digest"]
        )
        top1 = 0.5 + 0.35 * np.sin(self.number)
        card = {"family": f"family_{self.number % N_FAMILIES}", "gate": "pass", "year": 2015}
        yield "models", result_row("models", trial, weights_digest=self.weights, **card), trial
        yield "accuracy", result_row("accuracy", trial, top1=top1, n_images=1000), trial

    def _neural(self) -> Iterator[tuple[str, dict[str, Any], Trial]]:
        scores = self.scores()
        chosen = scores.mean(axis=-1, dtype=np.float64)
        for layer in range(LAYERS):
            name = f"blocks.{layer}"
            trial = self._trial(
                "neural_fit", "nested", layer=name, readout="ridge",
                parameters={"n_folds": FOLDS, "n_inner_folds": 5}, **DIGESTS,
            )  # fmt: skip
            for fold in range(FOLDS):
                r = scores[layer, fold]
                low, high = np.quantile(r, (0.45, 0.55))
                row = result_row(
                    "neural_scores", trial, mode="fit", score_low=low, score_high=high, statistic="pearson_r", fold=fold,
                    score=float(np.median(r)), r=r, target_ids=TARGET_IDS,
                    selection_score=float(np.float32(chosen[layer, fold])), recording="planted",
                    n_stimuli=100,
                )  # fmt: skip
                yield "neural_scores", row, trial

    def _attacked(self) -> Iterator[tuple[str, dict[str, Any], Trial]]:
        trial = self._trial(
            "minimal_attack", "corrected", attack="ddn", stimuli="photos",
            stimuli_digest=DIGESTS["stimuli_digest"],
            parameters={"decision": "argmax", "canvas": "own", "norm": "l2"},
        )  # fmt: skip
        draw = np.random.default_rng(10**6 + self.number)
        l2 = np.exp(draw.normal(-1, 0.5, IMAGES)).astype(np.float32)
        for image, length in enumerate(l2):
            is_found = draw.random() < 0.8
            lengths = (length, length, length / 30, length / 388, length / 150)
            found = dict(zip(LENGTHS, map(float, lengths))) if is_found else {}
            row = result_row(
                "attacks", trial, stimulus_id=f"image_{image:05d}", norm="l2", canvas_px=224,
                status="found" if is_found else "already_wrong", flags=[] if is_found else None,
                label=image, n_forwards=100, n_backwards=50, **found,
            )  # fmt: skip
            yield "attacks", row, trial


def targets(store: Store) -> None:
    """The recording's ceilings and targets."""
    trial = Trial("ceiling", 1, "standard", **DIGESTS)
    ceilings = [
        result_row(
            "ceilings", trial, recording="planted", recording_digest=DIGESTS["recording_digest"],
            estimator="splithalf_spearman_brown", statistic="pearson_r", scale="reliability",
            target=name, ceiling=0.5 + 0.4 * number / TARGETS,
        )
        for number, name in enumerate(TARGET_IDS)
    ]  # fmt: skip
    known = [
        result_row(
            "targets", trial, recording="planted", recording_digest=DIGESTS["recording_digest"],
            target=name, region=("v4", "it")[number % 2], subject="m1", known="{}",
        )
        for number, name in enumerate(TARGET_IDS)
    ]  # fmt: skip
    store.commit({"ceilings": ceilings, "targets": known}, [ledger_row(trial)])


def main(folder: str, n_models: int, kind: str) -> None:
    """Fills a new store."""
    store = Store(folder, create=True)
    targets(store)
    for number in range(n_models):
        Planted(number, kind).commit(store)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
