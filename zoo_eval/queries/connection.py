"""connect(store): a read-only DuckDB over a store's tables and views; the only importer of duckdb."""

import itertools
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from zoo_eval.errors import BadInput, StoreError, ZooEvalError, one_line
from zoo_eval.privacy import files
from zoo_eval.queries import mistakes
from zoo_eval.queries.cells import ARROW, Holder
from zoo_eval.queries.limits import Limits
from zoo_eval.queries.wanted import wanted
from zoo_eval.store import Store
from zoo_eval.tables import TRIALS, VIEWS, Table, View

# What only the query is to blame for.
WRONG_SQL = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)


class Connection:
    """A store's tables and views, as they were when it was opened.

    `names` are those of all that can be asked; `left_out` says why a view that another package
    declared cannot.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._duckdb = duckdb.connect()
        # Local session settings only; queries see nothing but the store.
        self._duckdb.execute("SET TimeZone = 'UTC'")
        # It would be drawn into what a query writes.
        self._duckdb.execute("SET enable_progress_bar = false")
        # One moment's: a commit that is made meanwhile is in none of the tables.
        contents = self._contents = store.contents()
        tables = contents.tables
        for name, table in tables.items():
            self._duckdb.register(f"_{name}", table.schema_in_sql.empty_table())
        self._unread_tables = set(tables)
        for table in tables.values():
            self._duckdb.execute(f'CREATE VIEW "{table.name}" AS {_visible(table)}')
        self._duckdb.execute("SET enable_external_access = false")
        self._duckdb.execute("SET lock_configuration = true")
        # The views are created when they are asked for: all of them take a fifth of a second.
        self._views = {name: view_sql(name) for name in VIEWS}
        self._not_created = set(VIEWS)
        # What others wrote comes last: it sees nothing but the store either.
        declared = contents.views
        self.left_out = self._create(declared)
        created = (view.name for view in declared if view.name not in self.left_out)
        self.names = (*tables, *VIEWS, *created)
        self._views |= {view.name: view.sql for view in declared}

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
            raise BadInput("only one SELECT at a time: the store is read-only here")
        return sql

    def query(self, sql: str, holder: Holder = ARROW) -> pa.Table:
        """The result of one SELECT; the second of two columns `x` is called `x_1`.

        A column that its holder has no values for is text, as DuckDB writes it: for Arrow a time with
        an offset, for Python an infinite date or a year beyond 9999 besides, for text bytes too.

        Raises:
            BadInput: the SQL is wrong, or would change something.
            StoreError: a file of the store is damaged.
        """
        try:
            self._bring(self._one_select(sql))
            result = self._duckdb.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise self._mistake(sql, error) from error
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise BadInput(
                f"SQL: Arrow has no type for a column ({one_line(error)}); CAST(... AS VARCHAR)"
            ) from error
        return self.held(sql, result.rename_columns(_distinct(result.column_names)), holder)

    def _define(self, sql: str) -> set[str]:
        """Creates the views that a query reads; the tables that it reads."""
        tables, views = wanted(sql, self._contents.tables, self._views)
        for name in views:
            if name in self._not_created:
                self._duckdb.execute(f"CREATE VIEW {name} AS {self._views[name]}")
                self._not_created.discard(name)
        return tables

    def _bring(self, sql: str) -> None:
        """Has the tables that a query reads hold their rows: nobody waits for those of others."""
        found = self._define(sql)
        if found & {name for name, table in self._contents.tables.items() if table.ledgered}:
            found.add(TRIALS.name)
        for name in found & self._unread_tables:
            # Nearly every view reads the ledger, which is small: from its many files only once.
            read = self._contents.read if name == TRIALS.name else self._contents.dataset
            try:
                rows = read(name, self._contents.tables[name].schema_in_sql)
            except (OSError, StoreError) as error:
                raise self._unread() from error
            self._duckdb.register(f"_{name}", rows)
            self._unread_tables.discard(name)

    def held(self, sql: str, found: pa.Table, holder: Holder) -> pa.Table:
        """What a SELECT found, with text where this holder has no values.

        Raises:
            BadInput: as `query` does.
        """
        try:
            relation = self._duckdb.sql(self._one_select(sql))
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
            again = relation.project(", ".join(chosen)).to_arrow_table()
        except duckdb.Error as error:
            raise self._mistake(sql, error) from error
        return again.rename_columns(found.column_names)

    def columns(self, sql: str) -> tuple[str, ...]:
        """The columns of the result of one SELECT, of which nothing is computed.

        Raises:
            BadInput: as `query` does, for what can be told without computing it.
        """
        try:
            self._define(self._one_select(sql))
            return tuple(_distinct(self._duckdb.sql(sql).columns))
        except duckdb.Error as error:
            raise self._mistake(sql, error) from error

    def _mistake(self, sql: str, error: duckdb.Error) -> ZooEvalError:
        if not isinstance(error, WRONG_SQL) and self._contents.damage() is not None:
            return self._unread()

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

    def image_rates(self) -> dict[str, float]:
        """Measured image passes per second by model."""
        return {
            row["model"]: row["rate"]
            for row in self.rows(
                "SELECT model, sum(images_per_s * seconds) / sum(seconds) AS rate FROM trials "
                "WHERE images_per_s IS NOT NULL AND status = 'ok' GROUP BY model"
            )
        }

    def flop_rate(self) -> float | None:
        """Measured FLOPs per second: the median of all models whose FLOPs are known."""
        found = self.rows(
            "WITH rates AS (SELECT any_value(flops) * sum(images_per_s * seconds) / sum(seconds) "
            "AS rate FROM trials JOIN models USING (model, weights_digest) "
            "WHERE images_per_s IS NOT NULL AND status = 'ok' GROUP BY model) "
            "SELECT median(rate) AS rate FROM rates"
        )
        return found[0]["rate"] if found else None

    def devices(self) -> list[str]:
        """What those were measured on."""
        found = self.rows(
            "SELECT DISTINCT device FROM trials "
            "WHERE images_per_s IS NOT NULL AND status = 'ok' ORDER BY device"
        )
        return [row["device"] for row in found]

    def gpu_peaks(self) -> dict[str, int]:
        """The largest GPU memory that a trial of each model took, in bytes."""
        return {
            row["model"]: row["peak"]
            for row in self.rows(
                "SELECT model, max(peak_gpu_bytes) AS peak FROM trials "
                "WHERE peak_gpu_bytes IS NOT NULL AND status = 'ok' GROUP BY model"
            )
        }

    def batch_sizes(self) -> dict[str, dict[str, int]]:
        """Images per batch that the last trial of each model came to, by device."""
        sizes: dict[str, dict[str, int]] = {}
        for row in self.rows(
            "SELECT model, device, arg_max(batch_size, started_at) AS size FROM trials "
            "WHERE batch_size IS NOT NULL AND status = 'ok' GROUP BY model, device"
        ):
            sizes.setdefault(row["model"], {})[row["device"]] = row["size"]
        return sizes

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
    """Opens a store for queries."""
    return Connection(store)


def view_sql(name: str) -> str:
    """A view's SQL; its first line is the question it answers."""
    return resources.files("zoo_eval.queries").joinpath(f"views/{name}.sql").read_text()


