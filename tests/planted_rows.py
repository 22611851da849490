"""Hand-written (planted) rows for stores and views: every required column, and what a test says."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from zoo_eval.store import Store
from zoo_eval.tables import TABLES
from zoo_eval.trial import Trial

MIDNIGHT = datetime(2024, 1, 1, tzinfo=UTC)


def ledger_row(trial: Trial, *, minute: int = 0, **changes: Any) -> dict[str, Any]:
    """A trial's row in the ledger, begun `minute` minutes after midnight; ok unless changed."""
    return {
        **trial.row(),
        "attempt": 1,
        "status": "ok",
        "node": "planted",
        "device": "cpu",
        "seconds": 1.0,
        "peak_host_bytes": 1,
        "library_versions": "{}",
        "code_revision": "planted",
        "started_at": MIDNIGHT + timedelta(minutes=minute),
        **changes,
    }


def failure(message: str = "planted", status: str = "failed") -> dict[str, Any]:
    return {"status": status, "error_type": "Planted", "error_message": message}


def result_row(table: str, trial: Trial, **values: Any) -> dict[str, Any]:
    """A row of a result table with the trial's own columns filled in; counts and shares are 0."""
    zero = {"string": "", "int64": 0, "double": 0.0, "list<item: int64>": [1]}
    row = {c.name: zero.get(str(c.type)) for c in TABLES[table].columns if not c.nullable}
    del row["commit_id"]
    own = {"trial_id": trial.id, **trial.row()}
    own |= {"stimulus_id": "s"}
    return row | {k: v for k, v in own.items() if k in row and v is not None} | values


def commit_layers(store: Store, model: str, layers: Sequence[str], top1: float = 0.5) -> None:
    """Commits a trial, with its accuracy, for each of a model's layers."""
    trials = [
        Trial("accuracy", 1, "standard", model=model, weights_digest="w", layer=layer)
        for layer in layers
    ]
    made = [result_row("accuracy", one, top1=top1) for one in trials]
    store.commit({"accuracy": made}, [ledger_row(one) for one in trials])
