"""Long tables: one row per response, read by blocks of rows into an array of stated size.

Rows pass by twice: once for the names that occur, which say how large the array is, and once for
the responses; in between once more where stimuli were not all shown equally often. What a table takes
in memory is the array, one byte per response beside it, and a block of rows; it is known before it is
allocated.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from zoo_eval.errors import BadInput
from zoo_eval.files.reading import check_fits
from zoo_eval.numerics.repetitions import Repetitions
from zoo_eval.recordings.recording import Numbers
from zoo_eval.stimuli import ids
from zoo_eval.stimuli.stimulus_set import StimulusSet

NAMES = ("stimulus_id", "repetition", "target_id")
COLUMNS = (*NAMES, "response")
BLOCK_ROWS = 2**16
# Of a block in memory: pages, decoded columns, codes, places, and what the allocator keeps of them.
ROW_BYTES = 2**10
# Each response, and whether it is there.
RESPONSE_BYTES = 8 + 1
FEWER = "raise [run] memory_budget, or record fewer targets at a time"

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LongTable:
    """A table that is read block by block, as often as is asked; `where` it is, for messages."""

    where: str
    schema: pa.Schema
    n_rows: int
    blocks: Callable[[Sequence[str]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Axes:
    """What the rows of a table are of: stimuli by number, the others each in the order of the array."""

    stimuli: Mapping[str, int]
    repetitions: tuple[Any, ...]
    targets: tuple[str, ...]
    n_stimuli: int

    @property
    def n_pairs(self) -> int:
        """How often stimuli were shown if all were shown in every repetition."""
        return self.n_stimuli * len(self.repetitions)


@dataclass(frozen=True, eq=False)
class Shown:
    """Which of the pairs of stimulus and repetition there are: the number of each, or -1 (pair,)."""

    number: Codes

    @cached_property
    def pairs(self) -> Codes:
        """Those that there are, ascending."""
        found: Codes = np.flatnonzero(self.number >= 0)
        return found


@dataclass(frozen=True)
class Choice:
    """Which rows are wanted: those of some of the targets that occur, and of the stimuli that were shown.

    Where the table is not `partial`, a row of another stimulus is an error.
    """

    targets: Callable[[Sequence[str]], Collection[str]] = tuple
    partial: bool = False


EVERYTHING = Choice()


def responses(
    table: LongTable, shown: StimulusSet, most_bytes: int, choice: Choice = EVERYTHING
) -> tuple[Repetitions, tuple[str, ...]]:
    """Responses in the order of the stimuli, and the targets' names; those that no row has are missing.

    Raises:
        BadInput: a column is missing or of another kind, a stimulus is unknown or has no response, one
            is there twice, or it takes more than `most_bytes`.
    """
    check_columns(table)
    block = min(BLOCK_ROWS, table.n_rows) * ROW_BYTES
    counted = f"{table.n_rows} responses with a block of rows"
    check_fits(table.where, counted, table.n_rows * RESPONSE_BYTES + block, most_bytes, FEWER)
    axes = _axes(table, shown, choice)
    block += 8 * axes.n_pairs
    check_fits(table.where, "its stimuli and repetitions", block, most_bytes, FEWER)
    there = shown_pairs(table, axes)
    n_responses = len(there.pairs) * len(axes.targets)
    if n_responses > table.n_rows:
        sizes = f"{len(there.pairs)} x {len(axes.targets)}"
        what = f"{table.n_rows} rows name presentations x targets = {sizes}, which"
        n_bytes = n_responses * RESPONSE_BYTES + block
        check_fits(table.where, what, n_bytes, most_bytes, "most would be missing: split the table by targets that were recorded together")  # fmt: skip
    found = _filled(table, axes, there, shown)
    stimulus = there.pairs // len(axes.repetitions)
    return Repetitions(found, stimulus), axes.targets


def check_columns(table: LongTable) -> None:
    """Refuses a table without rows, or without these columns once each.

    Raises:
        BadInput: it is one; what is needed is said.
    """
    for column in COLUMNS:
        n = len(table.schema.get_all_field_indices(column))
        if n != 1:
            has = f"has no column {column!r}" if not n else f"has the column {column!r} twice"
            raise BadInput(f"{table.where} {has}; needed: {', '.join(COLUMNS)}")
    kind = table.schema.field("response").type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise BadInput(
            f"{table.where}: column 'response' is {kind}, not a number; save it as float64"
        )
    for column in NAMES:
        kind = table.schema.field(column).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if pa.types.is_nested(kind):
            raise BadInput(
                f"{table.where}: column {column!r} is {kind}; give text or whole numbers"
            )
    if not table.n_rows:
        raise BadInput(f"{table.where} has no rows; write one per response")


def _axes(table: LongTable, shown: StimulusSet, choice: Choice) -> Axes:
    names, repetitions, targets = occurring(table)
    stimuli = ids.numbers(table.where, names, shown, partial=choice.partial)
    chosen = choice.targets(tuple(sorted(targets)))
    if missing := set(range(len(shown))) - set(stimuli.values()):
        raise BadInput(
            f"{table.where}: 0 responses to {shown.ids[min(missing)]!r} of stimuli {shown.name!r} "
            f"({len(missing)} such); leave those out of the stimuli"
        )
    return Axes(stimuli, tuple(sorted(repetitions)), tuple(sorted(chosen)), len(shown))


def occurring(table: LongTable) -> tuple[list[str], list[Any], list[str]]:
    """The stimuli, repetitions and targets that rows name, each once.

    Raises:
        BadInput: a row names none, a repetition is NaN, or there are other than the stated number of rows.
    """
    found = {column: Occurring(table.where, column) for column in NAMES}
    n_rows = 0
    for block in table.blocks(NAMES):
        n_rows += block.num_rows
        for column, one in found.items():
            one.add(encoded(table.where, column, block))
    if n_rows != table.n_rows:
        raise BadInput(
            f"{table.where} says that it has {table.n_rows} rows and holds {n_rows}; write it again"
        )
    names, repetitions, targets = (one.values() for one in found.values())
    for repetition in repetitions:
        if repetition != repetition:
            raise BadInput(f"{table.where}: column 'repetition' has a NaN; fill it in")
    return names, repetitions, targets


class Occurring:
    """The values that occur in a column, whose blocks come one after another."""

    def __init__(self, where: str, column: str) -> None:
        self._where, self._column = where, column
        self._found: dict[Any, None] = {}
        self._dictionary: pa.Array | None = None
        self._used = np.zeros(0, bool)

    def add(self, encoded: pa.DictionaryArray) -> None:
        """Those of one more block."""
        if self._dictionary is None or not encoded.dictionary.equals(self._dictionary):
            self._look()
            self._dictionary = encoded.dictionary
            self._used = np.zeros(len(encoded.dictionary), bool)
        self._used[encoded.indices.to_numpy()] = True

    def values(self) -> list[Any]:
        """All of them so far, each once: text of what are ids, numbers of repetitions."""
        self._look()
        return list(self._found)

    def _look(self) -> None:
        if self._dictionary is not None:
            used = self._dictionary.filter(pa.array(self._used))
            _refuse_null(self._where, self._column, used.null_count)
            try:
                self._found.update(dict.fromkeys(values(used, self._column)))
            except UnicodeDecodeError as error:
                raise BadInput(
                    f"{self._where}: column {self._column!r} has text that is not UTF-8; write it again"
                ) from error
        self._dictionary = None


class Places:
    """Where the rows of a column's blocks belong along one axis, in steps; -1 where nowhere."""

    def __init__(self, column: str, place: Mapping[Any, int], step: int) -> None:
        self._column, self._place, self._step = column, place, step
        self._dictionary: pa.Array | None = None
        self._steps = np.zeros(0, np.int64)

    def of(self, encoded: pa.DictionaryArray) -> Codes:
        """Those of one block."""
        if self._dictionary is None or not encoded.dictionary.equals(self._dictionary):
            self._dictionary = encoded.dictionary
            # A dictionary may hold what no row has, and rows be of what is not wanted.
            places = [self._place.get(one, -1) for one in values(self._dictionary, self._column)]
            steps = np.array(places, np.int64)
            self._steps = np.where(steps < 0, -1, steps * self._step)
        found: Codes = self._steps[encoded.indices.to_numpy()]
        return found


