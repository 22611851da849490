"""Wanted: the tables and views that a query reads, by itself or through views.

Too many cost time; none is missed.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

WORD = re.compile(r"\w+")
# Functions of DuckDB that take a query or a table's name as a text, which may be put together.
FROM_TEXT = {"query", "query_table", "json_execute_serialized_sql"}
# Where all names are listed.
CATALOGUE = re.compile(
    r"information_schema|duckdb_\w+|pg_\w+|sqlite_\w+|pragma_\w+|show\w*|describe"
)


def wanted(
    sql: str, tables: Collection[str], views: Mapping[str, str]
) -> tuple[set[str], list[str]]:
    """Those of the tables and views that a query may read, the views in their given order.

    Args:
        sql: one SELECT.
        tables: names of tables, in lower case.
        views: the SQL of views by name, in lower case.
    """
    words, looked_at = _words(sql), set[str]()
    if words & FROM_TEXT:
        return set(tables), list(views)
    if any(map(CATALOGUE.fullmatch, words)):
        looked_at |= views.keys()
    while new := (words & views.keys()) - looked_at:
        looked_at |= new
        words |= {word for name in new for word in _words(views[name])}
    return words & set(tables), [name for name in views if name in looked_at]


def read(parsed: str) -> set[str]:
    """The tables and views that a query names itself, in lower case: no word for anything else.

    Args:
        parsed: the query as DuckDB's JSON.
    """
    nodes = list(_nodes(json.loads(parsed)))
    own = {one["key"] for node in nodes for one in (node.get("cte_map") or {}).get("map", ())}
    named = {node["table_name"] for node in nodes if node.get("type") == "BASE_TABLE"}
    return {name.lower() for name in named - own}


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value:
        if isinstance(one, dict | list):
            yield from _nodes(one)


def _words(sql: str) -> set[str]:
    # Before the name of a table as it is stored stands a _.
    return {word.removeprefix("_") for word in WORD.findall(sql.lower())}
