"""Many writers, readers and compactions on one store in a bucket where requests go wrong.

    python -m tests.storage.storm [--writers N] [--commits N] [--readers N] [--faults SHARE]

Writers commit planted trials, some of them another's too; one is killed now and then, and goes on from
where it was. Readers query all the time. At the end everything that a writer was told is committed is
there, once and whole. Exit status 1 where it is not.
"""

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.planted_rows import commit_layers
from tests.storage import s3_server
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

SPAWN = multiprocessing.get_context("spawn")
LAYERS = ("a", "b", "c")
# A share of the commits is made by two writers.
CONTESTED = 0.1
GRACE_S = 240.0
READ_EVERY_S = 5.0
HALVES = (
    "SELECT model FROM (SELECT model, count(*) AS n, count(DISTINCT top1) AS commits FROM accuracy "
    f"GROUP BY model) WHERE n <> {len(LAYERS)} OR commits <> 1"
)
UNEQUAL = (
    "SELECT trial_id FROM (SELECT trial_id, count(*) AS n FROM trials WHERE status = 'ok' "
    "GROUP BY trial_id) FULL JOIN (SELECT trial_id, count(*) AS m FROM accuracy GROUP BY trial_id) "
    "USING (trial_id) WHERE n IS DISTINCT FROM 1 OR m IS DISTINCT FROM 1"
)


@dataclass(frozen=True)
class Storm:
    """What is done to the store at `uri`; `folder` is where each process says what it did."""

    uri: str
    folder: Path
    writers: int
    commits: int
    readers: int
    compaction_s: float
    kill_s: float


def said(storm: Storm, name: str) -> list[Any]:
    """What a process has said, a line each; a line that was cut off was not said."""
    file = storm.folder / name
    lines = file.read_text().split("\n")[:-1] if file.exists() else []
    return [json.loads(line) for line in lines]


@contextmanager
def saying(storm: Storm, name: str) -> Iterator[Callable[[Any], None]]:
    with (storm.folder / name).open("a") as file:

        def say(told: Any) -> None:
            file.write(json.dumps(told) + "\n")
            file.flush()

        try:
            yield say
        except Exception as error:
            with (storm.folder / "errors").open("a") as errors:
                errors.write(json.dumps(f"{name}: {type(error).__name__}: {error}") + "\n")
            raise


def write(storm: Storm, number: int) -> None:
    """Commits what this writer has not yet been told is committed."""
    name = f"writer-{number}"
    begun = len(said(storm, name))
    with saying(storm, name) as say:
        store, chance = Store(storm.uri), random.Random(f"{number} {begun}")
        for n in range(begun, storm.commits):
            model = f"{number}-{n}"
            commit_layers(store, model, LAYERS, chance.random())
            say(model)
            if chance.random() < CONTESTED:
                commit_layers(store, f"{(number + 1) % storm.writers}-{n}", LAYERS, chance.random())


def read(storm: Storm, number: int) -> None:
    """Queries again and again, until there is a file that ends it."""
    name = f"reader-{number}"
    with saying(storm, name) as say:
        seen = 0
        while not (storm.folder / "end").exists():
            connection = connect(Store(storm.uri))
            assert connection.rows(HALVES) == [], "half a commit"
            assert connection.rows(UNEQUAL) == [], "a trial without its rows"
            (row,) = connection.rows("SELECT count(*) AS n FROM accuracy")
            assert row["n"] >= seen, "rows are gone"
            seen = row["n"]
            say(seen)
            time.sleep(READ_EVERY_S)


def compact(storm: Storm, number: int) -> None:
    """Compacts now and then; a short grace, but longer than a reader takes where all share a processor."""
    with saying(storm, f"compaction-{number}") as say:
        while not (storm.folder / "end").exists():
            done = Store(storm.uri).compact(grace_s=GRACE_S)
            say([done.n_files, done.n_segments, done.n_removed, done.is_other])
            time.sleep(storm.compaction_s)


def start(storm: Storm, act: Callable[[Storm, int], None], number: int) -> BaseProcess:
    process = SPAWN.Process(target=act, args=(storm, number))
    process.start()
    return process


def rage(storm: Storm) -> dict[str, Any]:
    """Lets it rage until every writer is done; what is wrong then, and what there was."""
    Store(storm.uri, create=True)
    others = [start(storm, read, number) for number in range(storm.readers)]
    others += [start(storm, compact, number) for number in range(2)]
    writers = {number: start(storm, write, number) for number in range(storm.writers)}
    n_killed, next_kill, chance = 0, time.monotonic() + storm.kill_s, random.Random(0)
    began = time.monotonic()
    while running := [number for number, one in writers.items() if one.is_alive()]:
        time.sleep(0.2)
        if time.monotonic() > next_kill:
            number = chance.choice(running)
            writers[number].kill()
            writers[number].join()
            writers[number] = start(storm, write, number)
            n_killed, next_kill = n_killed + 1, time.monotonic() + storm.kill_s
    seconds = time.monotonic() - began
    (storm.folder / "end").touch()
    for one in [*others, *writers.values()]:
        one.join()
    return {"seconds": round(seconds), "killed": n_killed, **_judged(storm)}


def _judged(storm: Storm) -> dict[str, Any]:
    names = [f"writer-{number}" for number in range(storm.writers)]
    told = {model for name in names for model in said(storm, name)}
    connection = connect(Store(storm.uri))
    there = [row["model"] for row in connection.rows("SELECT model FROM accuracy")]
    compactions = [one for n in range(2) for one in said(storm, f"compaction-{n}")]
    return {
        "commits": len(told),
        "lost": len(told - set(there)) + storm.writers * storm.commits - len(told),
        "doubled": len(there) - len(LAYERS) * len(set(there)),
        "halves": len(connection.rows(HALVES)) + len(connection.rows(UNEQUAL)),
        "reads": sum(len(said(storm, f"reader-{n}")) for n in range(storm.readers)),
        "compactions": len(compactions),
        "of_two_the_second": sum(one[3] for one in compactions),
        "removed": sum(one[2] for one in compactions),
        "errors": said(storm, "errors"),
        "damage": Store(storm.uri).damage(),
    }


def main() -> int:
    """Rages and says what came of it; 1 where anything is lost, doubled or wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--writers", type=int, default=32)
    parser.add_argument("--commits", type=int, default=500)
    parser.add_argument("--readers", type=int, default=10)
    parser.add_argument("--faults", type=float, default=0.05)
    parser.add_argument("--compaction", type=float, default=20.0, metavar="S", help="each of two")
    parser.add_argument("--kill", type=float, default=5.0, metavar="S")
    options = parser.parse_args()
    os.environ.update(s3_server.KEYS)
    with (
        tempfile.TemporaryDirectory() as folder,
        s3_server.running(options.faults) as server,
    ):
        storm = Storm(
            server.uri("storm"),
            Path(folder),
            options.writers,
            options.commits,
            options.readers,
            options.compaction,
            options.kill,
        )
        found = rage(storm)
        found["requests"] = dict(server.counts())
    print(json.dumps(found))
    return int(any(found[name] for name in ("lost", "doubled", "halves", "errors", "damage")))


if __name__ == "__main__":
    sys.exit(main())
