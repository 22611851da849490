"""What the benchmarks share: timing, a table, and one JSON object as the last line."""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def timed(work: Callable[[], T], *, n_runs: int, warm: bool = True) -> tuple[float, T]:
    """Median wall time of a call in seconds, and the last call's result.

    One call before is not counted, unless `warm` is false: where a call takes minutes.
    """
    times = []
    for _ in range(n_runs + warm):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[-n_runs:]), result


def seconds(work: Callable[[], Any], *, n_runs: int) -> float:
    """Median wall time of a call in seconds, after one call that is not counted."""
    return timed(work, n_runs=n_runs)[0]


def quick(description: str) -> bool:
    """Whether --quick was given."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="about a minute on two cores")
    return bool(parser.parse_args().quick)


def report(
    header: Sequence[str], rows: Sequence[Sequence[object]], result: Mapping[str, Any]
) -> None:
    """Prints a table, then the result as one JSON object on the last line."""
    show(header, rows)
    print(json.dumps(result))


def show(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table."""
    cells = [[str(value) for value in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        print("  ".join(value.ljust(width) for value, width in zip(row, widths)).rstrip())
