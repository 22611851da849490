"""connect(store): a read-only DuckDB over a store's tables and views; the only importer of duckdb."""

import itertools
import os
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from zoo_eval.errors import BadInput, StoreError, ZooEvalError, one_line
from zoo_eval.queries import mistakes, reading, scanning
from zoo_eval.queries.cells import ARROW, Holder
from zoo_eval.queries.definitions import Definitions, view_sql
from zoo_eval.queries.limits import Limits, limits_from
from zoo_eval.queries.running import CutOff, TooLarge, cut_off, within
from zoo_eval.store import Store
from zoo_eval.tables import VIEWS, Table, View

T = TypeVar("T")
# What only the query is to blame for.
WRONG_SQL = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
READ_ONLY = "only one SELECT at a time: the store is read-only here"
# So many rows are counted at once: a limit of memory is not passed by many more.
ROWS_AT_ONCE = 100_000
# No extension is fetched, no variable of Python's looked at, nothing drawn into what a query writes.
SETTINGS: Mapping[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    "enable_progress_bar": False,
    "TimeZone": "UTC",
    "allowed_directories": [scanning.ROOT],
    # Of each file once, however many views read it.
    "parquet_metadata_cache": True,
}


class Connection:
    """A store's tables and views, as they were when it was opened.

    `names` are those of all that can be asked; `left_out` says why a view that another package
    declared cannot. One thread at a time asks it; others take `another()`.
    """

    def __init__(self, store: Store, limits: Limits | None = None) -> None:
        self._store = store
        self.limits = limits or limits_from({}, os.environ)
        # One moment's: a commit that is made meanwhile is in none of the tables.
        contents = self._contents = store.contents()
        tables = contents.tables
        self._files = scanning.Files(contents)
        self._root, self._spill = _opened(self.limits, self._files)
        self._duckdb = self._root
        self._definitions = Definitions(contents, self._files)
        self._definitions.create_tables(self._duckdb.execute)
        # What others wrote comes last: it sees nothing but the store either.
        declared = contents.views
        self.left_out = self._create(declared)
        created = (view.name for view in declared if view.name not in self.left_out)
        self.names = (*tables, *VIEWS, *created)
        self._definitions.views.update((view.name, view.sql) for view in declared)

    def another(self, limits: Limits | None = None) -> "Connection":
        """One over the same tables and views, of the same moment, for another thread.

        Its queries end at limits of their own, or at these; the memory for what all of them compute is
        what the first was opened with, and they share it.
        """
        other = copy(self)
        other.limits = limits or self.limits
        other._duckdb = self._root.cursor()
        return other

    def _create(self, views: Iterable[View]) -> dict[str, str]:
        """Creates views that may build on each other, in whatever order; why some cannot be."""
        waiting = {view.name: view for view in views}
        while True:
            reasons = {name: self._refusal(view) for name, view in waiting.items()}
            left = {name: view for name, view in waiting.items() if reasons[name] is not None}
            if len(left) == len(waiting):
                return {name: str(reasons[name]) for name in left}
            waiting = left

    def _refusal(self, view: View) -> str | None:
        """Why a view cannot be created; None where it now is."""
        try:
            self._define(view.sql)
            self._duckdb.execute(f'CREATE VIEW "{view.name}" AS {self._one_select(view.sql)}')
        except (duckdb.Error, BadInput) as error:
            return one_line(error)
        return None

    def _one_select(self, sql: str) -> str:
        statements = self._duckdb.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise BadInput(READ_ONLY)
        # DuckDB takes for a SELECT what copies or deletes in a WITH.
        told = self._parsed(sql)
        if not reading.only_reads(told):
            raise BadInput(READ_ONLY)
        if (name := reading.opened(told)) is not None:
            raise BadInput(
                f"{name}: only the store's tables and views can be read; ask these by name"
            )
        return sql

    def _parsed(self, sql: str) -> str:
        """A SELECT as DuckDB's JSON of it."""
        ((told,),) = self._duckdb.execute("SELECT json_serialize_sql($1)", [sql]).fetchall()
        return str(told)

    def query(self, sql: str, holder: Holder = ARROW) -> pa.Table:
        """The result of one SELECT; the second of two columns `x` is called `x_1`.

        A column that its holder has no values for is text, as DuckDB writes it: for Arrow a time with
        an offset, for Python an infinite date or a year beyond 9999 besides, for text bytes too.

        Raises:
            BadInput: the SQL is wrong, would change something, or came to a limit.
            StoreError: a file of the store is damaged.
        """
        with self._said(sql):
            self._bring(self._one_select(sql))
            relation = self._relation(sql)
            result = self._rows(relation)
            found = result.rename_columns(_distinct(result.column_names))
            return self._held(relation, found, holder)

    def _relation(self, sql: str) -> duckdb.DuckDBPyRelation:
        return self._cut_off(lambda: self._duckdb.sql(sql))

    def _rows(self, relation: duckdb.DuckDBPyRelation) -> pa.Table:
        return self._cut_off(lambda: within(relation.to_arrow_reader(ROWS_AT_ONCE), self.limits))

    def _cut_off(self, do: Callable[[], T]) -> T:
        try:
            return cut_off(do, self._duckdb.interrupt, self.limits)
        except (CutOff, KeyboardInterrupt):
            # What was interrupted may not have ended yet.
            self._duckdb = self._root.cursor()
            raise

    @contextmanager
    def _said(self, sql: str) -> Iterator[None]:
        """Has an error of a query said in one line."""
        try:
            yield
        except (duckdb.Error, OSError, MemoryError) as error:
            raise self._mistake(sql, error) from error
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise BadInput(
                f"SQL: Arrow has no type for a column ({one_line(error)}); CAST(... AS VARCHAR)"
            ) from error

    def _define(self, sql: str) -> None:
        self._definitions.create(sql, self._duckdb.execute)

    def _bring(self, sql: str) -> None:
        """Has the tables that a query reads hold their rows."""
        try:
            self._definitions.bring(sql, self._duckdb.execute)
        except (OSError, StoreError) as error:
            raise self._unread() from error

    def held(self, sql: str, found: pa.Table, holder: Holder) -> pa.Table:
        """What a SELECT found, with text where this holder has no values.

        Raises:
            BadInput: as `query` does.
        """
        with self._said(sql):
            return self._held(self._relation(self._one_select(sql)), found, holder)

    def _held(self, relation: duckdb.DuckDBPyRelation, found: pa.Table, holder: Holder) -> pa.Table:
        odd = {
            place
            for place, (kind, column) in enumerate(zip(relation.types, found.columns))
            if holder.lacks_type(kind) or holder.lacks_values(column)
        }
        if not odd:
            return found
        chosen = (
            f"CAST(#{place + 1} AS VARCHAR)" if place in odd else f"#{place + 1}"
            for place in range(found.num_columns)
        )
        again = self._rows(relation.project(", ".join(chosen)))
        return again.rename_columns(found.column_names)

    def batches(self, sql: str, holder: Holder = ARROW) -> pa.RecordBatchReader:
        """The result of one SELECT some rows at a time, as `query` gives it whole, without its limits.

        Another query can be asked when its rows are through.

        Raises:
            BadInput: as `query` does, now or with the rows; or a column has a value that its holder lacks.
            StoreError: a file of the store is damaged.
        """
        with self._said(sql):
            self._bring(self._one_select(sql))
            relation = self._relation(sql)
            chosen = (
                f"CAST(#{place} AS VARCHAR)" if holder.lacks_type(kind) else f"#{place}"
                for place, kind in enumerate(relation.types, 1)
            )
            rows = relation.project(", ".join(chosen)).to_arrow_reader(ROWS_AT_ONCE)
            names = _distinct(relation.columns)
        schema = pa.schema([one.with_name(name) for one, name in zip(rows.schema, names)])
        return pa.RecordBatchReader.from_batches(schema, self._checked(sql, rows, schema, holder))

    def _checked(
        self, sql: str, rows: pa.RecordBatchReader, schema: pa.Schema, holder: Holder
    ) -> Iterator[pa.RecordBatch]:
        with self._said(sql):
            for batch in rows:
                for name, column in zip(schema.names, batch.columns):
                    if holder.lacks_values(pa.chunked_array([column])):
                        raise BadInput(
                            f"column {name!r} has a value with no type there: CAST it to VARCHAR"
                        )
                yield batch.rename_columns(schema.names)

    def unfilled(self, sql: str) -> list[Table]:
        """The tables that a SELECT reads, by itself or through views, and that have no rows."""
        found, looked_at = set[str](), [sql]
        while looked_at:
            new = reading.named(self._parsed(looked_at.pop())) - found
            found |= new
            looked_at += [
                self._definitions.views[name] for name in new & self._definitions.views.keys()
            ]
        tables = self._contents.tables.items()
        return [table for name, table in tables if name in found and not self._contents.paths(name)]

    def columns(self, sql: str) -> tuple[str, ...]:
        """The columns of the result of one SELECT, of which nothing is computed.

        Raises:
            BadInput: as `query` does, for what can be told without computing it.
        """
        with self._said(sql):
            self._define(self._one_select(sql))
            return tuple(_distinct(self._relation(sql).columns))

    def _mistake(self, sql: str, error: Exception) -> ZooEvalError:
        if self._files.failed and not isinstance(error, WRONG_SQL):
            self._files.failed = False
            return self._unread()
        if isinstance(error, duckdb.OutOfMemoryException | MemoryError):
            return TooLarge(self.limits)

        def columns(name: str) -> Sequence[str]:
            self._define(name)
            return self._duckdb.sql(f'SELECT * FROM "{name}"').columns

        said = mistakes.explained(str(error), sql, self.names, columns)
        return BadInput(f"SQL: {said}{self._why_left_out(sql)}")

    def _unread(self) -> StoreError:
        """Why files that were there when the store was opened cannot be read."""
        if (damage := self._store.damage()) is not None:
            return StoreError(damage)
        if self._contents.damage() is None:
            return StoreError(f"store {self._store.name} could not be read; run the same again")
        return StoreError(
            f"store {self._store.name}: files were merged since it was opened, long ago; open it again"
        )

    def _why_left_out(self, sql: str) -> str:
        return "".join(
            f"; the declared view {name!r} is left out: {reason}; correct it where it is declared"
            for name, reason in self.left_out.items()
            if re.search(rf"\b{name}\b", sql)
        )

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The result of one SELECT as rows."""
        rows: list[dict[str, Any]] = self.query(sql).to_pylist()
        return rows


def select(table: pa.Table, where: str | None, option: str = "--where") -> pa.Table:
    """The rows of a table that fulfil an SQL condition; all without one. `option` is where it was given.

    Raises:
        BadInput: the condition is wrong.
    """
    if where is None:
        return table
    with duckdb.connect() as connection:
        connection.execute("SET enable_external_access = false")
        try:
            return connection.from_arrow(table).filter(where).to_arrow_table()
        except duckdb.Error as error:
            raise BadInput(f"{option}: {one_line(error)}") from error


def connect(store: Store, limits: Limits | None = None) -> Connection:
    """Opens a store for queries, each within limits; DuckDB spills what is more to a folder of its own."""
    return Connection(store, limits)


def _opened(
    limits: Limits, files: scanning.Files
) -> tuple[duckdb.DuckDBPyConnection, TemporaryDirectory[str]]:
    """DuckDB, which sees nothing but the store, and where it spills: that goes when nobody uses it."""
    spill = TemporaryDirectory(prefix="zoo_eval-", dir=limits.spill)
    opened = duckdb.connect()
    # Closed before Python ends: it reads through Python.
    weakref.finalize(spill, opened.close)
    opened.register_filesystem(files)
    settings = {
        **SETTINGS,
        "memory_limit": f"{limits.memory_bytes}B",
        "temp_directory": spill.name,
    }
    for name, value in settings.items():
        opened.execute(f"SET {name} = {value!r}")
    opened.execute("SET enable_external_access = false")
    opened.execute("SET lock_configuration = true")
    return opened, spill


def question(name: str) -> str:
    """The question a view answers."""
    return view_sql(name).splitlines()[0].removeprefix("-- ")


def write_database(tables: Iterable[tuple[str, pa.RecordBatchReader]], out: Path) -> dict[str, int]:
    """Writes tables, some rows at a time, to a new DuckDB file; the rows of each.

    Raises:
        OSError: it cannot be written.
    """
    counts = {}
    try:
        with duckdb.connect(str(out)) as target:
            for name, rows in tables:
                target.register("rows", rows)
                target.execute(f'CREATE TABLE "{name}" AS SELECT * FROM rows')
                target.unregister("rows")
                ((counts[name],),) = target.execute(f'SELECT count(*) FROM "{name}"').fetchall()
    except duckdb.Error as error:
        raise OSError(one_line(error)) from error
    return counts


def _distinct(names: Sequence[str]) -> list[str]:
    distinct: list[str] = []
    for name in names:
        others = (f"{name}_{n}" for n in itertools.count(1))
        distinct.append(next(new for new in itertools.chain([name], others) if new not in distinct))
    return distinct
