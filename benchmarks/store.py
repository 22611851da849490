"""Commits per second, and what it takes to open and resume a store of 100,000 trials.

    python -m benchmarks.store [--quick]

2,000 commits of 50 planted trials (with --quick 40), in a local folder and in a bucket of a server of the
S3 protocol on this machine. Open: from the address to what a first query over all trials says. Resume: hold the
store and read what is done. Each after the commits alone, as 0.1.0 left a store (`unmerged`), as a sweep
leaves it now (`as left`), and after `zoo-eval compact` (`merged`). Beside them DuckDB alone, which reads
`trials/*.parquet` of the unmerged folder. The last line is JSON; `open_100k_s` is that of the merged local
store. Exit status 1 above 3 s, or 15 s to resume, or 200 requests merged, or 2,000 as left.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import duckdb

from benchmarks.measurement import quick, report, timed
from tests.planted_rows import commit_layers
from tests.storage import s3_server
from zoo_eval import store as store_module
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

LAYERS = [str(number) for number in range(50)]
N_COMMITS = 2_000
WRITERS = (1, 4, 16)
N_TIMED = 100
UNMERGED = "unmerged"
OPEN_S, RESUME_S, REQUESTS = 3.0, 15.0, 200
HEADER = ("store", "state", "open s", "requests", "resume s", "requests", "objects named")
Row = tuple[str, str, float, int, float, int, int]


def main() -> int:
    """Measures and prints; 1 where a bound is not held."""
    is_quick = quick(__doc__ or "")
    n_commits = 40 if is_quick else N_COMMITS
    os.environ.update(s3_server.KEYS)
    rows, found = list[Row](), dict[str, float]()
    with tempfile.TemporaryDirectory() as folder, s3_server.running() as server:
        for place, uri in (("folder", lambda name: str(Path(folder, name))), ("s3", server.uri)):
            for writers in WRITERS:
                rate = commits_per_s(uri(f"w{writers}"), writers)
                found[f"{place}_commits_per_s_{writers}"] = rate
            rows += states(place, uri, n_commits, server)
        found["duckdb_alone_s"] = round(once(lambda: alone(Path(folder, UNMERGED))), 2)
    merged, left = rows[2], rows[1]
    found |= {("open_quick_s" if is_quick else "open_100k_s"): merged[2], "resume_s": merged[4]}
    found |= {"s3_requests": rows[5][3], "s3_requests_as_left": rows[4][3]}
    report(HEADER, rows, {**found, "trials": n_commits * len(LAYERS)})
    held = merged[2] <= OPEN_S and merged[4] <= RESUME_S and left[4] <= RESUME_S
    return int(not held or rows[5][3] > REQUESTS or rows[4][3] > 10 * REQUESTS)


def states(
    place: str, uri: Callable[[str], str], n_commits: int, server: s3_server.Running
) -> Iterator[Row]:
    """A store after its commits alone, as a sweep leaves it, and merged."""
    with mock.patch.object(store_module, "MERGED_EVERY", sys.maxsize):
        fill(uri(UNMERGED), n_commits)
    yield measured(place, "unmerged", uri(UNMERGED), server)
    fill(uri("a"), n_commits)
    yield measured(place, "as left", uri("a"), server)
    Store(uri("a")).compact()
    yield measured(place, "merged", uri("a"), server)


def measured(place: str, state: str, uri: str, server: s3_server.Running) -> Row:
    """Seconds and requests to open and to resume."""
    n_named = len(Store(uri).contents().snapshot.named())
    with counted(server) as opening:
        open_s = once(lambda: opened(uri))
    with counted(server) as resuming:
        resume_s = once(lambda: resumed(Store(uri)))
    return place, state, round(open_s, 2), opening[0], round(resume_s, 2), resuming[0], n_named


def opened(uri: str) -> None:
    """What a first query asks of a store."""
    connect(Store(uri)).rows("SELECT model, avg(top1) FROM accuracy GROUP BY model")


def resumed(store: Store) -> None:
    """What a sweep asks of its store before it runs anything."""
    with store.claim():
        store.ledger()
        store.contents().weights_digests()


def once(work: Callable[[], object]) -> float:
    """Seconds of the first call: nobody opens a store twice in one process."""
    return timed(work, n_runs=1, warm=False)[0]


@contextmanager
def counted(server: s3_server.Running) -> Iterator[list[int]]:
    """How many requests there were in the block."""
    before, found = server.counts().total(), list[int]()
    yield found
    found.append(server.counts().total() - before)


def commits_per_s(uri: str, writers: int) -> float:
    """Commits of some threads, each with a store of its own, in a second."""
    return round(N_TIMED / once(lambda: fill(uri, N_TIMED, writers)), 1)


def fill(uri: str, n_commits: int, writers: int = 4) -> None:
    """Commits planted trials, one model's at a time."""
    Store(uri, create=True)

    def write(writer: int) -> None:
        store = Store(uri)
        for number in range(writer, n_commits, writers):
            commit_layers(store, f"model{number}", LAYERS)

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))


def alone(folder: Path) -> None:
    """DuckDB's own reading of all files of the trials."""
    duckdb.read_parquet(f"{folder}/trials/*.parquet").to_arrow_table()


if __name__ == "__main__":
    raise SystemExit(main())