def _placed(table: LongTable, axes: Axes, columns: Sequence[str]) -> Iterator[tuple[Codes, Codes, pa.RecordBatch]]:  # fmt: skip
    """Each block's wanted rows; of each the pair of stimulus and repetition, and the target's number."""
    places = {
        "stimulus_id": Places("stimulus_id", axes.stimuli, len(axes.repetitions)),
        "repetition": Places("repetition", _numbered(axes.repetitions), 1),
        "target_id": Places("target_id", _numbered(axes.targets), 1),
    }
    for block in table.blocks(columns):
        stimulus, repetition, target = (
            one.of(encoded(table.where, column, block)) for column, one in places.items()
        )
        wanted = (stimulus >= 0) & (target >= 0)
        stimulus += repetition
        if wanted.all():
            yield stimulus, target, block
        elif wanted.any():
            yield stimulus[wanted], target[wanted], block.filter(pa.array(wanted))


def shown_pairs(table: LongTable, axes: Axes) -> Shown:
    """The pairs that occur: all, where there are as many rows as pairs and targets, else those seen."""
    there = np.ones(axes.n_pairs, bool)
    if axes.n_pairs * len(axes.targets) != table.n_rows:
        there[:] = False
        for pairs, _, _ in _placed(table, axes, NAMES):
            there[pairs] = True
        # What none of the wanted targets answered keeps its place.
        by_stimulus = there.reshape(-1, len(axes.repetitions))
        by_stimulus[~by_stimulus.any(1), 0] = True
    number = np.where(there, np.cumsum(there) - 1, -1)
    return Shown(number)