def question(name: str) -> str:
    """The question a view answers."""
    return view_sql(name).splitlines()[0].removeprefix("-- ")


def export(store: Store, out: Path) -> dict[str, int]:
    """Writes every table and view as a table of one DuckDB file; the rows of each.

    Raises:
        BadInput: the file exists or cannot be written.
    """
    if out.exists():
        raise BadInput(f"{out} exists; remove it or choose another --out")
    connection = connect(store)
    try:
        with files.made_elsewhere(out) as aside:
            return _copied(connection, aside)
    except (duckdb.Error, OSError) as error:
        raise BadInput(f"{out} cannot be written: {one_line(error)}") from error


def _copied(connection: Connection, out: Path) -> dict[str, int]:
    counts = {}
    with duckdb.connect(str(out)) as target:
        for name in connection.names:
            rows = connection.query(f'SELECT * FROM "{name}"')
            target.register("rows", rows)
            target.execute(f'CREATE TABLE "{name}" AS SELECT * FROM rows')
            target.unregister("rows")
            counts[name] = rows.num_rows
    return counts


def _distinct(names: Sequence[str]) -> list[str]:
    distinct: list[str] = []
    for name in names:
        others = (f"{name}_{n}" for n in itertools.count(1))
        distinct.append(next(new for new in itertools.chain([name], others) if new not in distinct))
    return distinct


def _visible(table: Table) -> str:
    """Of what belongs to trials, only rows of the one commit that finished its trial."""
    if not table.ledgered:
        return f"SELECT * FROM _{table.name}"
    return (
        f"SELECT * FROM _{table.name} SEMI JOIN (SELECT trial_id, commit_id FROM _trials "
        "WHERE status = 'ok') USING (trial_id, commit_id)"
    )
