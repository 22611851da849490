"""A table of presentations: which stimulus was shown when, beside a long table of responses."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa

from zoo_eval.errors import BadInput
from zoo_eval.files import reading
from zoo_eval.recordings import table_file
from zoo_eval.recordings.presentations import Side

STIMULUS_ID, REPETITION, SESSION = "stimulus_id", "repetition", "session"
# Columns of splits are called so, and the split's name.
SPLIT = "split_"
# The key of the file's own metadata under which notes stand, a JSON list of text.
NOTES = b"notes"


@dataclass(frozen=True, eq=False)
class Shown:
    """Presentations in their order: of which stimulus each was, and in which repetition of it.

    `sessions` and `splits` are as in Presentations, and so are `notes`.
    """

    stimulus_ids: Sequence[str]
    repetitions: Sequence[Any]
    sessions: Sequence[str] | None
    splits: Mapping[str, Sequence[Side]]
    notes: tuple[str, ...] = ()


def read(where: str, path: Path, most_bytes: int) -> Shown:
    """The presentations in a CSV or Parquet file of stimulus_id, repetition, session and split_NAME.

    Raises:
        BadInput: the file cannot be read or is too large, lacks stimulus_id or repetition, a session is
            empty, a side of a split is none, or a presentation stands twice.
    """
    place = f"{where}: {path}"
    table = table_file.read(where, path, "the table of presentations", [STIMULUS_ID], most_bytes)
    if REPETITION not in table.column_names:
        there = ", ".join(table.column_names)
        raise BadInput(f"{place} needs a column {REPETITION!r} (columns: {there}); add it")
    stimulus_ids, repetitions = (table.column(one).to_pylist() for one in (STIMULUS_ID, REPETITION))
    for row, one in enumerate(repetitions, 1):
        if one is None or one != one:
            raise BadInput(f"{place}: {REPETITION} of row {row} is empty; fill it in")
    pairs = Counter(zip(stimulus_ids, repetitions, strict=True))
    if twice := [pair for pair, times in pairs.items() if times > 1]:
        raise BadInput(
            f"{place}: {twice[0][0]!r} in repetition {twice[0][1]!r} stands twice; keep one"
        )
    names = [name for name in table.column_names if name.startswith(SPLIT)]
    return Shown(
        stimulus_ids,
        repetitions,
        _sessions(place, table),
        {name.removeprefix(SPLIT): _sides(place, name, table) for name in names},
        _notes(place, path, table),
    )


def _sessions(where: str, table: pa.Table) -> list[str] | None:
    if SESSION not in table.column_names:
        return None
    found = table.column(SESSION).to_pylist()
    if None in found:
        row = found.index(None) + 1
        raise BadInput(f"{where}: {SESSION} of row {row} is empty; fill it in")
    return list(map(str, found))


def _sides(where: str, name: str, table: pa.Table) -> list[Side]:
    found: list[Side] = ["" if one is None else one for one in table.column(name).to_pylist()]
    for row, one in enumerate(found, 1):
        if one not in get_args(Side):
            raise BadInput(
                f"{where}: {name} of row {row} is {one!r}; write train, test, or nothing where it is neither"
            )
    return found


def _notes(where: str, path: Path, table: pa.Table) -> tuple[str, ...]:
    written = (table.schema.metadata or {}).get(NOTES)
    if written is None:
        return ()
    with reading.told(where, path, "has notes that cannot be read"):
        found = json.loads(written)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise BadInput(f"{where}: its notes are no list of text; write the file again")
    return tuple(found)
