"""Unfilled: which tables of a query have no rows, and what would fill them."""

from collections.abc import Iterable

from zoo_eval.queries.connection import Connection
from zoo_eval.tables import TRIALS, Table


def unfilled(connection: Connection, sql: str) -> str | None:
    """Why a SELECT may have found nothing; None where every table that it reads has rows."""
    empty = connection.unfilled(sql)
    if not empty:
        return None
    if any(table.name == TRIALS.name for table in empty):
        return "nothing was run in this store yet: zoo-eval sweep SWEEP.toml --store ..."
    return f"of what this reads, empty in this store: {_said(empty)}"


def _said(tables: Iterable[Table]) -> str:
    return "; ".join(f"{one.name} (filled by {_by(one)})" for one in tables)


def _by(table: Table) -> str:
    return " or ".join(table.filled_by) or "the evaluation of another package that declares it"
