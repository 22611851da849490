"""Definitions: a store's tables and views as SQL, made when a query first reads them."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from typing import Any

from zoo_eval.queries import summaries
from zoo_eval.queries.scanning import Files, source
from zoo_eval.queries.summaries import MADE_FROM, NUMBER, TRIALS_THAT_COUNT, Kept, Summary
from zoo_eval.queries.wanted import wanted
from zoo_eval.storage.contents import Contents
from zoo_eval.tables import TRIALS, VIEWS, Table

# Views that nearly all others read: computed once, as what they are of never changes.
KEPT = {TRIALS_THAT_COUNT}
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
    # Views of which the store keeps all rows that count.
    _whole: dict[str, bool] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @cached_property
    def _kept(self) -> dict[str, Kept]:
        return summaries.kept(self.contents, self.views)

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

    def create(self, sql: str, execute: Execute) -> list[str]:
        """Creates the views that a query reads; their names.

        All views at once would take a fifth of a second.
        """
        _, views = wanted(sql, self.contents.tables, self.views)
        with self._lock:
            for name in views:
                if name in self._not_created:
                    self._create_view(name, execute)
                    self._not_created.discard(name)
        return views

    def _create_view(self, name: str, execute: Execute) -> None:
        sql = self.views[name]
        if name in KEPT:
            execute(f"CREATE TABLE kept.{name} AS FROM ({sql}) LIMIT 0")
            sql = f"FROM kept.{name}"
        elif name in summaries.SUMMED and name in self._kept:
            sql = self._create_summed(self._kept[name], execute)
        execute(f"CREATE VIEW {name} AS {sql}")

    def _create_summed(self, one: Kept, execute: Execute) -> str:
        """The SQL of a view as what is kept of it, and the same view of all other trials."""
        summary = one.summary
        groups = summary.path("groups")
        self.files.hold({groups: one.groups, summary.path("rows"): one.rows})
        chosen = f"{NUMBER}, {', '.join(summary.groups)}"
        execute(
            f"CREATE TABLE {summary.fresh} AS SELECT {chosen} FROM read_parquet('{groups}') LIMIT 0"
        )
        execute(f"CREATE SCHEMA {summary.schema}")
        for name, sql in self._of_others(summary):
            execute(f"CREATE VIEW {summary.schema}.{name} AS {sql}")
        return f"SELECT * FROM {summary.schema}.{summary.view} UNION ALL BY NAME {summary.kept}"

    def _of_others(self, summary: Summary) -> Iterator[tuple[str, str]]:
        """Tables and views of trials of which nothing that counts is kept: a view finds those of its schema first."""
        trials = f"main.{TRIALS_THAT_COUNT}"
        same = summary.same("one", "fresh")
        yield (
            TRIALS_THAT_COUNT,
            f"SELECT * FROM {trials} AS one ANTI JOIN {summary.fresh} AS fresh ON {same}",
        )
        for table in summary.sources:
            yield (
                table,
                f"SELECT * FROM main.{table} SEMI JOIN {TRIALS_THAT_COUNT} USING (trial_id)",
            )
        for name in wanted(summary.view, self.contents.tables, self.views)[1]:
            read, _ = wanted(self.views[name], self.contents.tables, self.views)
            if read.intersection(summary.sources):
                yield name, self.views[name]

    def bring(self, sql: str, execute: Execute) -> None:
        """Has the tables that a query reads hold their rows: nobody waits for those of others.

        Raises:
            OSError: they cannot be fetched.
            StoreError: a file is damaged.
        """
        views = self.create(sql, execute)
        with self._lock:
            whole = {name: "" for name in views if self._is_whole(name, execute)}
            self._have(wanted(sql, self.contents.tables, self.views | whole)[0], execute)

    def _is_whole(self, name: str, execute: Execute) -> bool:
        """Whether all rows of a view are kept, so that those that they were made of are not read."""
        if name not in summaries.SUMMED or name not in self._kept:
            return False
        if name not in self._whole:
            summary = self._kept[name].summary
            self._have(wanted(summary.grouped, self.contents.tables, self.views)[0], execute)
            execute(
                f"INSERT INTO {summary.fresh} SELECT {NUMBER}, {', '.join(summary.groups)} FROM "
                f"read_parquet('{summary.path('groups')}') AS kept SEMI JOIN ({summary.grouped}) AS now "
                f"ON {summary.same('kept', 'now')} AND kept.{MADE_FROM} = now.{MADE_FROM}"
            )
            ((n_others,),) = execute(
                f"SELECT count(*) FROM {summary.schema}.{TRIALS_THAT_COUNT}"
            ).fetchall()
            self._whole[name] = not n_others
            if not n_others:
                execute(f"CREATE OR REPLACE VIEW main.{name} AS {summary.kept}")
        return self._whole[name]

    def _have(self, tables: set[str], execute: Execute) -> None:
        found = set(tables)
        if any(self.contents.tables[name].ledgered for name in found):
            found.add(TRIALS.name)
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
