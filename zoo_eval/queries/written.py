"""Query results as they are written: a table to read, CSV, JSON or Parquet."""

import csv
import json
import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from zoo_eval.errors import BadInput
from zoo_eval.files.names import printable

WIDEST = 60
# What PyArrow raises of a type, or of a value, that Parquet has not.
UNWRITABLE = (pa.ArrowException, ValueError, OverflowError)


def write_csv(table: pa.Table, file: IO[str]) -> None:
    """Writes a table as CSV, every cell as it is.

    One that begins with `=` is a formula to a spreadsheet, and another text would be wrong to a program.
    """
    csv_writer(file, table.column_names)(table)


def csv_writer(file: IO[str], names: Sequence[str]) -> Callable[[pa.Table], None]:
    """Writes the head of a CSV; what then adds rows to it. Lists, structs and maps are JSON."""
    writer = csv.writer(file)
    writer.writerow(names)

    def write_rows(table: pa.Table) -> None:
        writer.writerows([_plain(value) for value in row.values()] for row in _rows(table))

    return write_rows


def write_json(table: pa.Table, file: IO[str]) -> None:
    """Writes a table as a JSON list of one object a row."""
    json.dump(_of_json(_rows(table)), file, indent=1, default=str, allow_nan=False)
    file.write("\n")


def as_text(table: pa.Table, widest: int = WIDEST) -> str:
    """The table in aligned columns, numbers to the right."""
    rows = _rows(table)
    cells = [[short(row[name], widest) for row in rows] for name in table.column_names]
    numeric = [pa.types.is_integer(c.type) or pa.types.is_floating(c.type) for c in table.columns]
    names = [printable(name) for name in table.column_names]
    widths = [max(map(len, [name, *column])) for name, column in zip(names, cells)]
    lines = [
        names,
        ["-" * width for width in widths],
        *map(list, zip(*cells)),
    ]
    return "\n".join(
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric)
        ).rstrip()
        for line in lines
    )


def parquet(table: pa.Table) -> memoryview:
    """The bytes of a Parquet file.

    Raises:
        BadInput: Parquet has no type for a column, or no value for what it holds; it is named.
    """
    content = pa.BufferOutputStream()
    try:
        pq.write_table(table, content)
    except UNWRITABLE as error:
        name, why = next(_unwritable(table), ("...", str(error)))
        quoted = name.replace('"', '""')
        raise BadInput(
            f"column {name!r}: Parquet cannot hold it ({why}); take it as text: "
            f'CAST("{quoted}" AS VARCHAR)'
        ) from error
    return memoryview(content.getvalue())


def _unwritable(table: pa.Table) -> Iterator[tuple[str, str]]:
    """The columns that Parquet cannot hold, and why."""
    for field in table.schema:
        try:
            pq.write_table(table.select([field.name]), pa.BufferOutputStream())
        except UNWRITABLE as error:
            yield field.name, f"{field.type}: {' '.join(str(error).split())}"


def _of_json(value: Any) -> Any:
    """The value with text for the numbers that JSON has not: "NaN", "Infinity", "-Infinity".

    Decimals are numbers where they are whole, or where a reader's double is the same, and else text.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, dict):
        return {str(key): _of_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_of_json(one) for one in value]
    return value


def _number(value: Decimal) -> int | float | str:
    if value == value.to_integral_value():
        return int(value)
    nearest = float(value)
    return nearest if Decimal(repr(nearest)) == value else str(value)


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="strict")
    return rows


def short(value: Any, widest: int = WIDEST) -> str:
    """A value as one cell, cut where it is long."""
    text = printable(_readable(value))
    return text if len(text) <= widest else text[: widest - 3] + "..."


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_readable(some)}" for key, some in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(_plain(value))


def _plain(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, list | dict | tuple):
        return json.dumps(_of_json(value), default=str, allow_nan=False)
    return value
