"""RDMs in tables of text: .csv or .tsv, with a header and an index or without."""

from pathlib import Path

import numpy as np

from zoo_eval.errors import BadInput
from zoo_eval.files import csv_table
from zoo_eval.files.reading import check_fits
from zoo_eval.recordings.rdm_kinds.content import Array, RdmFile, Wrong, n_of_pairs

# Its cells as text take so many times the bytes of a CSV.
CSV_EXPANSION = 10


def read(
    where: str, path: Path, variable: str | None, n_stimuli: int | None, most_bytes: int
) -> RdmFile:
    """What is in a .csv or .tsv file; see rdm_file.read.

    Raises:
        BadInput: it is no table of numbers, or `variable` is given.
    """
    cells = _cells(where, path, most_bytes)
    if variable is not None:
        kind = path.suffix.lower().removeprefix(".").upper()
        raise BadInput(f"{where} is a {kind} and has no variables; remove `variable`")
    n = n_stimuli or _likely(cells)
    n_pairs = n * (n - 1) // 2
    # Three stimuli have three pairs, and are read as a matrix.
    found = _of_pairs(where, cells, n_pairs) if n_pairs > 3 else None
    return found or _of_matrices(where, cells, n)


def _cells(where: str, path: Path, most_bytes: int) -> Array:
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
    return np.array(rows)


def _decimal(cell: str, separator: str) -> str:
    """A number with a decimal comma as one with a point; all else, such as an id, as it is."""
    try:
        return str(csv_table.number(cell, separator)) if "," in cell else cell
    except ValueError:
        return cell


def _of_pairs(where: str, cells: Array, n_pairs: int) -> RdmFile | None:
    """Condensed dissimilarities: a row for each subject, whose name its index is; or one column.

    None where the table has another number of columns.
    """
    n_rows, n_columns = cells.shape
    if n_columns == 1:
        top = n_rows - n_pairs
        fits = top == 0 or (top == 1 and not _is_number(cells[0, 0]))
        return RdmFile(_numbers(where, cells, top, 0)[:, 0]) if fits else None
    left = n_columns - n_pairs
    if left not in (0, 1):
        return None
    top = int(_is_header(cells[0, left:]))
    named = not top or not _is_number(cells[0, 0]) if left else True
    if left and not (top and named) and all(map(_is_number, cells[top:, 0])):
        # One pair more, and no names.
        return None
    subjects = tuple(cells[top:, 0].tolist()) if left else None
    return RdmFile(_numbers(where, cells, top, left), subjects=subjects)


def _is_header(line: Array) -> bool:
    """Whether a row of pairs names them, or numbers them as table libraries do."""
    names = line.tolist()
    counted = [[str(number + first) for number in range(len(names))] for first in (0, 1)]
    return names in counted or any(cell and not _is_number(cell) for cell in names)


def _of_matrices(where: str, cells: Array, n_stimuli: int) -> RdmFile:
    """The numbers of a table, without the header and the index that may name its stimuli."""
    has_header, has_index = _named(cells, n_stimuli)
    top, left = int(has_header), int(has_index)
    header = [tuple(cells[0, left:].tolist())] if has_header else None
    array = _numbers(where, cells, top, left)
    index = cells[top:, 0].tolist() if has_index else []
    n = array.shape[1]
    of_rows = [tuple(index[at : at + n]) for at in range(0, len(index), n)] or header
    return RdmFile(array, of_rows, header or of_rows)


def _numbers(where: str, cells: Array, top: int, left: int) -> Array:
    """The cells below the header and beside the index as float64."""
    inner = cells[top:, left:]
    if not inner.size:
        raise BadInput(f"{where} has names alone, and no numbers; give the matrix beside them")
    try:
        if any("_" in cell for cell in inner.flat):
            raise ValueError("NumPy would read 1_000 as a thousand")
        return inner.astype(np.float64)
    except ValueError as error:
        wrong = next(place for place, cell in np.ndenumerate(inner) if not _is_number(cell))
        row, column = wrong
        raise BadInput(
            f"{where}: row {row + top + 1}, column {column + left + 1} is {str(inner[wrong])!r}; give "
            "numbers below the header"
        ) from error


def _likely(cells: Array) -> int:
    """How many stimuli there are, where nobody says."""
    n_rows, n_columns = cells.shape
    if 1 in cells.shape:
        return n_of_pairs(cells.size) or n_of_pairs(cells.size - 1) or n_columns
    first, last = cells[0, 0], cells[-1, 0]
    below_a_header = not _is_number(first) and n_rows % (n_columns - 1) == 1
    has_index = not _is_number(last) or not first or below_a_header
    n = n_columns - int(has_index)
    return n if n_rows % n in (0, 1) else n_of_pairs(n) or n


def _named(cells: Array, n_stimuli: int) -> tuple[bool, bool]:
    """Whether a table has a header, and an index: by what is no number, and where all are by the sizes."""
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
