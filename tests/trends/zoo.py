"""A planted zoo: 40 models of ten families whose statistics are known from its arrays."""

import numpy as np

from tests.queries.test_alignment_views import PARAMETERS, align
from tests.queries.test_views import accuracy, add, ceiling
from zoo_eval.store import Store

N_FAMILIES = 10
FAMILIES = [f"family{i % N_FAMILIES}" for i in range(40)]
MODELS = [f"local/m{i:02d}" for i in range(40)]
_RNG = np.random.default_rng(3)
_LEVEL = _RNG.standard_normal(N_FAMILIES)
X = 0.2 + 0.6 / (1 + np.exp(-_LEVEL[np.arange(40) % N_FAMILIES] - _RNG.standard_normal(40)))
# Rises to 0.55, falls beyond.
Y = 0.5 - 2 * (X - 0.55) ** 2 + 0.02 * _RNG.standard_normal(40)
TOLERANCE = np.exp(2 * X + 0.2 * _RNG.standard_normal(40))
ALIGNMENT = 0.6 - 0.5 * X + 0.05 * _RNG.standard_normal(40)
N_TARGETS = 8
TARGETS = [f"t{i}" for i in range(N_TARGETS)]


def card(store, model, family, **facts):
    row = {
        "gate": "pass",
        "source": "local",
        "weights_digest": "w",
        "architecture": f"timm/{family}",
    }
    add(store, "gate", "models", [{**row, "family": family, **facts}], model=model)


def facts(i):
    """Of the last family each model has the architecture of the one before it, on other data."""
    return {
        "n_params": 10**6 * (1 + i // N_FAMILIES) * (1 + i % N_FAMILIES),
        "input_px": 224,
        "pretraining": "in1k" if i < 30 else "in21k",
        "year": 2012 + (i * 7) % 11,
    }


def neural(store, model, value, shift=0.0, recording="it"):
    r = [value + shift * (t - (N_TARGETS - 1) / 2) for t in range(N_TARGETS)]
    rows = [
        {"fold": fold, "score": value, "selection_score": 0.1, "statistic": "pearson_r", "mode": "fit",
         "target_ids": TARGETS, "r": r, "undefined": [""] * N_TARGETS, "layer": "l",
         "recording": recording, "readout": "pls"}
        for fold in range(2)
    ]  # fmt: skip
    add(store, "neural_fit", "neural_scores", rows, model=model, layer="l", readout="pls",
        recording=recording, recording_digest=recording, protocol="nested")  # fmt: skip


def attacks(store, model, distances):
    rows = [
        {"stimulus_id": f"s{k}", "norm": "l2", "status": "found" if np.isfinite(d) else "bound_hit",
         **({"distance": d, "l2": d} if np.isfinite(d) else {})}
        for k, d in enumerate(distances)
    ]  # fmt: skip
    add(store, "minimal_attack", "attacks", rows, model=model, attack="ddn", protocol="corrected",
        parameters=PARAMETERS)  # fmt: skip


def model(store, i, **changes):
    """Commits all that model `i` has; `changes` are of its card."""
    card(store, MODELS[i], FAMILIES[i], **{**facts(i), **changes})
    accuracy(store, MODELS[i], float(X[i]))
    neural(store, MODELS[i], float(Y[i]), shift=0.01)
    attacks(store, MODELS[i], TOLERANCE[i] * np.array([0.9, 0.95, 1.0, 1.05, 1.1, 1.0 + 0.001 * i]))
    align(store, [float(ALIGNMENT[i]) + d for d in (-0.01, 0, 0.01, -0.02, 0.02)], model=MODELS[i])


class Together:
    """A store that is written to once, at the end."""

    def __init__(self, store):
        self._store, self._rows, self._trials = store, {}, []

    def commit(self, rows, trials):
        for table, some in rows.items():
            self._rows.setdefault(table, []).extend(some)
        self._trials.extend(trials)

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        if not any(raised):
            self._store.commit(self._rows, self._trials)


def made(path, n=40) -> Store:
    store = Store(str(path), create=True)
    with Together(store) as together:
        for i in range(n):
            model(together, i)
    return store


def with_ceiling(store) -> Store:
    ceiling(store, list(np.linspace(0.5, 0.9, N_TARGETS)), recording_digest="it")
    return store
