"""Counts of what became of many damaged files: python -m tests.fuzz [N of each reader]."""

import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from benchmarks.measurement import show
from tests.fuzz.damage import FOREIGN, Damage, damages
from tests.fuzz.outcome import ESCAPED, OTHER, REFUSED, SAME, tried
from tests.fuzz.readers import READERS

USUAL = 2000


def drawn(n: int) -> list[Damage]:
    """The same damages for every reader."""
    found: list[Damage] = []

    @settings(
        max_examples=n,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(damage=damages())
    def draw(damage: Damage) -> None:
        found.append(damage)

    draw()
    return found


def main() -> int:
    """Prints a row for each reader; 1 if anything escaped."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else USUAL
    changes = [*drawn(n), *FOREIGN.values()]
    rows, escaped = [], 0
    for reader in READERS:
        with tempfile.TemporaryDirectory() as folder:
            counts = tried(reader, Path(folder), changes)
        lost = {said: times for said, times in counts.items() if said.startswith(ESCAPED)}
        for said, times in lost.items():
            print(f"{reader.name}: {times} {said}", flush=True)
        escaped += sum(lost.values())
        kinds = [counts[kind] for kind in (REFUSED, SAME, OTHER)]
        rows.append([reader.name, counts.total(), *kinds, sum(lost.values())])
    totals = [sum(row[column] for row in rows) for column in range(1, 6)]
    show(["reader", "tried", REFUSED, SAME, OTHER, ESCAPED], [*rows, ["all", *totals]])
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
