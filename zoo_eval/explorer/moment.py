"""Moment: what a store held when it was last read, as the pages and the programs are given it."""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass

from zoo_eval.files.names import printable
from zoo_eval.queries.cells import TEXT
from zoo_eval.queries.connection import Connection, connect
from zoo_eval.queries.definitions import view_sql
from zoo_eval.queries.limits import Limits
from zoo_eval.queries.written import write_json
from zoo_eval.storage.contents import Contents
from zoo_eval.store import Store
from zoo_eval.tables import VIEWS, Column


@dataclass(frozen=True)
class Source:
    """What can be asked: a table with its columns' declarations, or a view with its SQL.

    `note` is what its rows are, or the question that it answers; `sql` is empty for a table.
    """

    name: str
    note: str
    columns: Sequence[Column] = ()
    names: Sequence[str] = ()
    sql: str = ""


@dataclass(frozen=True)
class Shown:
    """What pages show of a store as it was at one time.

    Attributes:
        leaderboard: the rows of the view, a JSON list.
        sources: the tables and views, in their declared order.
        read_at: by the clock that counts seconds since 1970.
    """

    leaderboard: bytes
    sources: Sequence[Source]
    read_at: float


@dataclass(frozen=True)
class Moment:
    """A store as it was at one time, and what is shown of it."""

    contents: Contents
    connection: Connection
    shown: Shown

    @classmethod
    def of(cls, store: Store, limits: Limits, before: "Moment | None" = None) -> "Moment":
        """What a store holds now; of what was there `before` nothing is asked again that cannot have changed.

        Raises:
            StoreError: it cannot be read, or is damaged.
        """
        read_at = time.time()
        contents = store.contents()
        connection = connect(store, limits)
        rows = connection.query("SELECT * FROM leaderboard", TEXT)
        written = io.StringIO()
        write_json(rows, written)
        if before and _declared(before.contents, before.connection) == _declared(
            contents, connection
        ):
            sources = before.shown.sources
        else:
            sources = _sources(contents, connection)
        return cls(contents, connection, Shown(written.getvalue().encode(), sources, read_at))


def _declared(contents: Contents, connection: Connection) -> tuple[object, ...]:
    """All that says which tables, views and columns there are."""
    return dict(contents.tables), list(contents.views), connection.left_out


def _sources(contents: Contents, connection: Connection) -> list[Source]:
    tables = [
        Source(table.name, f"one row per {table.grain}", table.columns)
        for table in contents.tables.values()
    ]
    declared = {view.name: view.sql for view in contents.views}
    texts = {name: view_sql(name) for name in VIEWS} | declared
    views = [
        Source(
            name,
            printable(sql.splitlines()[0].removeprefix("-- ")),
            names=connection.columns(f'SELECT * FROM "{name}"'),
            sql=sql,
        )
        for name, sql in texts.items()
        if name not in connection.left_out
    ]
    return [*tables, *views]
