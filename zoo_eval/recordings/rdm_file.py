"""RDM files: the matrices in a .npz, .mat or .csv, and which stimulus each row is of where they say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import arrays, csv_table, reading
from zoo_eval.files.reading import MOST_BYTES, check_fits
from zoo_eval.recordings import matlab
from zoo_eval.recordings.recording import Numbers

Array = npt.NDArray[Any]


class Wrong(ValueError):
    """What is in a file is whole, but not what it should be."""


Ids = tuple[str, ...]
# The variable of a .npz or .mat that says which stimulus each row is of.
STIMULUS_IDS = "stimulus_ids"
# Its cells as text take so many times the bytes of a CSV.
CSV_EXPANSION = 10


@dataclass(frozen=True, eq=False)
class RdmFile:
    """Numbers as a file holds them, and the ids of its rows and columns, where it has any.

    Ids are one tuple for all subjects or one for each.
    """

    array: Array
    rows: Sequence[Ids] | None = None
    columns: Sequence[Ids] | None = None


def read(
    where: str, path: Path, variable: str | None, n_stimuli: int, most_bytes: int = MOST_BYTES
) -> RdmFile:
    """What is in a .npz, .mat (any version) or .csv file.

    Args:
        where: the recording and its file, for messages.
        path: the file; its suffix says its kind.
        variable: which array of a .npz or .mat; may be None where there is only one.
        n_stimuli: how many were shown, which tells numbers that are ids of a CSV from its values.
        most_bytes: what the file's arrays may take.

    Raises:
        BadInput: an unreadable file, one that claims more than it holds or is too large, no array or
            several without `variable`, or ids that are none.
    """
    readers = {".npz": _npz, ".mat": _mat, ".csv": _csv}
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise BadInput(f"{where} is of no known kind; give a {', '.join(readers)} file")
    with reading.told(where, path, f"cannot be read as {path.suffix}"):
        variables = readers[suffix](where, path, most_bytes)
        ids = _texts(variables.pop(STIMULUS_IDS)) if STIMULUS_IDS in variables else None
    array = _chosen(where, variables, variable)
    if suffix == ".csv":
        return _without_ids(where, array, n_stimuli)
    return RdmFile(array, ids, ids)


def by_subject(where: str, array: Array, n_stimuli: int, known: str) -> Numbers:
    """The array as float64 (subject, stimulus, stimulus).

    It may be (stimulus, stimulus), or condensed: (pair,) or (subject, pair), pairs in the order of
    SciPy's squareform and MATLAB's pdist. Where the sizes leave no doubt, subjects may also be the
    last axis, as MATLAB users have it.

    Args:
        where: the recording and its file, for messages.
        array: numbers as the file holds them.
        n_stimuli: how many there are.
        known: who says how many, for messages.

    Raises:
        BadInput: other than real numbers, or another shape.
    """
    if array.dtype.kind not in "fiub":
        raise BadInput(f"{where}: the array is of type {array.dtype}; give real numbers")
    n, n_pairs = n_stimuli, n_stimuli * (n_stimuli - 1) // 2
    found = np.atleast_2d(array)
    shape = found.shape
    if found.ndim == 2 and found.size and shape[1] == n and shape[0] % n == 0:
        found = found.reshape(-1, n, n)
    elif found.ndim == 2 and found.size and n_pairs in shape:
        subjects = found if shape[1] == n_pairs else found.T
        found = _squares(subjects, n)
    elif found.ndim == 3 and shape[:2] == (n, n) and shape[2] != n:
        found = np.moveaxis(found, 2, 0)
    if found.ndim != 3 or found.shape[1:] != (n, n) or not len(found):
        raise BadInput(
            f"{where}: an array of shape {array.shape}{_of_pairs(array)}, but {known}: expected "
            f"({n}, {n}) or (subjects, {n}, {n}), condensed ({n_pairs},) or (subjects, {n_pairs}); "
            "name the set that was shown"
        )
    return found.astype(np.float64)


def _squares(condensed: Array, n_stimuli: int) -> Numbers:
    """Condensed dissimilarities (subject, pair) as (subject, stimulus, stimulus)."""
    squares = np.zeros((len(condensed), n_stimuli, n_stimuli))
    first, second = np.triu_indices(n_stimuli, 1)
    squares[:, first, second] = squares[:, second, first] = condensed
    return squares


def _of_pairs(array: Array) -> str:
    """Of how many stimuli a vector holds the pairs, if it can be that."""
    n = round((2 * array.size) ** 0.5 + 0.5)
    is_vector = array.size in array.shape and array.size == n * (n - 1) // 2
    return f" (the pairs of {n} stimuli)" if is_vector and n > 2 else ""


def _npz(where: str, path: Path, most_bytes: int) -> dict[str, Array]:
    return arrays.npz(path, most_bytes, where)


def _mat(where: str, path: Path, most_bytes: int) -> dict[str, Array]:
    return matlab.variables(path, where, most_bytes)


def _csv(where: str, path: Path, most_bytes: int) -> dict[str, Array]:
    needed = CSV_EXPANSION * path.stat().st_size
    check_fits(where, "a table of text", needed, most_bytes, "save it as .npz")
    grid = csv_table.opened(str(path), path)
    rows = [cells for _, cells in grid.rows]
    if not rows:
        raise Wrong("no rows")
    # Spreadsheets leave empty columns behind.
    while len(rows[0]) > 1 and not any("".join(cells[len(rows[0]) - 1 :]) for cells in rows):
        rows = [cells[: len(rows[0]) - 1] for cells in rows]
    for (line, _), cells in zip(grid.rows, rows, strict=True):
        if len(cells) != len(rows[0]):
            raise Wrong(f"line {line} has {len(cells)} cells, the first {len(rows[0])}")
    if grid.separator != ",":
        rows = [[_decimal(cell, grid.separator) for cell in cells] for cells in rows]
    return {"": np.array(rows)}


def _decimal(cell: str, separator: str) -> str:
    """A number with a decimal comma as one with a point; all else, such as an id, as it is."""
    try:
        return str(csv_table.number(cell, separator)) if "," in cell else cell
    except ValueError:
        return cell


def _chosen(where: str, variables: Mapping[str, Array], variable: str | None) -> Array:
    if variable is not None and "" not in variables:
        if variable not in variables:
            raise BadInput(f"{where} has no variable {variable!r}; {nearest(variable, variables)}")
        return variables[variable]
    if variable is not None:
        raise BadInput(f"{where} is a CSV and has no variables; remove `variable`")
    if len(variables) != 1:
        held = ", ".join(sorted(variables)) or "none"
        raise BadInput(f"{where} holds {len(variables)} variables ({held}); name one: `variable`")
    return next(iter(variables.values()))


def _texts(array: Array) -> list[Ids]:
    """Ids (stimulus,), also as a row or column, or (subject, stimulus), as one tuple or one each."""
    if array.dtype.kind not in "USiuf":
        raise Wrong(
            f"`{STIMULUS_IDS}` is of type {array.dtype}, not text; of MATLAB take cellstr of it"
        )
    values = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
    if values.ndim == 2 and 1 in values.shape:
        values = values.ravel()
    if values.ndim not in (1, 2):
        raise Wrong(f"`{STIMULUS_IDS}` has shape {values.shape}, give (stimulus,)")
    return [tuple(str(one).strip() for one in row) for row in np.atleast_2d(values)]


def _without_ids(where: str, cells: Array, n_stimuli: int) -> RdmFile:
    """The numbers of a CSV, without the header and the index that may name its stimuli."""
    has_header, has_index = _named(cells, n_stimuli)
    top, left = int(has_header), int(has_index)
    header = [tuple(cells[0, left:].tolist())] if has_header else None
    inner = cells[top:, left:]
    if not inner.size:
        raise BadInput(f"{where} has names alone, and no numbers; give the matrix beside them")
    try:
        if any("_" in cell for cell in inner.flat):
            raise ValueError("NumPy would read 1_000 as a thousand")
        array = inner.astype(np.float64)
    except ValueError as error:
        wrong = next(place for place, cell in np.ndenumerate(inner) if not _is_number(cell))
        row, column = wrong
        raise BadInput(
            f"{where}: row {row + top + 1}, column {column + left + 1} is {str(inner[wrong])!r}; give "
            "numbers below the header"
        ) from error
    index = cells[top:, 0].tolist() if has_index else []
    n = inner.shape[1]
    of_rows = [tuple(index[at : at + n]) for at in range(0, len(index), n)] or header
    return RdmFile(array, of_rows, header or of_rows)


def _named(cells: Array, n_stimuli: int) -> tuple[bool, bool]:
    """Whether a CSV has a header, and an index: by what is no number, and where all are by the sizes."""
    n_rows, n_columns = cells.shape
    header, index = (
        any(cell and not _is_number(cell) for cell in line) for line in (cells[0, 1:], cells[1:, 0])
    )
    extra_row = n_rows % n_stimuli == 1 and n_columns in (n_stimuli, n_stimuli + 1)
    extra_column = n_columns == n_stimuli + 1 and n_rows % n_stimuli in (0, 1)
    if extra_row and extra_column and _is_number(cells[0, 0]) and not (header or index):
        # One stimulus more, and no ids.
        return False, False
    return header or extra_row, index or extra_column


def _is_number(cell: str) -> bool:
    try:
        csv_table.number(cell)
    except ValueError:
        return False
    return True