def _filled(table: LongTable, axes: Axes, there: Shown, shown: StimulusSet) -> Numbers:
    """The responses (presentation, target), NaN where no row has one."""
    n_targets = len(axes.targets)
    found = np.full((len(there.pairs), n_targets), np.nan)
    flat, filled = found.reshape(-1), np.zeros(found.size, bool)
    n_rows = 0
    for pairs, targets, block in _placed(table, axes, COLUMNS):
        places = there.number[pairs] * n_targets + targets
        flat[places] = numbers(table.where, block.column("response"))
        filled[places] = True
        n_rows += len(places)
    # As many rows as places that are taken: each by one.
    if np.count_nonzero(filled) != n_rows:
        raise BadInput(f"{table.where}: {_first_twice(table, axes, there, shown)}")
    return found


def _first_twice(table: LongTable, axes: Axes, there: Shown, shown: StimulusSet) -> str:
    """The first response that is there more than once."""
    n_targets = len(axes.targets)
    counts = np.zeros(len(there.pairs) * n_targets, np.uint32)
    for pairs, targets, _ in _placed(table, axes, NAMES):
        np.add.at(counts, there.number[pairs] * n_targets + targets, 1)
    first = int((counts > 1).argmax())
    presentation, target = divmod(first, n_targets)
    stimulus, repetition = divmod(int(there.pairs[presentation]), len(axes.repetitions))
    return (
        f"target {axes.targets[target]!r} has {counts[first]} responses to "
        f"{shown.ids[stimulus]!r} in repetition {axes.repetitions[repetition]!r}; exactly one is "
        "needed"
    )


def encoded(where: str, column: str, block: pa.RecordBatch) -> pa.DictionaryArray:
    """A column of names, each name once beside the rows that have it.

    Raises:
        BadInput: a row has none, or the column is of neither text nor whole numbers.
    """
    values = block.column(column)
    _refuse_null(where, column, values.null_count)
    if pa.types.is_dictionary(values.type):
        # Of a damaged file, nobody has looked at them yet.
        numbers = values.indices.to_numpy()
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(values.dictionary):
            raise BadInput(
                f"{where}: column {column!r} has rows whose name is not there: it is damaged; fetch or write the "
                "file again"
            )
        return values
    try:
        return values.dictionary_encode()
    except pa.ArrowException as error:
        raise BadInput(
            f"{where}: column {column!r} is {values.type}; give text or whole numbers"
        ) from error


def _refuse_null(where: str, column: str, n: int) -> None:
    if n:
        raise BadInput(f"{where}: column {column!r} has a null; fill it in")


def values(dictionary: pa.Array, column: str) -> list[Any]:
    """The entries of a dictionary: repetitions as they are, ids as text."""
    listed: list[Any] = dictionary.to_pylist()
    if column == "repetition":
        return listed
    # Some writers store text as bytes without saying that it is text.
    return [one.decode() if isinstance(one, bytes) else str(one) for one in listed]


def numbers(where: str, column: pa.Array) -> Numbers:
    """A column of responses, NaN where there is none.

    Raises:
        BadInput: one is no float64.
    """
    try:
        found: Numbers = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException as error:
        raise BadInput(
            f"{where}: column 'response' is {column.type} and has a value that float64 cannot hold "
            "exactly; save it as float64"
        ) from error
    return found


def _numbered(values: Sequence[Any]) -> dict[Any, int]:
    return {value: number for number, value in enumerate(values)}
