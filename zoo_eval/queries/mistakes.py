"""What is wrong with a query, on one line: where, and an unknown name with the nearest ones."""

import re
import unicodedata
from collections.abc import Callable, Iterable

from zoo_eval.errors import nearest

TABLE = re.compile(r'Table with name "?([^"\s]+)"? does not exist')
COLUMN = re.compile(
    r'(?:Referenced column|have a column named|^Binder Error: Column) "((?:[^"]|"")+)"'
)
CANDIDATES = re.compile(r"Candidate bindings: (.*)")
QUOTED = re.compile(r'"([^"]+)"')
FUNCTION = re.compile(r"Function with name (\S+) does not exist")
# What a database shows of the line, and under it where; the line may be cut on both sides.
PLACE = re.compile(r"\n\nLINE (\d+): (.*)\n( *)\^+\s*$")
CUT = "..."
# Every function of that name, a line each.
FUNCTIONS = re.compile(r"\s*Candidate functions:.*", re.DOTALL)
# Texts and remarks, in which no name is looked for.
NO_NAMES = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
# So much of the query is shown from there.
SHOWN = 30


def explained(
    message: str, sql: str, names: Iterable[str], columns: Callable[[str], Iterable[str]]
) -> str:
    """A database's message with the line and column it is about; an unknown name in our words.

    Args:
        message: what the database said.
        sql: the query.
        names: tables and views that there are.
        columns: those of one of them.
    """
    known = list(names)
    if table := TABLE.search(message):
        said = f"unknown table or view {table[1]!r}; {nearest(table[1], known)}"
        return said + _where(sql, _of_name(sql, table[1]))
    if column := COLUMN.search(message):
        asked = [name for name in known if re.search(rf"\b{re.escape(name)}\b", sql)]
        there = dict.fromkeys(one for name in asked for one in columns(name))
        # Those of a query within the query.
        candidates = CANDIDATES.search(message)
        there |= dict.fromkeys(QUOTED.findall(candidates[1]) if candidates else ())
        name = column[1].replace('""', '"')
        return f"unknown column {name!r}; {nearest(name, there)}" + _where(sql, _of_name(sql, name))
    place = _shown(message, sql)
    told = FUNCTION.search(message) or QUOTED.search(message.partition("\n")[0])
    if place is None and told:
        place = _of_name(sql, told[1])
    text = FUNCTIONS.sub("", PLACE.sub("", message))
    return " ".join(text.split()) + _where(sql, place)


def _where(sql: str, offset: int | None) -> str:
    """Where a character of the query is, with what begins there; nothing where that is not known."""
    if offset is None:
        return ""
    line = sql.count("\n", 0, offset) + 1
    column = offset - sql.rfind("\n", 0, offset)
    rest = " ".join(sql[offset:].split())
    shown = rest if len(rest) <= SHOWN else rest[:SHOWN].rstrip() + CUT
    return f" (line {line}, column {column}: {shown})"


def _of_name(sql: str, name: str) -> int | None:
    """Where a query first has a name; None where it is in none but texts and remarks."""
    bare = NO_NAMES.sub(lambda found: " " * len(found[0]), sql)
    found = re.search(rf'(?<!\w)"?{re.escape(name)}(?!\w)', bare, re.IGNORECASE)
    return found.start() if found else None


def _shown(message: str, sql: str) -> int | None:
    """Where the database points; None where it does not, or to a view's own text."""
    if (place := PLACE.search(message)) is None:
        return None
    number, shown, before = int(place[1]), place[2], len(place[3]) - len(f"LINE {place[1]}: ")
    lines = sql.split("\n")
    if number > len(lines):
        return None
    is_cut = shown.startswith(CUT) and not lines[number - 1].startswith(CUT)
    core = shown[len(CUT) :] if is_cut else shown
    begin = lines[number - 1].find(core.removesuffix(CUT))
    if begin < 0:
        return None
    within = _characters(core, before - len(CUT) if is_cut else before)
    return sum(len(line) + 1 for line in lines[: number - 1]) + begin + within


def _characters(text: str, width: int) -> int:
    """How many of a text's characters take so much of a terminal's width."""
    for count, one in enumerate(text):
        if unicodedata.category(one) in ("Cc", "Mn", "Me", "Cf"):
            continue
        if width <= 0:
            return count
        width -= 2 if unicodedata.east_asian_width(one) in "WF" else 1
    return len(text)
