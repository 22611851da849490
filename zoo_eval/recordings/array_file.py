"""Arrays of responses as files hold them: .npy, .npz, .mat or .csv, with the names of rows and columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import arrays, csv_table, reading
from zoo_eval.files.arrays import NpyFile
from zoo_eval.files.reading import check_fits
from zoo_eval.recordings import matlab
from zoo_eval.recordings.presentations import Numbers, Values

Array = npt.NDArray[Any]
STIMULUS_IDS, TARGET_IDS, SESSIONS = "stimulus_ids", "target_ids", "sessions"
BESIDE = (STIMULUS_IDS, TARGET_IDS, SESSIONS)
# Columns of a CSV that are no targets.
INDEX, SESSION = "stimulus_id", "session"
MISSING = ("", "nan", "na")
# Its cells as text take so many times the bytes of a CSV.
CSV_EXPANSION = 10
# Of a .npy so much is held before some targets are taken.
BLOCK_BYTES = 2**25


@dataclass(frozen=True, eq=False)
class ArrayFile:
    """Responses (row, target) or (row, repetition, target), and names where the file has any.

    Those of a .npy stay in the file until they are asked for; other kinds are unpacked to be read.
    """

    where: str
    responses: Array | NpyFile
    stimulus_ids: Sequence[str] | None = None
    target_ids: Sequence[str] | None = None
    sessions: Sequence[str] | None = None

    def __post_init__(self) -> None:
        shape, kind = self.responses.shape, self.responses.dtype.kind
        if len(shape) not in (2, 3) or 0 in shape:
            raise BadInput(
                f"{self.where}: responses of shape {shape}; give (stimulus, target), (stimulus, repetition, "
                "target) or (presentation, target)"
            )
        if kind not in "fiub":
            raise BadInput(
                f"{self.where}: responses of type {self.responses.dtype}; give real numbers"
            )

    @property
    def n_rows(self) -> int:
        """How many rows there are, each of one stimulus."""
        return int(self.responses.shape[0])

    @property
    def n_repetitions(self) -> int:
        """How many repetitions each row has."""
        return int(self.responses.shape[1]) if len(self.responses.shape) == 3 else 1

    @property
    def n_targets(self) -> int:
        """How many targets there are."""
        return int(self.responses.shape[-1])

    @property
    def itemsize(self) -> int:
        """Bytes of one response as `columns` gives it."""
        return self._type.itemsize

    @property
    def _type(self) -> np.dtype[Any]:
        single = self.responses.dtype.kind == "f" and self.responses.dtype.itemsize <= 4
        return np.dtype(np.float32 if single else np.float64)

    def columns(self, numbers: Numbers) -> Values:
        """Responses (row and repetition, target) of some targets.

        Raises:
            BadInput: one is infinite.
        """
        found: Values = np.empty((self.n_rows * self.n_repetitions, len(numbers)), self._type)
        start = 0
        for block in self._blocks():
            flat = block.reshape(-1, self.n_targets)
            found[start : start + len(flat)] = flat[:, numbers]
            start += len(flat)
        if np.isinf(found).any():
            row, column = np.argwhere(np.isinf(found))[0]
            raise BadInput(
                f"{self.where}: the response of target number {numbers[column] + 1} in row "
                f"{row // self.n_repetitions + 1} is infinite; write NaN for what is missing"
            )
        return found

    def _blocks(self) -> Iterator[Array]:
        """All rows, some at a time."""
        if isinstance(self.responses, NpyFile):
            yield from (block for _, block in self.responses.blocks(BLOCK_BYTES))
        else:
            yield self.responses


def opened(
    where: str, path: Path, variable: str | None, header: bool | None, most_bytes: int
) -> ArrayFile:
    """What a file holds.

    Args:
        where: the recording and its file, for messages.
        path: the file; its suffix says its kind.
        variable: which array of a .npz or .mat; may be None where there is only one.
        header: whether the first line of a .csv names its columns; None where that is to be seen.
        most_bytes: what its arrays may take, but for those of a .npy, which are read by blocks.

    Raises:
        BadInput: an unreadable file, one of no known kind, no array or several without `variable`, or
            names that are none.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        if variable is not None:
            raise BadInput(f"{where} is a CSV and has no variables; remove `variable`")
        return _csv(where, path, header, most_bytes)
    if header is not None:
        raise BadInput(f"{where} has no header as a CSV has; remove `header`")
    if suffix == ".npy":
        if variable is not None:
            raise BadInput(f"{where} holds one array without a name; remove `variable`")
        return ArrayFile(where, arrays.described(path, where))
    if suffix not in (".npz", ".mat"):
        raise BadInput(f"{where} is of no known kind; give a .npy, .npz, .mat or .csv file")
    with reading.told(where, path, f"cannot be read as {path.suffix}"):
        reader = arrays.npz(path, most_bytes, where) if suffix == ".npz" else None
        held = reader if reader is not None else matlab.variables(path, where, most_bytes)
    responses = _chosen(where, held, variable)
    names = {key: _texts(where, path, key, held[key]) for key in BESIDE if key in held}
    return ArrayFile(where, responses, *(names.get(key) for key in BESIDE))


