"""Wanted: the tables and views that a query reads, by itself or through views.

Too many cost time; none is missed.
"""

import re
from collections.abc import Collection, Mapping

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


def _words(sql: str) -> set[str]:
    return set(WORD.findall(sql.lower()))
