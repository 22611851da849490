"""What is wrong with a query, on one line: an unknown name with the nearest ones."""

import re
from collections.abc import Callable, Iterable

from zoo_eval.errors import nearest

TABLE = re.compile(r'Table with name "?([^"\s]+)"? does not exist')
COLUMN = re.compile(r'(?:Referenced column|have a column named) "([^"]+)"')


def explained(
    message: str, sql: str, names: Iterable[str], columns: Callable[[str], Iterable[str]]
) -> str:
    """A database's message, where it is about an unknown name in our words.

    Args:
        message: what the database said.
        sql: the query.
        names: tables and views that there are.
        columns: those of one of them.
    """
    known = list(names)
    if table := TABLE.search(message):
        return f"unknown table or view {table[1]!r}; {nearest(table[1], known)}"
    if column := COLUMN.search(message):
        asked = [name for name in known if re.search(rf"\b{re.escape(name)}\b", sql)]
        there = dict.fromkeys(one for name in asked for one in columns(name))
        return f"unknown column {column[1]!r}; {nearest(column[1], there)}"
    return " ".join(message.split())
