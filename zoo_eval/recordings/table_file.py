"""A table beside responses: what is known of targets or of presentations, in a CSV or Parquet file."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zoo_eval.errors import BadInput
from zoo_eval.files import csv_table, reading
from zoo_eval.files.reading import check_fits

PARQUET = (".parquet", ".pq")
# Its cells as text take so many times the bytes of a CSV.
CSV_EXPANSION = 10
ADVICE = "raise [run] memory_budget, or leave columns out"


def read(where: str, path: Path, what: str, ids: Sequence[str], most_bytes: int) -> pa.Table:
    """The table; columns of `ids` are text, and in every row.

    Of a CSV, another column in which every cell that is not empty is a number is numbers, and an empty
    cell is null.

    Args:
        where: the recording, for messages.
        path: the file.
        what: it is, for messages.
        ids: columns that must be there.
        most_bytes: what it may take.

    Raises:
        BadInput: the file cannot be read or is too large, has not these columns, or an id is empty.
    """
    place = f"{where}: {path}"
    if path.suffix.lower() in PARQUET:
        found = _parquet(place, path, what, most_bytes)
    else:
        found = _csv(place, path, (what, ids), most_bytes)
    for name in ids:
        if found.column_names.count(name) != 1:
            there = ", ".join(found.column_names) or "none"
            raise BadInput(f"{place} needs one column {name!r} (columns: {there}); add it")
        texts = [None if one is None else str(one) for one in found.column(name).to_pylist()]
        if not all(texts):
            number = [bool(one) for one in texts].index(False)
            raise BadInput(f"{place}: {name} of row {number + 1} is empty; fill it in")
        at = found.column_names.index(name)
        found = found.set_column(at, name, pa.array(texts, pa.string()))
    return found


def _parquet(where: str, path: Path, what: str, most_bytes: int) -> pa.Table:
    with (
        reading.told(where, path, "is not a Parquet file that can be read"),
        pq.ParquetFile(path, page_checksum_verification=True) as file,
    ):
        groups = [file.metadata.row_group(one) for one in range(file.metadata.num_row_groups)]
        needed = 2 * sum(one.total_byte_size for one in groups)
        check_fits(where, what, needed, most_bytes, ADVICE)
        found = file.read(use_threads=False)
        # Text that is none would be met wherever it is first looked at.
        found.validate(full=True)
        return found


def _csv(where: str, path: Path, said: tuple[str, Sequence[str]], most_bytes: int) -> pa.Table:
    what, ids = said
    with reading.told(where, path, "cannot be read as CSV"):
        needed = CSV_EXPANSION * path.stat().st_size
        check_fits(where, what, needed, most_bytes, ADVICE)
        table = csv_table.read(where, path, ids)
        return pa.table({name: _column(name, table, ids) for name in table.columns})


def _column(name: str, table: csv_table.Table, ids: Collection[str]) -> pa.Array:
    cells = [line[name] for line in table.lines]
    if name not in ids and any(cells):
        try:
            return _numbers(
                [csv_table.number(one, table.lines[0].separator) if one else None for one in cells]
            )
        except ValueError:
            pass
    return pa.array([one or None for one in cells], pa.string())


def _numbers(values: Sequence[float | None]) -> pa.Array:
    """Whole numbers where all are; a NaN is null."""
    known: list[Any] = [None if one is None or one != one else one for one in values]
    if all(one is None or (one % 1 == 0 and abs(one) < 2**53) for one in known):
        return pa.array([None if one is None else int(one) for one in known], pa.int64())
    return pa.array(known, pa.float64())
