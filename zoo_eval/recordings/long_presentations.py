"""Presentations of a long table: with a table of presentations beside it, or told from its rows alone."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from zoo_eval.errors import BadInput
from zoo_eval.files.reading import check_fits
from zoo_eval.recordings import long_table
from zoo_eval.recordings.long_table import FEWER, Axes, Codes, LongTable, Places
from zoo_eval.recordings.presentations import TARGET_ID, Numbers, Presentations, Values
from zoo_eval.recordings.presentations_file import Shown

# Values that are looked at together.
BLOCK_VALUES = 2**24
# Rows of some targets; others may be among them.
RowsOf = Callable[[Collection[str]], Iterator[pa.RecordBatch]]
# Known of the targets that occur, a row each.
Known = Callable[[Sequence[str]], pa.Table]


@dataclass(frozen=True, eq=False)
class Cells:
    """Where the rows of a long table belong: which presentation each is of, and which target.

    stimuli, repetitions: the number of each that was shown, which make a pair of them.
    number: the presentation that each pair of stimulus and repetition is, or -1 (pair,).
    targets: by their number.
    dtype: of responses.
    """

    where: str
    rows: RowsOf
    stimuli: Mapping[str, int]
    repetitions: Mapping[Any, int]
    number: Codes
    targets: Sequence[str]
    dtype: np.dtype[Any]

    def read(self, numbers: Numbers) -> Values:
        """Responses (presentation, target) of some targets, NaN where no row has one.

        Raises:
            BadInput: the file is damaged, a row is of no presentation, or two are of one response.
        """
        names = [self.targets[number] for number in numbers.tolist()]
        n_presentations = int((self.number >= 0).sum())
        found: Values = np.full((n_presentations, len(names)), np.nan, self.dtype)
        flat, n_written = found.reshape(-1), 0
        for cells, values in self._placed(names):
            there = ~np.isnan(values)
            flat[cells[there]] = values[there]
            n_written += int(there.sum())
        # As many as cells that have one: each by one row.
        if n_written != _n_known(flat):
            raise BadInput(f"{self.where}: {self._twice(names)}; keep one of the two rows")
        return found

    def _placed(self, names: Sequence[str]) -> Iterator[tuple[Codes, Values]]:
        """The rows of some targets, block by block: the cell that each belongs to, and its response."""
        places = {
            "stimulus_id": Places("stimulus_id", self.stimuli, len(self.repetitions)),
            "repetition": Places("repetition", self.repetitions, 1),
            "target_id": Places("target_id", {one: place for place, one in enumerate(names)}, 1),
        }
        for block in self.rows(names):
            coded = {one: long_table.encoded(self.where, one, block) for one in places}
            stimulus, repetition, target = (places[one].of(coded[one]) for one in places)
            unknown = (stimulus < 0) | (repetition < 0)
            presentation = np.where(unknown, -1, self.number[stimulus + repetition])
            if (presentation < 0).any():
                row = int((presentation < 0).argmax())
                said = [coded[one][row].as_py() for one in ("stimulus_id", "repetition")]
                raise BadInput(
                    f"{self.where}: a row is of {said[0]!r} in repetition {said[1]!r}, which is not in the table of "
                    "presentations; add it there"
                )
            values = long_table.numbers(self.where, block.column("response"))
            wanted = target >= 0
            yield (presentation * len(names) + target)[wanted], values[wanted]

    def _twice(self, names: Sequence[str]) -> str:
        """The first response that two rows have."""
        n_presentations = int((self.number >= 0).sum())
        seen = np.zeros(n_presentations * len(names), bool)
        for cells, values in self._placed(names):
            those = cells[~np.isnan(values)]
            unique, counts = np.unique(those, return_counts=True)
            if len(twice := unique[(counts > 1) | seen[unique]]):
                presentation, target = divmod(int(twice[0]), len(names))
                pair = int(np.flatnonzero(self.number == presentation)[0])
                stimulus, repetition = divmod(pair, len(self.repetitions))
                shown = list(self.stimuli)[stimulus], list(self.repetitions)[repetition]
                return f"target {names[target]!r} has two responses to {shown[0]!r} in repetition {shown[1]!r}"
            seen[unique] = True
        return "a response stands twice"


def _n_known(flat: Values) -> int:
    """How many are no NaN."""
    parts = (flat[start : start + BLOCK_VALUES] for start in range(0, len(flat), BLOCK_VALUES))
    return len(flat) - sum(int(np.isnan(part).sum()) for part in parts)


def of_tables(
    table: LongTable, rows: RowsOf, shown: Shown, targets: pa.Table, most_bytes: int
) -> Presentations:
    """Those of a table of presentations, of the targets of a table.

    Raises:
        BadInput: the table of responses lacks a column, or has one of another kind; or the presentations
            take more than `most_bytes`.
    """
    long_table.check_columns(table)
    stimuli, repetitions = (
        {one: number for number, one in enumerate(dict.fromkeys(names))}
        for names in (shown.stimulus_ids, shown.repetitions)
    )
    n_pairs = len(stimuli) * len(repetitions)
    check_fits(table.where, "its stimuli and repetitions", 8 * n_pairs, most_bytes, FEWER)
    number = np.full(n_pairs, -1)
    pairs = [
        stimuli[stimulus] * len(repetitions) + repetitions[repetition]
        for stimulus, repetition in zip(shown.stimulus_ids, shown.repetitions, strict=True)
    ]
    number[pairs] = np.arange(len(pairs))
    is_single = table.schema.field("response").type == pa.float32()
    dtype = np.dtype(np.float32 if is_single else np.float64)
    ids = targets.column(TARGET_ID).to_pylist()
    cells = Cells(table.where, rows, stimuli, repetitions, number, ids, dtype)
    return Presentations(
        where=table.where,
        files=(),
        stimulus_ids=shown.stimulus_ids,
        targets=targets,
        read=cells.read,
        itemsize=dtype.itemsize,
        sessions=shown.sessions,
        splits=shown.splits,
        notes=shown.notes,
    )


def of_rows(table: LongTable, rows: RowsOf, known: Known, most_bytes: int) -> Presentations:
    """Those that rows name: stimuli as they first occur, each in the order of its repetitions.

    Raises:
        BadInput: a column is missing or of another kind, a row names nothing, or what is named takes more
            than `most_bytes`.
    """
    long_table.check_columns(table)
    names, repetitions, targets = long_table.occurring(table)
    axes = Axes(
        {one: number for number, one in enumerate(names)},
        tuple(sorted(repetitions)),
        tuple(sorted(targets)),
        len(names),
    )
    check_fits(table.where, "its stimuli and repetitions", 16 * axes.n_pairs, most_bytes, FEWER)
    there = long_table.shown_pairs(table, axes)
    numbered = {one: number for number, one in enumerate(axes.repetitions)}
    kind = np.dtype(np.float64)
    cells = Cells(table.where, rows, axes.stimuli, numbered, there.number, axes.targets, kind)
    stimuli = (there.pairs // len(axes.repetitions)).tolist()
    return Presentations(
        where=table.where,
        files=(),
        stimulus_ids=[names[stimulus] for stimulus in stimuli],
        targets=known(axes.targets),
        read=cells.read,
        itemsize=kind.itemsize,
    )


def first_rows(table: LongTable, most_rows: int) -> LongTable:
    """The table as far as some rows of it, or all of it where it has no more."""
    if table.n_rows <= most_rows:
        return table

    def blocks(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        left = most_rows
        for block in table.blocks(columns):
            yield block.slice(0, left)
            left -= block.num_rows
            if left <= 0:
                return

    return replace(table, n_rows=most_rows, blocks=blocks)
