"""What is known of Triple-N's units: from Processed_ses*.mat, and the areas of exclude_area.xls as CSV."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import csv_table, reading
from zoo_eval.files.csv_table import Line, Table
from zoo_eval.recordings import matlab, targets_file
from zoo_eval.recordings.presentations import TARGET_ID
from zoo_eval.recordings.triple_n_session import Key, Session

Values = npt.NDArray[np.float64]
# Number, day, subject and run.
NAMED = re.compile(r"Processed_ses([0-9]+)_([0-9]+)_([^_]+)_g?([0-9]+)\.mat")
RELIABILITY, POSITION = "reliability", "position"
# Columns by the variables of Processed_ses*.mat; the first must be there.
VARIABLES = {
    RELIABILITY: "reliability_best",
    POSITION: "pos",
    "unit_type": "UnitType",
    "snr": "snr",
}
FAILURE = "is not a Processed_ses*.mat that can be read"
# Columns of exclude_area.xls.
BY_DEPTH = ("SesIdx", "y1", "y2", "AREALABEL")
FORMS = (
    f"give {', '.join(BY_DEPTH)} as exclude_area.xls has them, or {TARGET_ID} or session, and area"
)


@dataclass(frozen=True)
class Processed:
    """Numbers of units by column, for all sessions one after another, and the files that they are from.

    `numbers` are the authors' own of the sessions, in their order.
    """

    columns: dict[str, Values]
    files: tuple[Path, ...]
    numbers: tuple[int, ...]


def targets(sessions: Sequence[Session]) -> pa.Table:
    """A row per unit: its id, session, subject and number in the session, from 1."""
    units = [(session, number) for session in sessions for number in range(1, session.n_units + 1)]
    return pa.table({
        TARGET_ID: [session.unit(number) for session, number in units],
        "session": [session.name for session, _ in units],
        "subject": [session.subject for session, _ in units],
        "unit": [number for _, number in units],
    })  # fmt: skip


def processed(where: str, given: Path, sessions: Sequence[Session], most_bytes: int) -> Processed:
    """What the files Processed_ses*.mat say of units: a folder of them, or the only session's.

    Raises:
        BadInput: a session has no file, or one is damaged or of other units.
    """
    there: dict[Key, tuple[int, Path]] = {}
    for path in [given] if given.is_file() else sorted(given.iterdir()):
        if named := NAMED.fullmatch(path.name):
            there[named[2], named[3], int(named[4])] = (int(named[1]), path)
    own = [there.get(one.key) for one in sessions]
    if missing := [one for one, file in zip(sessions, own, strict=True) if file is None]:
        day, subject, run = missing[0].key
        raise BadInput(
            f"{where}: {given} has no Processed_ses*_{day}_{subject}_{run}.mat ({len(missing)} such); fetch it, "
            "or leave out `processed`"
        )
    files = [file for file in own if file is not None]
    for session, (number, path) in zip(sessions, files, strict=True):
        if session.number not in (None, number):
            raise BadInput(
                f"{where}: {path} is of session {number}, and {session.path.name} of the same day; "
                "correct one of the names"
            )
    found = [
        _of_session(where, path, session, most_bytes)
        for session, (_, path) in zip(sessions, files, strict=True)
    ]
    names = [name for name in VARIABLES if all(name in one for one in found)]
    columns = {name: np.concatenate([one[name] for one in found]) for name in names}
    return Processed(
        columns, tuple(path for _, path in files), tuple(number for number, _ in files)
    )


def _of_session(where: str, path: Path, session: Session, most_bytes: int) -> dict[str, Values]:
    place = f"{where}: {path}"
    with reading.told(place, path, FAILURE):
        held = matlab.variables(path, place, most_bytes)
    needed = VARIABLES[RELIABILITY]
    if needed not in held:
        raise BadInput(f"{place} has no `{needed}`; {nearest(needed, held)}")
    found = {}
    for column, variable in VARIABLES.items():
        if variable in held:
            found[column] = _numbers(place, variable, held[variable], session)
    return found


def _numbers(where: str, variable: str, values: npt.NDArray[Any], session: Session) -> Values:
    if values.dtype.kind not in "fiub" or values.size not in values.shape:
        raise BadInput(
            f"{where}: `{variable}` is {values.dtype} of shape {values.shape}, not a number per unit; fetch it again"
        )
    if values.size != session.n_units:
        raise BadInput(
            f"{where} says `{variable}` of {values.size} units, and {session.path.name} has {session.n_units}; "
            "give files of one session"
        )
    return values.ravel().astype(np.float64)


def with_columns(table: pa.Table, columns: dict[str, Values]) -> pa.Table:
    """The table with further numbers; a NaN is null."""
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    return targets_file.without_nan(table)


def with_areas(
    where: str, path: Path, table: pa.Table, numbers: Mapping[str, int | None]
) -> pa.Table:
    """The table with `area`, and `region` where the CSV says that too; null where it says none.

    By depth, a unit is in an area where its position is between y1 and y2; where it is in several,
    their names are joined by " + ".

    Args:
        where: the recording, for messages.
        path: the CSV.
        table: of units.
        numbers: the authors' own of each session by its name; None where nobody says it.

    Raises:
        BadInput: the CSV has no such columns, a unit stands twice in it, or positions or numbers of
            sessions are unknown.
    """
    place = f"{where}: {path}"
    known = csv_table.read(place, path, [], [*BY_DEPTH, TARGET_ID, "session", "area", "region"])
    if set(BY_DEPTH) <= set(known.columns):
        return _by_depth(place, known, table, numbers)
    key = next((one for one in (TARGET_ID, "session") if one in known.columns), None)
    if key is None or "area" not in known.columns:
        there = ", ".join(known.columns) or "none"
        raise BadInput(f"{place} has the columns {there}; {FORMS}")
    lines: dict[str | int, Line] = {}
    for line in known.lines:
        name = line[key] if key == TARGET_ID or line[key] in numbers else _session(line, key)
        if key == "session":
            name = numbers.get(line[key]) or name
        if name in lines:
            raise BadInput(f"{line.where}: {key} {line[key]!r} stands twice; keep one")
        lines[name] = line
    cells = table.column(key).to_pylist()
    if key == "session":
        cells = [numbers[one] or one for one in cells]
    named = [lines.get(one) for one in cells]
    if not any(named):
        raise BadInput(f"{place} names none of the {table.num_rows} units; {FORMS}")
    for column in ("area", "region"):
        if column in known.columns:
            values = [(line[column] or None) if line is not None else None for line in named]
            table = table.append_column(column, pa.array(values, pa.string()))
    return table


def _by_depth(
    where: str, known: Table, table: pa.Table, numbers: Mapping[str, int | None]
) -> pa.Table:
    if POSITION not in table.column_names or None in numbers.values():
        raise BadInput(
            f"{where} has areas by session and depth, but nothing says where the units are; give `processed`, "
            "whose files have their positions (pos) and, in their names, the sessions' numbers"
        )
    rows: dict[int, list[tuple[float, float, Line]]] = {}
    for line in known.lines:
        own = (line.number("y1"), line.number("y2"), line)
        rows.setdefault(_session(line, "SesIdx"), []).append(own)
    units = zip(
        table.column("session").to_pylist(), table.column(POSITION).to_pylist(), strict=True
    )
    within = [
        [
            line
            for low, high, line in rows.get(numbers[name] or 0, ())
            if at is not None and low < at < high
        ]
        for name, at in units
    ]
    # There, `Area` says IT or EVC, and AREALABEL which.
    for column, cell in {"area": "AREALABEL", "region": "area"}.items():
        if cell in known.columns:
            said = [" + ".join(dict.fromkeys(one[cell] for one in those)) for those in within]
            values = pa.array([one or None for one in said], pa.string())
            table = table.append_column(column, values)
    return table


def _session(line: Line, column: str) -> int:
    """A session's number: 1, 01, 1.0 or ses01."""
    cell = line[column].casefold().removeprefix("ses")
    try:
        number = csv_table.number(cell, line.separator)
        if number % 1 == 0 and 0 < number < 10**6:
            return int(number)
    except ValueError:
        pass
    raise BadInput(f"{line.where}: {column} {line[column]!r} is no session; write 1, or ses01")
