"""Commits per second, and the time to open a store of many trials before and after it is merged.

    python -m benchmarks.store [--quick]

The last line is JSON with `open_100k_s`: seconds from the address to a connection, of a merged local
store of 100,000 trials (with --quick of a hundredth of them, under another name).
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.planted_rows import ledger_row, result_row
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
from zoo_eval.trial import Trial

TRIALS_PER_COMMIT = 50
WRITERS = (1, 4)


def main(quick: bool) -> None:
    """Measures and prints."""
    n_commits = 20 if quick else 2000
    found: dict[str, Any] = {"trials": n_commits * TRIALS_PER_COMMIT}
    for writers in WRITERS:
        with tempfile.TemporaryDirectory() as folder:
            seconds = timed(lambda f=folder, w=writers: fill(f, min(n_commits, 100), w))  # type: ignore[misc]
            found[f"commits_per_s_{writers}"] = round(min(n_commits, 100) / seconds, 1)
    with tempfile.TemporaryDirectory() as folder:
        fill(folder, n_commits, 1)
        found["open_before_s"] = round(timed(lambda: connect(Store(folder))), 2)
        found["ledger_before_s"] = round(timed(lambda: Store(folder).ledger()), 2)
        found["compact_s"] = round(timed(lambda: Store(folder).compact()), 2)
        name = "open_quick_s" if quick else "open_100k_s"
        found[name] = round(timed(lambda: connect(Store(folder))), 2)
        found["ledger_after_s"] = round(timed(lambda: Store(folder).ledger()), 2)
    print(json.dumps(found))


def fill(folder: str, n_commits: int, writers: int) -> None:
    """Commits planted trials, by some threads, each with a store of its own."""
    Store(folder, create=True)

    def write(writer: int) -> None:
        store = Store(folder)
        for number in range(writer, n_commits, writers):
            commit(store, f"model{number}")

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))


def commit(store: Store, model: str) -> None:
    """One model's trials, one for each layer."""
    trials = [
        Trial("accuracy", 1, "standard", model=model, weights_digest="w", layer=str(layer))
        for layer in range(TRIALS_PER_COMMIT)
    ]
    rows = [result_row("accuracy", trial, top1=0.5) for trial in trials]
    store.commit({"accuracy": rows}, [ledger_row(trial) for trial in trials])


def timed(do: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


if __name__ == "__main__":
    main("--quick" in sys.argv[1:])
