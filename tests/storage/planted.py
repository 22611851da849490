"""Planted stores: a few models' accuracies, in a folder, as this version and as 0.1.0 writes them."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from tests.planted_rows import failure, ledger_row, result_row
from zoo_eval.digests import digest
from zoo_eval.store import MARKER, Store
from zoo_eval.tables import TABLES
from zoo_eval.trial import Trial

TREND = {
    "trend": "x", "subject": "s", "protocol": "p", "parameters": "{}", "seed": 0,
    "stimuli_digest": "d", "statistic": "pearson_r", "estimate": 0.5, "n_models": 3,
    "n_infinite": 0, "n_resamples": 1, "models": ["a"], "measure": "raw",
}  # fmt: skip


def trial(model="a"):
    return Trial(
        "accuracy", 1, "standard", model=model, weights_digest="w", transform={}, stimuli_digest="s"
    )


def rows(*models, top1=0.5):
    return {"accuracy": [result_row("accuracy", trial(m), top1=top1) for m in models]}


def ledger(*models, **changes):
    return [ledger_row(trial(m), **changes) for m in models]


def commit(store, *models, top1=0.5):
    return store.commit(rows(*models, top1=top1), ledger(*models))


def failed(store, *models, attempt=1):
    return store.commit({}, ledger(*models, attempt=attempt, **failure()))


def visible(store):
    """Rows of accuracies that count, as queries see them, and the store's ledger, of one moment."""
    found = Store(store.uri).contents()
    trials = found.read("trials").to_pylist()
    ok = {(row["trial_id"], row["commit_id"]) for row in trials if row["status"] == "ok"}
    rows = found.read("accuracy").to_pylist()
    return [row for row in rows if (row["trial_id"], row["commit_id"]) in ok], found.ledger


def top1s(store):
    """Visible accuracies by model; a model that is seen twice is an error."""
    rows, _ = visible(store)
    assert len({row["model"] for row in rows}) == len(rows)
    return {row["model"]: row["top1"] for row in rows}


def whole(store):
    """Whether every trial that is ok has its row, and every row its trial."""
    rows, ledger = visible(store)
    ok = [trial_id for trial_id, status in ledger.status.items() if status == "ok"]
    return sorted(ok) == sorted(row["trial_id"] for row in rows)


def as_0_1_0(folder: Path, *commits: tuple[dict, list]) -> str:
    """A store as version 0.1.0 wrote it; its address."""
    folder.mkdir(parents=True)
    (folder / MARKER).write_text(json.dumps({"schema_version": 1}))
    for some, trials in commits:
        own = digest(sorted([one["trial_id"], one["attempt"]] for one in trials))
        for table, made in [*some.items(), ("trials", trials)]:
            (folder / table).mkdir(exist_ok=True)
            held = TABLES[table].arrow([{**row, "commit_id": own} for row in made])
            pq.write_table(held, folder / table / f"{own}.parquet", write_page_checksum=True)
    return str(folder)
