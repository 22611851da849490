"""How long questions take of a store of 168 million scores, what they need, and the bytes of a score.

    python -m benchmarks.queries [--quick]

2,000 planted models x 50 layers x 10 folds x 168 targets, and 2 million attacked images (with --quick 200
models), written by the product's own Store: scores normal(0.3, 0.15), float32, not rounded, independent; a
second, smaller store has correlated ones, for its bytes alone. Asked in a process of its own, as a sweep leaves it and
compacted: connect and `leaderboard` together, then every view and shipped question, each computed whole
(a hash of every column of every row). Peak is of that process (ru_maxrss). Beside it plain DuckDB, on its
own connection and without a limit of memory: scores of the best layers by `read_parquet` over the same files, and
the mean of each target over folds by `unnest`. The last line is JSON. Exit status 1 above 1 s for leaderboard
(5 s as left), 10 s for any question, 4 GiB or 3.7 bytes a score; with --quick above these too, at a tenth.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import queries_store
from benchmarks.measurement import quick, report, timed
from zoo_eval.queries.compacting import compact
from zoo_eval.queries.connection import Connection, connect
from zoo_eval.store import Store
from zoo_eval.tables import VIEWS

N_MODELS = 2_000
LEADERBOARD_S, AS_LEFT_S, SLOWEST_S, PEAK_GIB, BYTES = 1.0, 5.0, 10.0, 4.0, 3.7
HEADER = ("asked", "as left s", "compacted s", "plain DuckDB s")
# What plain DuckDB is asked, of the files of the compacted store.
RIVALS = {
    "leaderboard": "SELECT model, readout, fold, arg_max(score, selection_score) "
    "FROM read_parquet('{}/neural_scores/segment-*.parquet') GROUP BY ALL",
    "neural_targets": "SELECT count(*), sum(r) FROM (SELECT trial_id, target, avg(r) AS r FROM "
    "(SELECT trial_id, unnest(target_ids) AS target, unnest(r) AS r "
    "FROM read_parquet('{}/neural_scores/segment-*.parquet')) GROUP BY ALL)",
}


def main() -> int:
    """Measures and prints; 1 where a bound is not held."""
    if sys.argv[1:2] == ["--asked"]:
        print(json.dumps(asked(sys.argv[2])))
        return 0
    n_models = N_MODELS // 10 if quick(__doc__ or "") else N_MODELS
    with tempfile.TemporaryDirectory() as folder:
        correlated = filled(Path(folder, "correlated"), n_models // 10, "correlated")
        compact(Store(str(correlated)), 0.0)
        store = filled(Path(folder, "store"), n_models, "independent")
        left = in_another_process(store)
        compact(Store(str(store)), 0.0)
        merged = in_another_process(store)
        rivals = {name: rival(sql.format(store)) for name, sql in RIVALS.items()}
        found = summary(left, merged) | {
            "bytes_per_score": bytes_per_score(store, n_models),
            "bytes_per_correlated_score": bytes_per_score(correlated, n_models // 10),
            "models": n_models,
        }
    rows = [(name, left["s"][name], s, rivals.get(name, "")) for name, s in merged["s"].items()]
    report(HEADER, rows, found)
    return int(not held(found))


def filled(folder: Path, n_models: int, kind: str) -> Path:
    """A new store, made in another process: what that takes is not measured."""
    command = [sys.executable, "-m", queries_store.__name__, str(folder), str(n_models), kind]
    subprocess.run(command, check=True)
    return folder


def in_another_process(store: Path) -> dict[str, Any]:
    """What `asked` finds, its last line."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.queries", "--asked", str(store)],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def asked(store: str) -> dict[str, Any]:
    """Seconds of each question, and the peak of this process in GiB."""
    first, connection = timed(lambda: opened(store), n_runs=1, warm=False)
    seconds = {"leaderboard": first}
    for name, sql in whole():
        seconds[name] = timed(partial(connection.query, sql), n_runs=1, warm=False)[0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"s": {name: round(s, 2) for name, s in seconds.items()}, "gib": round(peak, 2)}


def opened(store: str) -> Connection:
    """From the address to the leaderboard."""
    connection = connect(Store(store))
    connection.query("SELECT * FROM leaderboard")
    return connection


def whole() -> Iterator[tuple[str, str]]:
    """All views and questions, so that each column of each row is computed and none is kept."""
    for name in VIEWS:
        if name != "leaderboard":
            yield name, f"SELECT bit_xor(hash(COLUMNS(*))) FROM {name}"
    for name, sql in questions().items():
        yield name, f"SELECT bit_xor(hash(COLUMNS(*))) FROM ({sql})"


def questions() -> dict[str, str]:
    """The SQL of the shipped questions."""
    folder = resources.files("zoo_eval.queries") / "questions"
    files = sorted(folder.iterdir(), key=lambda one: one.name) if folder.is_dir() else []
    return {one.name.removesuffix(".sql"): one.read_text() for one in files}


def rival(sql: str) -> float:
    """Seconds that plain DuckDB takes."""
    with duckdb.connect() as plain:
        return round(timed(lambda: plain.sql(sql).fetchall(), n_runs=1, warm=False)[0], 2)


def bytes_per_score(store: Path, n_models: int) -> float:
    """All bytes of a store's files by its scores."""
    n_bytes = sum(os.stat(one).st_size for one in store.rglob("*") if one.is_file())
    shape = queries_store.LAYERS * queries_store.FOLDS * queries_store.TARGETS
    return round(n_bytes / (n_models * shape), 3)


def summary(left: dict[str, Any], merged: dict[str, Any]) -> dict[str, Any]:
    """The figures that are compared."""
    slowest = max(merged["s"], key=lambda name: merged["s"][name])
    return {
        "leaderboard_s": merged["s"]["leaderboard"],
        "leaderboard_as_left_s": left["s"]["leaderboard"],
        "slowest_query": slowest,
        "slowest_query_s": merged["s"][slowest],
        "peak_gib": max(left["gib"], merged["gib"]),
    }


def held(found: dict[str, Any]) -> bool:
    """Whether all bounds are."""
    return bool(
        found["leaderboard_s"] <= LEADERBOARD_S
        and found["leaderboard_as_left_s"] <= AS_LEFT_S
        and found["slowest_query_s"] <= SLOWEST_S
        and found["peak_gib"] <= PEAK_GIB
        and found["bytes_per_score"] <= BYTES
    )


if __name__ == "__main__":
    raise SystemExit(main())
