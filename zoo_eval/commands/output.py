"""Query results on standard output: as a table, CSV, JSON or Parquet."""

import sys

import pyarrow as pa

from zoo_eval.errors import BadInput
from zoo_eval.queries.written import WIDEST, as_text, parquet, write_csv, write_json


def write(table: pa.Table, form: str, *, widest: int = WIDEST) -> None:
    """Writes a table to standard output; as text, with cells cut to `widest` characters.

    As a table, what would steer a terminal is shown escaped.

    Raises:
        BadInput: Parquet to a terminal, or of a column that it cannot hold.
    """
    if form == "parquet":
        if sys.stdout.isatty():
            raise BadInput("Parquet is binary: redirect it to a file (> rows.parquet)")
        sys.stdout.buffer.write(parquet(table))
    elif form == "json":
        write_json(table, sys.stdout)
    elif form == "csv":
        write_csv(table, sys.stdout)
    else:
        print(as_text(table, widest))
