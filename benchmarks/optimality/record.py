"""The record: one row per network, norm, attack, photo and seed, as JSON lines; what is missing is named."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo_eval.errors import BadInput

FILE = Path(__file__).parent.parent / "data" / "optimality.jsonl"
# Propagations at which distances are kept; the last is the budget.
BUDGETS = (20, 50, 100, 200, 500, 1000, 2000)
GAP = "gap"


@dataclass(frozen=True)
class Run:
    """What one run was of: `photo` is its place among the photos, `setting` the attack's options."""

    model: str
    norm: str
    attack: str
    photo: int
    seed: int
    setting: str


@dataclass(frozen=True)
class Row:
    """One run and what came of it.

    `least` has the shortest misclassified query in each norm, `within` those of the run's own norm
    after each of `budgets` propagations; both are infinite where there was none.
    """

    run: Run
    least: Mapping[str, float]
    budgets: Sequence[int]
    within: Sequence[float]
    n_forwards: int
    n_backwards: int
    seconds: float
    cpu_seconds: float
    error: str | None
    random_forward: bool
    versions: Mapping[str, str]

    def line(self) -> str:
        """As it is kept: infinite distances, which JSON has not, are null."""
        kept = {**asdict(self.run), **asdict(self), "within": [_kept(one) for one in self.within]}
        del kept["run"]
        kept["least"] = {norm: _kept(one) for norm, one in self.least.items()}
        return json.dumps(kept)

    @classmethod
    def of(cls, kept: dict[str, Any]) -> "Row":
        run = Run(**{name: kept.pop(name) for name in Run.__dataclass_fields__})
        kept["within"] = [_read(one) for one in kept["within"]]
        kept["least"] = {norm: _read(one) for norm, one in kept["least"].items()}
        return cls(run, **kept)


@dataclass(frozen=True)
class Gap:
    """Runs that were planned and not made, and why."""

    model: str
    norm: str
    attack: str
    photos: Sequence[int]
    reason: str

    def line(self) -> str:
        return json.dumps({GAP: True, **asdict(self)})


def _kept(length: float) -> float | None:
    return round(length, 9) if math.isfinite(length) else None


def _read(length: float | None) -> float:
    return math.inf if length is None else length


def rows(file: Path) -> list[Row]:
    """The rows of a file; of a line that was cut off at the end, as where a run was killed, nothing.

    Raises:
        BadInput: another line is no row.
    """
    found = []
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    for number, line in enumerate(lines, 1):
        if number == len(lines) and not line.endswith("\n"):
            continue
        try:
            kept = json.loads(line)
            if GAP not in kept:
                found.append(Row.of(kept))
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(
                f"{file}, line {number}: no row of the record ({error}); delete it"
            ) from error
    return found


def add(file: Path, row: Row) -> None:
    """Adds one row, in place of a line that was cut off; it is in the file before the next run begins."""
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = file.read_bytes() if file.exists() else b""
    if not kept.endswith(b"\n"):
        file.write_bytes(kept[: kept.rfind(b"\n") + 1])
    with file.open("a") as lines:
        lines.write(row.line() + "\n")


def write(file: Path, found: Iterable[Row], gaps: Iterable[Gap]) -> None:
    """The whole file anew: rows in order, then what is missing."""
    ordered = sorted(found, key=lambda row: tuple(asdict(row.run).values()))
    kept: list[Row | Gap] = [*ordered, *gaps]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{one.line()}\n" for one in kept))
