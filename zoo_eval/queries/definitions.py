"""Definitions: a store's tables and views as SQL, made when a query first reads them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from zoo_eval.queries.scanning import Files, source
from zoo_eval.queries.wanted import wanted
from zoo_eval.storage.contents import Contents
from zoo_eval.tables import TRIALS, VIEWS, Table

# Views that nearly all others read: computed once, as what they are of never changes.
KEPT = {"current_trials"}
# Which commit counts for each trial that is done.
COUNTED = "SELECT trial_id, commit_id FROM trials WHERE status = 'ok'"
Execute = Callable[[str], Any]


def view_sql(name: str) -> str:
    """A view's SQL; its first line is the question it answers."""
    return resources.files("zoo_eval.queries").joinpath(f"views/{name}.sql").read_text()


@dataclass
class Definitions:
    """Which tables and views there are by now, and which of them have their rows.

    `execute` runs a statement on the connection of whoever asks: threads take turns.
    """

    contents: Contents
    files: Files
    views: dict[str, str] = field(default_factory=lambda: {name: view_sql(name) for name in VIEWS})
    _not_created: set[str] = field(default_factory=lambda: set(VIEWS))
    _brought: set[str] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def create_tables(self, execute: Execute) -> None:
        """Creates all tables, without rows."""
        execute("CREATE SCHEMA kept")
        # The first is what the others read.
        tables = self.contents.tables.values()
        for table in sorted(tables, key=lambda one: one.name != TRIALS.name):
            self.files.announce(table.name, table.schema_in_sql)
            execute(f'CREATE VIEW "{table.name}" AS {_visible(table)}')
            if table.name == TRIALS.name:
                execute(f"CREATE TABLE kept.counted AS {COUNTED} LIMIT 0")

    def create(self, sql: str, execute: Execute) -> set[str]:
        """Creates the views that a query reads; the tables that it reads.

        All views at once would take a fifth of a second.
        """
        tables, views = wanted(sql, self.contents.tables, self.views)
        with self._lock:
            for name in views:
                if name in self._not_created:
                    self._create_view(name, execute)
                    self._not_created.discard(name)
        return tables

    def _create_view(self, name: str, execute: Execute) -> None:
        sql = self.views[name]
        if name in KEPT:
            execute(f"CREATE TABLE kept.{name} AS FROM ({sql}) LIMIT 0")
            sql = f"FROM kept.{name}"
        execute(f"CREATE VIEW {name} AS {sql}")

    def bring(self, sql: str, execute: Execute) -> None:
        """Has the tables that a query reads hold their rows: nobody waits for those of others.

        Raises:
            OSError: they cannot be fetched.
            StoreError: a file is damaged.
        """
        found = self.create(sql, execute)
        if any(self.contents.tables[name].ledgered for name in found):
            found.add(TRIALS.name)
        with self._lock:
            for name in found - self._brought:
                self.files.bring(name)
                if name == TRIALS.name:
                    execute(f"INSERT INTO kept.counted {COUNTED}")
                self._brought.add(name)
            for name in KEPT - self._not_created - self._brought:
                view = self.views[name]
                if wanted(view, self.contents.tables, self.views)[0] <= self._brought:
                    execute(f"INSERT INTO kept.{name} {view}")
                    self._brought.add(name)


def _visible(table: Table) -> str:
    """Of what belongs to trials, only rows of the one commit that finished its trial."""
    columns = ", ".join(f'"{one.name}"' for one in table.columns)
    rows = f"SELECT {columns} FROM {source(table.name)}"
    if not table.ledgered:
        return rows
    return f"{rows} SEMI JOIN kept.counted USING (trial_id, commit_id)"
