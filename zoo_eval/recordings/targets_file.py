"""A table of targets: `target_id` and whatever else is known of them, in a CSV or Parquet file."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from zoo_eval.errors import BadInput
from zoo_eval.recordings import table_file
from zoo_eval.recordings.presentations import TARGET_ID


def read(where: str, path: Path, most_bytes: int) -> pa.Table:
    """The table; `target_id` is text, an empty cell or a NaN is null.

    Of a CSV, a column in which every cell that is not empty is a number is numbers.

    Raises:
        BadInput: the file cannot be read or is too large, has no `target_id`, or one is empty.
    """
    found = table_file.read(where, path, "the table of targets", [TARGET_ID], most_bytes)
    return without_nan(found)


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
            values = table.column(number).to_numpy()
            table = table.set_column(number, field.name, pa.array(values, from_pandas=True))
    return table
