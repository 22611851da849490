"""Answering: the process that a question in SQL is asked of, which may be ended at any moment.

    python -m zoo_eval.explorer.answering

It is asked and answers in pairs of messages on its standard input and output: a header in JSON, and bytes.
DuckDB does not count all memory that a query takes, and does not stop in the middle of a function's work:
whoever asks watches this process, and ends it.
"""

import io
import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from zoo_eval.errors import BadInput, StoreError, ZooEvalError, as_line, one_line
from zoo_eval.explorer.processes import spoken_to
from zoo_eval.queries.cells import ARROW, TEXT
from zoo_eval.queries.connection import connect
from zoo_eval.queries.limits import Limits
from zoo_eval.queries.written import parquet, short, write_csv, write_json
from zoo_eval.storage.contents import Contents
from zoo_eval.store import Store
from zoo_eval.units import size_text

# What a page shows of a result; a download has it all.
SHOWN = 500
WIDEST = 300
LOOK_EVERY_S = 2.0
# Others on this machine come first.
NICER = 5


class Desk:
    """A store opened for questions, and opened anew where it has moved since."""

    def __init__(self, uri: str, limits: Limits) -> None:
        self._store = Store(uri)
        self._uri = uri
        self._limits = limits
        self._contents: Contents = self._store.contents()
        self._connection = connect(self._store, limits)
        self._looked_at = time.monotonic()

    def query(self, sql: str, form: str, most_rows: int) -> pa.Table:
        """At most that many rows of one SELECT's result, and one more if there are more.

        Raises:
            BadInput: the SQL is wrong, or would change something.
            StoreError: the store cannot be read.
        """
        if time.monotonic() - self._looked_at > LOOK_EVERY_S:
            # What was read before still answers where it cannot be read now.
            with suppress(StoreError):
                self._look()
        try:
            return self._asked(sql, form, most_rows)
        except StoreError:
            # Files were merged, and removed, since it was opened.
            self._open()
            return self._asked(sql, form, most_rows)

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        if self._contents.is_past():
            self._open()

    def _open(self) -> None:
        store = Store(self._uri)
        contents = store.contents()
        self._store, self._contents = store, contents
        self._connection = connect(store, self._limits)

    def _asked(self, sql: str, form: str, most_rows: int) -> pa.Table:
        # It is one SELECT by itself, or this says what is wrong with it, and where.
        self._connection.columns(sql)
        bare = sql.strip().rstrip(";")
        limited = f"SELECT * FROM (\n{bare}\n) LIMIT {most_rows + 1}"
        try:
            self._connection.columns(limited)
        except BadInput:
            limited = sql
        return self._connection.query(limited, ARROW if form == "parquet" else TEXT)


def _shown(table: pa.Table, most_rows: int) -> bytes:
    """What a page shows of a result, as JSON."""
    numeric = [
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        for kind in table.schema.types
    ]
    rows = table.slice(0, SHOWN).to_pylist(maps_as_pydicts="strict")
    found = {
        "columns": table.column_names,
        "numeric": numeric,
        "rows": [[short(value, WIDEST) for value in row.values()] for row in rows],
        "n_rows": min(table.num_rows, most_rows),
        "is_cut": table.num_rows > most_rows,
    }
    return json.dumps(found).encode()


def _text(write: Callable[[pa.Table, io.StringIO], None]) -> Callable[[pa.Table, int], bytes]:
    def written(table: pa.Table, most_rows: int) -> bytes:
        _check_all(table, most_rows)
        file = io.StringIO()
        write(table, file)
        return file.getvalue().encode()

    return written


def _as_parquet(table: pa.Table, most_rows: int) -> bytes:
    _check_all(table, most_rows)
    return bytes(parquet(table))


def _check_all(table: pa.Table, most_rows: int) -> None:
    if table.num_rows > most_rows:
        raise BadInput(
            f"SQL: the result has more than {most_rows:,} rows, the most that is sent; add a LIMIT, or "
            "run `zoo-eval sql` where the store is"
        )


FORMS: Mapping[str, Callable[[pa.Table, int], bytes]] = {
    "page": _shown,
    "csv": _text(write_csv),
    "json": _text(write_json),
    "parquet": _as_parquet,
}


def answer(desk: Desk, asked: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The header and the bytes that answer one question; an error is an answer too."""
    began = time.monotonic()
    try:
        table = desk.query(asked["sql"], asked["form"], asked["most_rows"])
        content = FORMS[asked["form"]](table, asked["most_rows"])
        if len(content) > asked["most_bytes"]:
            raise BadInput(
                f"SQL: the result is {size_text(len(content))}, more than the "
                f"{size_text(asked['most_bytes'])} that are sent; ask for fewer rows or columns"
            )
    except ZooEvalError as error:
        return {"error": as_line(str(error)), "is_bad_input": isinstance(error, BadInput)}, b""
    except MemoryError:
        return {"error": "SQL: the query took more memory than it may", "is_bad_input": True}, b""
    except Exception as error:  # noqa: BLE001  whatever it is, the next question is answered
        return {"error": f"SQL: {one_line(error)}", "is_bad_input": True}, b""
    return {"seconds": time.monotonic() - began}, content


def main() -> int:
    """Answers until there are no more questions."""
    inbox, outbox = spoken_to(NICER)
    desk: Desk | None = None
    told = json.loads(inbox.recv_bytes())
    spill = told["spill"]
    limits = Limits(told["seconds"], told["memory_bytes"], Path(spill) if spill else None)
    with suppress(ZooEvalError):
        desk = Desk(told["uri"], limits)
    outbox.send_bytes(b"open")
    while True:
        try:
            asked = json.loads(inbox.recv_bytes())
        except EOFError:
            return 0
        try:
            desk = desk or Desk(told["uri"], limits)
            header, content = answer(desk, asked)
        except ZooEvalError as error:
            header, content = {"error": as_line(str(error)), "is_bad_input": False}, b""
        outbox.send_bytes(json.dumps(header).encode())
        outbox.send_bytes(content)


if __name__ == "__main__":
    sys.exit(main())
