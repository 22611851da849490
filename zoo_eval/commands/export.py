"""Export: all tables and views as files that need no zoo_eval: one DuckDB, or Parquet or CSV by table."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from zoo_eval.errors import BadInput, one_line
from zoo_eval.privacy import files
from zoo_eval.queries.cells import ARROW, TEXT, Holder
from zoo_eval.queries.connection import Connection, connect, write_database
from zoo_eval.queries.written import UNWRITABLE, csv_writer
from zoo_eval.store import Store

# So many rows of a CSV are Python's at once.
ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class Form:
    """What is exported to: a file of its own for each table, with this suffix.

    `write` takes rows, some at a time, and a new file; `holder` says what it has no values for.
    """

    suffix: str
    holder: Holder
    write: Callable[[pa.RecordBatchReader, Path], int]


def _parquet(rows: pa.RecordBatchReader, out: Path) -> int:
    n = 0
    with (
        files.opened(out, "xb") as file,
        closing(pq.ParquetWriter(file, rows.schema, compression="zstd")) as writer,
    ):
        for batch in rows:
            writer.write_batch(batch)
            n += batch.num_rows
    return n


def _csv(rows: pa.RecordBatchReader, out: Path) -> int:
    n = 0
    with files.opened(out, "x", newline="", encoding="utf-8") as file:
        write = csv_writer(file, rows.schema.names)
        for batch in rows:
            for begin in range(0, batch.num_rows, ROWS_AT_ONCE):
                write(pa.Table.from_batches([batch.slice(begin, ROWS_AT_ONCE)]))
            n += batch.num_rows
    return n


FORMS: Mapping[str, Form] = {
    "parquet": Form(".parquet", ARROW, _parquet),
    "csv": Form(".csv", TEXT, _csv),
}
DATABASE = "duckdb"
FORMATS = (DATABASE, *FORMS)


def export(store: Store, out: Path, form: str | None = None) -> dict[str, int]:
    """Writes every table and view, with the rows that count; how many of each.

    Rows go through some at a time: memory does not grow with the store. Without a `form`, a name with
    a suffix is a DuckDB file, and any other a folder of Parquet.

    Raises:
        BadInput: it exists, cannot be written, or its name and form do not go together.
    """
    form = form or _form(out)
    if out.exists() or out.is_symlink():
        raise BadInput(f"{out} exists; remove it or choose another --out")
    connection = connect(store)
    try:
        if form == DATABASE:
            with files.made_elsewhere(out) as aside:
                return write_database(_tables(connection, ARROW), aside)
        with files.folder_made_elsewhere(out) as aside:
            return {
                name: FORMS[form].write(rows, aside / f"{name}{FORMS[form].suffix}")
                for name, rows in _tables(connection, FORMS[form].holder)
            }
    except (*UNWRITABLE, OSError) as error:
        raise BadInput(f"{out} cannot be written: {one_line(error)}") from error


def _form(out: Path) -> str:
    for name, form in FORMS.items():
        if out.suffix == form.suffix:
            raise BadInput(
                f"{out}: {name} is a folder of files, one a table; --out {out.with_suffix('')} "
                f"--format {name}"
            )
    return DATABASE if out.suffix else "parquet"


def _tables(connection: Connection, holder: Holder) -> Iterator[tuple[str, pa.RecordBatchReader]]:
    for name in connection.names:
        yield name, connection.batches(f'SELECT * FROM "{name}"', holder)
