"""Compacting: a store's files merged, and then what its views make of all rows kept beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from zoo_eval.errors import BadInput
from zoo_eval.queries import summaries
from zoo_eval.queries.connection import Connection, connect
from zoo_eval.queries.definitions import view_sql
from zoo_eval.queries.limits import Limits
from zoo_eval.storage.compaction import GRACE_S, Compacted
from zoo_eval.storage.parquet import parquet
from zoo_eval.store import Store
from zoo_eval.tables import SUMMARIES, VIEWS


@dataclass(frozen=True)
class Done:
    """What became of the files, and of which views no rows are kept, with the reason."""

    files: Compacted
    left_out: Mapping[str, str] = field(default_factory=dict)


def compact(store: Store, grace_s: float = GRACE_S, limits: Limits | None = None) -> Done:
    """Merges the small files into few, and has the store keep summaries of what it holds now.

    Raises:
        StoreError: a file is damaged, or the store cannot be written.
    """
    done = store.compact(grace_s)
    return Done(done) if done.is_other else Done(done, summarise(store, limits))


def summarise(store: Store, limits: Limits | None = None) -> dict[str, str]:
    """Has the store keep the rows of views that take long to make; of which it does not, and why.

    Raises:
        StoreError: a file is damaged, or the store cannot be written.
    """
    views = {name: view_sql(name) for name in VIEWS}
    before, connection = summaries.kept(store.contents(), views), connect(store, limits)
    groups = {name: _parquet(connection, one.numbered) for name, one in summaries.SUMMED.items()}
    if groups == {name: one.groups for name, one in before.items()}:
        return {}
    rows, left_out = [], {}
    for name, one in summaries.SUMMED.items():
        try:
            held = _parquet(connection, one.rows)
        except BadInput as error:
            # Queries make them, group by group, as they are asked for.
            left_out[name] = str(error)
            continue
        definition = summaries.definition(one, views)
        rows.append({"view": name, "definition": definition, "groups": groups[name], "rows": held})
    store.replace(SUMMARIES.name, rows)
    return left_out


def _parquet(connection: Connection, sql: str) -> bytes:
    return parquet(connection.query(sql))
