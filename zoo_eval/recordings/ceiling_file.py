"""Ceilings that come with a recording: a CSV with columns target and ceiling."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import numpy as np

from zoo_eval.digests import digest
from zoo_eval.errors import BadInput, nearest
from zoo_eval.numerics.ceilings import Array, Scale

COLUMNS = ("target", "ceiling")


@dataclass(frozen=True, eq=False)
class FileCeilings:
    """Ceilings (target,) in a recording's order of targets, on a stated scale."""

    values: Array
    scale: Scale
    digest: str


def read(name: str, path: Path, target_ids: Sequence[str], scale: Scale) -> FileCeilings:
    """The ceilings in a CSV, one row per target, in any order.

    Args:
        name: the recording's name, for messages.
        path: the CSV.
        target_ids: the recording's targets.
        scale: what the values are; the file does not say.

    Raises:
        BadInput: no such file, a column or a target missing, a target twice or unknown, or a
            value that is no number from 0 to 1.
    """
    known = set(target_ids)
    found: dict[str, float] = {}
    for line, target, text in _rows(name, path):
        where = f"recording {name!r}: {path}, line {line}"
        if target not in known:
            raise BadInput(f"{where}: unknown target {target!r}; {nearest(target, target_ids)}")
        if target in found:
            raise BadInput(f"{where}: target {target!r} stands twice; keep one of the two")
        found[target] = _ceiling(text, where)
    if missing := [target for target in target_ids if target not in found]:
        raise BadInput(
            f"recording {name!r}: {path} has no ceiling for target {missing[0]!r} "
            f"({len(missing)} such targets); add one row per target"
        )
    values = np.array([found[target] for target in target_ids])
    return FileCeilings(values, scale, digest([scale, list(target_ids), values.tolist()]))


def _rows(name: str, path: Path) -> list[tuple[int, str, str]]:
    """Line number, target and ceiling of each row, as text."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            if missing := [column for column in COLUMNS if column not in header]:
                raise BadInput(
                    f"recording {name!r}: {path} has no column {missing[0]!r}; "
                    f"needed: {', '.join(COLUMNS)}"
                )
            return [(reader.line_num, row["target"] or "", row["ceiling"] or "") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(
            f"recording {name!r}: {path} cannot be read as CSV ({error}); "
            f"give a file with columns {', '.join(COLUMNS)}"
        ) from error


def _ceiling(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if isnan(value):
        raise BadInput(f"{where}: ceiling {text!r} is no number; fill it in")
    if not 0 <= value <= 1:
        raise BadInput(f"{where}: ceiling {value:g} is not from 0 to 1; divide percents by 100")
    return value
