"""Ceilings that come with a recording: a CSV with columns target and ceiling."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import numpy as np

from zoo_eval.digests import digest
from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import csv_table
from zoo_eval.files.csv_table import Line
from zoo_eval.numerics.ceilings import Array, Scale
from zoo_eval.stimuli.ids import Lookup

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
    lookup = Lookup(target_ids)
    found: dict[int, float] = {}
    for line in csv_table.read(f"recording {name!r}: {path}", path, COLUMNS).lines:
        target = line["target"]
        number = lookup.meant(line.where, target)
        if number is None:
            raise BadInput(
                f"{line.where}: unknown target {target!r}; {nearest(target, target_ids)}"
            )
        if number in found:
            raise BadInput(f"{line.where}: target {target!r} stands twice; keep one of the two")
        found[number] = _ceiling(line)
    if missing := [one for number, one in enumerate(target_ids) if number not in found]:
        raise BadInput(
            f"recording {name!r}: {path} has no ceiling for target {missing[0]!r} "
            f"({len(missing)} such targets); add one row per target"
        )
    values = np.array([found[number] for number in range(len(target_ids))])
    return FileCeilings(values, scale, digest([scale, list(target_ids), values.tolist()]))


def _ceiling(line: Line) -> float:
    value = line.number("ceiling")
    if isnan(value):
        raise BadInput(f"{line.where}: ceiling {line['ceiling']!r} is no number; fill it in")
    if not 0 <= value <= 1:
        raise BadInput(
            f"{line.where}: ceiling {value:g} is not from 0 to 1; divide percents by 100"
        )
    return value
