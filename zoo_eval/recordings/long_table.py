"""Long tables: one row per response, read by blocks of rows into an array of stated size.

Rows pass by twice: once for the names that occur, which say how large the array is, and once for
the responses. What a table takes in memory is the array, one byte per response beside it, and a
block of rows; it is known before it is allocated.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from zoo_eval.errors import BadInput
from zoo_eval.files.reading import check_fits
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
    """What the rows of a table are of, each in the order of the array."""

    stimuli: Mapping[str, int]
    repetitions: tuple[Any, ...]
    targets: tuple[str, ...]
    shape: tuple[int, int, int]

    @property
    def n_responses(self) -> int:
        """How many responses there are if every target answers everything."""
        return math.prod(self.shape)


def responses(
    table: LongTable, shown: StimulusSet, most_bytes: int
) -> tuple[Numbers, tuple[str, ...]]:
    """Responses (stimulus, repetition, target) in the order of the stimuli, and the targets' names.

    Raises:
        BadInput: a column is missing or of another kind, a stimulus is unknown, a response is
            missing or there twice, or it takes more than `most_bytes`.
    """
    _check_columns(table)
    block = min(BLOCK_ROWS, table.n_rows) * ROW_BYTES
    counted = f"{table.n_rows} responses with a block of rows"
    check_fits(table.where, counted, table.n_rows * RESPONSE_BYTES + block, most_bytes, FEWER)
    axes = _axes(table, shown)
    if axes.n_responses > table.n_rows:
        n_bytes = axes.n_responses * RESPONSE_BYTES + block
        sizes = " x ".join(map(str, axes.shape))
        what = f"{table.n_rows} rows name stimuli x repetitions x targets = {sizes}, which"
        check_fits(table.where, what, n_bytes, most_bytes, "every target must answer every stimulus: add the missing rows, or raise [run] memory_budget to hear which")  # fmt: skip
    found = _filled(table, axes)
    if found is None:
        raise BadInput(f"{table.where}: {_first_wrong(table, axes, shown)}")
    return found, axes.targets


def _check_columns(table: LongTable) -> None:
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


def _axes(table: LongTable, shown: StimulusSet) -> Axes:
    found = {column: Occurring(table.where, column) for column in NAMES}
    n_rows = 0
    for block in table.blocks(NAMES):
        n_rows += block.num_rows
        for column, occurring in found.items():
            occurring.add(_encoded(table.where, column, block))
    if n_rows != table.n_rows:
        raise BadInput(
            f"{table.where} says that it has {table.n_rows} rows and holds {n_rows}; write it again"
        )
    names, repetitions, targets = (one.values() for one in found.values())
    for repetition in repetitions:
        if repetition != repetition:
            raise BadInput(f"{table.where}: column 'repetition' has a NaN; fill it in")
    stimuli = ids.numbers(table.where.partition(": ")[0], names, shown)
    shape = (len(shown), len(repetitions), len(targets))
    return Axes(stimuli, tuple(sorted(repetitions)), tuple(sorted(targets)), shape)


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
            self._found.update(dict.fromkeys(_values(used, self._column)))
        self._dictionary = None


class Places:
    """Where the rows of a column's blocks belong along one axis, in steps of the flat array."""

    def __init__(self, column: str, place: Mapping[Any, int], step: int) -> None:
        self._column, self._place, self._step = column, place, step
        self._dictionary: pa.Array | None = None
        self._steps = np.zeros(0, np.int64)

    def of(self, encoded: pa.DictionaryArray) -> Codes:
        """Those of one block."""
        if self._dictionary is None or not encoded.dictionary.equals(self._dictionary):
            self._dictionary = encoded.dictionary
            # A dictionary may hold what no row has.
            places = [self._place.get(one, 0) for one in _values(self._dictionary, self._column)]
            self._steps = np.array(places, np.int64) * self._step
        found: Codes = self._steps[encoded.indices.to_numpy()]
        return found


def _placed(table: LongTable, axes: Axes) -> Iterator[tuple[Codes, pa.RecordBatch]]:
    """Each block, and the places of its rows in the flat array."""
    _, n_repetitions, n_targets = axes.shape
    places = {
        "stimulus_id": Places("stimulus_id", axes.stimuli, n_repetitions * n_targets),
        "repetition": Places("repetition", _numbered(axes.repetitions), n_targets),
        "target_id": Places("target_id", _numbered(axes.targets), 1),
    }
    for block in table.blocks(COLUMNS):
        first, *others = (
            one.of(_encoded(table.where, column, block)) for column, one in places.items()
        )
        for other in others:
            first += other
        yield first, block


def _filled(table: LongTable, axes: Axes) -> Numbers | None:
    """The responses, or None where not every one is there exactly once."""
    found = np.full(axes.shape, np.nan)
    flat, there = found.reshape(-1), np.zeros(axes.n_responses, bool)
    for places, block in _placed(table, axes):
        flat[places] = _numbers(table.where, block.column("response"))
        there[places] = True
    # As many rows as places, and all of these taken: each by one.
    return found if axes.n_responses == table.n_rows and there.all() else None


def _first_wrong(table: LongTable, axes: Axes, shown: StimulusSet) -> str:
    """The first response that is missing or there more than once."""
    counts = np.zeros(axes.n_responses, np.uint32)
    for places, _ in _placed(table, axes):
        np.add.at(counts, places, 1)
    first = int((counts != 1).argmax())
    stimulus, repetition, target = np.unravel_index(first, axes.shape)
    return (
        f"target {axes.targets[target]!r} has {counts[first]} responses to "
        f"{shown.ids[stimulus]!r} in repetition {axes.repetitions[repetition]!r}; exactly one is "
        "needed"
    )


def _encoded(where: str, column: str, block: pa.RecordBatch) -> pa.DictionaryArray:
    values = block.column(column)
    _refuse_null(where, column, values.null_count)
    if pa.types.is_dictionary(values.type):
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


def _values(dictionary: pa.Array, column: str) -> list[Any]:
    """The entries of a dictionary: repetitions as they are, ids as text."""
    listed: list[Any] = dictionary.to_pylist()
    if column == "repetition":
        return listed
    # Some writers store text as bytes without saying that it is text.
    return [one.decode() if isinstance(one, bytes) else str(one) for one in listed]


def _numbers(where: str, column: pa.Array) -> Numbers:
    try:
        numbers: Numbers = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException as error:
        raise BadInput(
            f"{where}: column 'response' is {column.type} and has a value that float64 cannot hold "
            "exactly; save it as float64"
        ) from error
    return numbers


def _numbered(values: Sequence[Any]) -> dict[Any, int]:
    return {value: number for number, value in enumerate(values)}