def _chosen(where: str, held: Mapping[str, Array], variable: str | None) -> Array:
    others = {key: one for key, one in held.items() if key not in BESIDE}
    if variable is not None:
        if variable not in others:
            raise BadInput(f"{where} has no variable {variable!r}; {nearest(variable, others)}")
        return others[variable]
    if len(others) != 1:
        there = ", ".join(sorted(others)) or "none"
        raise BadInput(f"{where} holds {len(others)} arrays ({there}); name one: `variable`")
    return next(iter(others.values()))


def _texts(where: str, path: Path, key: str, array: Array) -> list[str]:
    if array.dtype.kind not in "USiuf":
        raise BadInput(
            f"{where}: `{key}` is of type {array.dtype}, not text; of MATLAB take cellstr of it"
        )
    with reading.told(where, path, f"has no text in `{key}`"):
        values = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
    if values.size != max(values.shape, default=0):
        raise BadInput(f"{where}: `{key}` has shape {values.shape}; give one axis")
    # MATLAB's numbers are floats.
    return [
        f"{one:g}"
        if isinstance(one, float) and one % 1 == 0 and abs(one) < 10**6
        else str(one).strip()
        for one in values.ravel().tolist()
    ]


def _csv(where: str, path: Path, header: bool | None, most_bytes: int) -> ArrayFile:
    needed = CSV_EXPANSION * path.stat().st_size
    check_fits(where, "a table of text", needed, most_bytes, "save it as .npz")
    grid = csv_table.opened(where, path)
    if len(grid.rows) < 2:
        raise BadInput(
            f"{where} has {len(grid.rows)} lines; write a header and a row for each stimulus"
        )
    names, lines = _named(where, grid, header)
    for line, cells in lines:
        if len(cells) != len(names):
            raise BadInput(
                f"{where}, line {line}: {len(cells)} cells, the first {len(names)}; fill it in"
            )
    beside = {one: names.index(one) for one in (INDEX, SESSION) if one in names}
    targets = [number for number in range(len(names)) if number not in beside.values()]
    responses = np.array(
        [_row(where, line, cells, targets, grid.separator) for line, cells in lines]
    )
    held = {one: [cells[at] for _, cells in lines] for one, at in beside.items()}
    columns = [names[number] for number in targets]
    if not all(columns):
        raise BadInput(
            f"{where}: column {columns.index('') + 1} of its targets has no name; name it"
        )
    return ArrayFile(
        where,
        responses.reshape(len(lines), len(targets)),
        held.get(INDEX),
        columns if header is not False else None,
        held.get(SESSION),
    )


Lines = list[tuple[int, list[str]]]


def _named(where: str, grid: csv_table.Grid, header: bool | None) -> tuple[list[str], Lines]:
    """The names of the columns, and the lines below."""
    _, first = grid.rows[0]
    if header is False:
        return [f"column_{number}" for number in range(len(first))], grid.rows
    folded = [one.casefold() for one in first]
    certain = header or INDEX in folded or SESSION in folded
    if not certain and all(_is_number(cell, grid.separator) for cell in first if cell):
        raise BadInput(
            f"{where}: its first line has numbers alone; set header = true if these name targets, or "
            "header = false if they are responses"
        )
    names = [one if one.casefold() not in (INDEX, SESSION) else one.casefold() for one in first]
    if INDEX not in folded and not names[0]:
        # As pandas writes an index.
        names[0] = INDEX
    return names, grid.rows[1:]


def _row(
    where: str, line: int, cells: Sequence[str], targets: Sequence[int], separator: str
) -> list[float]:
    found = []
    for number in targets:
        cell = cells[number]
        try:
            missing = cell.casefold() in MISSING
            found.append(np.nan if missing else csv_table.number(cell, separator))
        except ValueError as error:
            raise BadInput(
                f"{where}, line {line}: column {number + 1} is {cell!r}; give a number, or nothing where it "
                "is missing"
            ) from error
    return found


def _is_number(cell: str, separator: str) -> bool:
    try:
        csv_table.number(cell, separator)
    except ValueError:
        return False
    return True
