"""Compacting: a store's files merged, and then what its views make of all rows kept beside them."""

from zoo_eval.queries import summaries
from zoo_eval.queries.connection import Connection, connect
from zoo_eval.queries.definitions import view_sql
from zoo_eval.queries.limits import Limits
from zoo_eval.storage.compaction import GRACE_S, Compacted
from zoo_eval.storage.parquet import parquet
from zoo_eval.store import Store
from zoo_eval.tables import SUMMARIES, VIEWS


def compact(store: Store, grace_s: float = GRACE_S, limits: Limits | None = None) -> Compacted:
    """Merges the small files into few, and has the store keep summaries of what it holds now.

    Raises:
        BadInput: a summary came to a limit; the files are merged.
        StoreError: a file is damaged, or the store cannot be written.
    """
    done = store.compact(grace_s)
    if not done.is_other:
        summarise(store, limits)
    return done


def summarise(store: Store, limits: Limits | None = None) -> bool:
    """Has the store keep the rows of views that take long to make; whether there was anything new.

    Raises:
        BadInput: a summary came to a limit.
        StoreError: a file is damaged, or the store cannot be written.
    """
    views = {name: view_sql(name) for name in VIEWS}
    before, connection = summaries.kept(store.contents(), views), connect(store, limits)
    groups = {name: _parquet(connection, one.numbered) for name, one in summaries.SUMMED.items()}
    if groups == {name: one.groups for name, one in before.items()}:
        return False
    rows = [
        {
            "view": name,
            "definition": summaries.definition(one, views),
            "groups": groups[name],
            "rows": _parquet(connection, one.rows),
        }
        for name, one in summaries.SUMMED.items()
    ]
    store.replace(SUMMARIES.name, rows)
    return True


def _parquet(connection: Connection, sql: str) -> bytes:
    return parquet(connection.query(sql))
