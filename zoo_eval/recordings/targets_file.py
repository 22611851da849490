"""A table of targets: `target_id` and whatever else is known of them, in a CSV or Parquet file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from zoo_eval.errors import BadInput
from zoo_eval.files import csv_table, reading
from zoo_eval.files.reading import check_fits
from zoo_eval.recordings.presentations import TARGET_ID

PARQUET = (".parquet", ".pq")
# Its cells as text take so many times the bytes of a CSV.
CSV_EXPANSION = 10
ADVICE = "raise [run] memory_budget, or leave columns out"


def read(where: str, path: Path, most_bytes: int) -> pa.Table:
    """The table; `target_id` is text, an empty cell or a NaN is null.

    Of a CSV, a column in which every cell that is not empty is a number is numbers.

    Raises:
        BadInput: the file cannot be read or is too large, has no `target_id`, or one is empty.
    """
    place = f"{where}: {path}"
    of_parquet = path.suffix.lower() in PARQUET
    found = _parquet(place, path, most_bytes) if of_parquet else _csv(place, path, most_bytes)
    if found.column_names.count(TARGET_ID) != 1:
        there = ", ".join(found.column_names) or "none"
        raise BadInput(f"{place} needs one column {TARGET_ID!r} (columns: {there}); add it")
    ids = [None if one is None else str(one) for one in found.column(TARGET_ID).to_pylist()]
    if not all(ids):
        number = [bool(one) for one in ids].index(False)
        raise BadInput(f"{place}: {TARGET_ID} of row {number + 1} is empty; fill it in")
    at = found.column_names.index(TARGET_ID)
    return found.set_column(at, TARGET_ID, pa.array(ids, pa.string()))


def of_targets(where: str, table: pa.Table, target_ids: Sequence[str]) -> pa.Table:
    """The rows of some targets, in their order.

    Raises:
        BadInput: a target has no row, or two.
    """
    place: dict[str, int] = {}
    for row, one in enumerate(table.column(TARGET_ID).to_pylist()):
        if one in place:
            raise BadInput(
                f"{where}: target {one!r} stands twice in the table of targets; keep one"
            )
        place[one] = row
    if missing := [one for one in target_ids if one not in place]:
        raise BadInput(
            f"{where}: target {missing[0]!r} is not in the table of targets ({len(missing)} such); add a "
            "row for each"
        )
    return table.take([place[one] for one in target_ids])


def of_ids(target_ids: Sequence[str]) -> pa.Table:
    """A table of ids alone."""
    return pa.table({TARGET_ID: pa.array(target_ids, pa.string())})


def without_nan(table: pa.Table) -> pa.Table:
    """The table with null for NaN, which SQL would take for larger than any number."""
    for number, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            values = table.column(number).to_numpy().astype(np.float64)
            table = table.set_column(number, field.name, pa.array(values, from_pandas=True))
    return table


def _parquet(where: str, path: Path, most_bytes: int) -> pa.Table:
    with (
        reading.told(where, path, "is not a Parquet file that can be read"),
        pq.ParquetFile(path, page_checksum_verification=True) as file,
    ):
        groups = [file.metadata.row_group(one) for one in range(file.metadata.num_row_groups)]
        needed = 2 * sum(one.total_byte_size for one in groups)
        check_fits(where, "the table of targets", needed, most_bytes, ADVICE)
        found = file.read(use_threads=False)
        # Text that is none would be met wherever it is first looked at.
        found.validate(full=True)
        return without_nan(found)


def _csv(where: str, path: Path, most_bytes: int) -> pa.Table:
    with reading.told(where, path, "cannot be read as CSV"):
        needed = CSV_EXPANSION * path.stat().st_size
        check_fits(where, "the table of targets", needed, most_bytes, ADVICE)
        table = csv_table.read(where, path, [TARGET_ID])
        return pa.table({name: _column(name, table) for name in table.columns})


def _column(name: str, table: csv_table.Table) -> pa.Array:
    cells = [line[name] for line in table.lines]
    if name != TARGET_ID and any(cells):
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
