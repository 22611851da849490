"""Fifty readers of a served store while a writer commits to it, and SQL that must not get through.

    python -m benchmarks.serve [--quick]

A planted store of 2,000 models (with --quick 200) is served by `zoo-eval serve`, in a process of its own, for
a minute (15 s). 50 readers ask for `leaderboard.json`, each again after a pause of up to two seconds, as pages
that look again do; one more asks the box for a sum in SQL; a writer commits a model every half second. Then all of
tests/queries/attempts.py is asked of the box, with 2 s and 128 MiB for each. The last line is JSON: `errors` (answers other
than 200, or none), `p95_s` of `leaderboard.json`, `oldest_s` (the largest age that an answer said of itself), `attempts` and
how many of them were `refused`. Exit status 1 for an error, a p95 of a second, or an attempt that was not refused.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.measurement import quick, report
from tests.planted_rows import ledger_row, result_row
from tests.queries.attempts import ATTEMPTS
from zoo_eval.store import Store
from zoo_eval.trial import Trial

N_READERS = 50
LONGEST_PAUSE_S = 2.0
COMMIT_EVERY_S = 0.5
MOST_S = 1.0
TOGETHER = 50
PATIENCE_S = 30.0
SUM = "SELECT gate, count(*), avg(top1) FROM leaderboard GROUP BY ALL"


@dataclass
class Seen:
    """What readers were answered: seconds and ages by kind, and errors in words."""

    took: dict[str, list[float]] = field(default_factory=lambda: {"leaderboard": [], "sql": []})
    ages: list[float] = field(default_factory=list)
    sizes: set[int] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)


def main() -> int:
    """Measures and prints; 1 where a bound is not held."""
    is_quick = quick(__doc__ or "")
    n_models, duration_s = (200, 15.0) if is_quick else (2000, 60.0)
    with tempfile.TemporaryDirectory() as folder:
        uri = str(Path(folder, "store"))
        store = Store(uri, create=True)
        for first in range(0, n_models, TOGETHER):
            commit(store, range(first, first + TOGETHER))
        store.compact()
        with served(uri) as url:
            seen, n_committed = read_while_written(url, store, n_models, duration_s)
        with served(uri, "--seconds", "2", "--memory", "128MiB") as url:
            through = [
                one.name for one in ATTEMPTS if gets_through(url, one.at("/etc/x.parquet", uri))
            ]
    rows, found = [], {"errors": len(seen.errors)}
    for name, took in seen.took.items():
        p50, p95 = (round(float(np.quantile(took, q)), 3) for q in (0.5, 0.95))
        rows.append((name, len(took), p50, p95, round(max(took), 3)))
    result = {
        **found,
        "p95_s": rows[0][3],
        "sql_p95_s": rows[1][3],
        "requests": rows[0][1] + rows[1][1],
        "commits": n_committed,
        "contents_seen": len(seen.sizes),
        "oldest_s": max(seen.ages),
        "attempts": len(ATTEMPTS),
        "refused": len(ATTEMPTS) - len(through),
    }
    for line in [*seen.errors[:5], *(f"not refused: {name}" for name in through)]:
        print(line)
    report(("asked for", "answers", "p50 s", "p95 s", "longest s"), rows, result)
    return int(bool(seen.errors or through) or rows[0][3] >= MOST_S)


def commit(store: Store, numbers: range) -> None:
    """Commits the cards and accuracies of some planted models."""
    rows: dict[str, list[dict[str, object]]] = {"models": [], "accuracy": []}
    trials = []
    for number in numbers:
        model = f"timm/planted_{number:05}"
        known: dict[str, Any] = {
            "model": model,
            "weights_digest": f"w{number}",
            "transform": {},
            "stimuli": "p",
        }
        gate, accuracy = (
            Trial(kind, 1, "planted", **known, stimuli_digest="p") for kind in ("gate", "accuracy")
        )
        facts = {"gate": "pass", "family": f"family{number % 60}", "n_params": 10**6 + number}
        rows["models"].append(result_row("models", gate, **facts))
        top1 = random.Random(number).random()
        rows["accuracy"].append(result_row("accuracy", accuracy, top1=top1, n_images=1000))
        trials += [ledger_row(gate), ledger_row(accuracy)]
    store.commit(rows, trials)


@contextmanager
def served(uri: str, *options: str) -> Iterator[str]:
    """The address of a server in a process of its own."""
    command = [sys.executable, "-m", "zoo_eval", "serve", "--store", uri, "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        found = re.match(r"open (\S+)", process.stdout.readline())
        assert found is not None
        try:
            yield found[1]
        finally:
            process.terminate()


def read_while_written(
    url: str, store: Store, n_models: int, duration_s: float
) -> tuple[Seen, int]:
    """What all readers were answered, and how many commits were made meanwhile."""
    seen, until = Seen(), time.monotonic() + duration_s
    threads = [
        threading.Thread(target=read, args=(url, number, until, seen))
        for number in range(N_READERS)
    ]
    threads.append(threading.Thread(target=ask, args=(url, until, seen)))
    for one in threads:
        one.start()
    n_committed = 0
    while time.monotonic() < until:
        commit(store, range(n_models + n_committed, n_models + n_committed + 1))
        n_committed += 1
        time.sleep(COMMIT_EVERY_S)
    for one in threads:
        one.join()
    return seen, n_committed


def read(url: str, number: int, until: float, seen: Seen) -> None:
    """Asks for the leaderboard again and again."""
    pauses = random.Random(number)
    with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
        while time.monotonic() < until:
            answer = asked(client, "leaderboard.json", "leaderboard", seen)
            if answer is not None:
                seen.ages.append(float(answer.headers["age"]))
                seen.sizes.add(len(answer.content))
            time.sleep(pauses.uniform(0, LONGEST_PAUSE_S))


def ask(url: str, until: float, seen: Seen) -> None:
    """Asks the box for SQL again and again."""
    with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
        while time.monotonic() < until:
            asked(client, "sql.json", "sql", seen)
            time.sleep(1)


def asked(client: httpx.Client, path: str, kind: str, seen: Seen) -> httpx.Response | None:
    """The answer to one request, which is timed; None for an error, which is noted."""
    began = time.perf_counter()
    try:
        answer = client.get(path) if kind == "leaderboard" else client.post(path, data={"q": SUM})
    except httpx.HTTPError as error:
        seen.errors.append(f"{path}: {type(error).__name__}")
        return None
    seen.took[kind].append(time.perf_counter() - began)
    if answer.status_code == 200:
        return answer
    seen.errors.append(f"{path}: {answer.status_code}")
    return None


def gets_through(url: str, sql: str) -> bool:
    """Whether a query that must be refused is answered, or takes the server with it."""
    answer = httpx.post(f"{url}sql.csv", data={"q": sql}, timeout=60, trust_env=False)
    alive = httpx.get(f"{url}leaderboard.json", timeout=60, trust_env=False)
    is_said = 'role="alert"' in answer.text and "Traceback" not in answer.text
    return answer.status_code not in (400, 503) or not is_said or alive.status_code != 200


if __name__ == "__main__":
    sys.exit(main())
