"""Tables of text: CSV files as people and spreadsheets write them, read by one set of rules.

UTF-8 (with a byte order mark or without) or UTF-16 with one; commas, semicolons or tabs; any line
end. Names of columns are compared without case and outer spaces, text without outer spaces and in
composed Unicode. Where the separator is no comma, numbers may have decimal commas; between tabs none
that may be a comma of thousands (1,234), which is refused.
"""

import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from zoo_eval.errors import BadInput
from zoo_eval.files import text

SEPARATORS = ("\t", ";", ",")
STATED = re.compile('"?sep=([,;\t])"?')
# A number between tabs that is another one where commas set off thousands.
THOUSANDS = re.compile("[+-]?[1-9][0-9]{0,2},[0-9]{3}")
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True)
class Line:
    """One row: where it stands, for messages, and its cells by column."""

    where: str
    cells: dict[str, str]
    separator: str = ","

    def __getitem__(self, column: str) -> str:
        """A cell's text; "" where the table has no such column."""
        return self.cells.get(column, "")

    def number(self, column: str) -> float:
        """A cell as a number.

        Raises:
            BadInput: it is none.
        """
        cell = self[column]
        try:
            return number(cell, self.separator)
        except ValueError as error:
            raise BadInput(
                f"{self.where}: {column} {cell!r} is no number; write it with a decimal point"
            ) from error


@dataclass(frozen=True)
class Table:
    """The rows of a CSV, and the columns that its header names."""

    columns: tuple[str, ...]
    lines: list[Line]


@dataclass(frozen=True)
class Grid:
    """Rows of cells, each with the number of its line, and what separates them."""

    rows: list[tuple[int, list[str]]]
    separator: str


def number(written: str, separator: str = ",") -> float:
    """A number as it is written in a table with that separator.

    Raises:
        ValueError: it is none, or may be two.
    """
    plain = written
    if separator == "\t" and THOUSANDS.fullmatch(written):
        raise ValueError(f"{written!r} is no number: it may have a decimal comma or thousands")
    if separator != "," and written.count(",") == 1 and "." not in written:
        plain = written.replace(",", ".")
    # Python would read 1_000 as a thousand.
    if "_" in written:
        raise ValueError(f"{written!r} is no number")
    return float(plain)


def read(where: str, path: Path, needed: Sequence[str], known: Collection[str] = ()) -> Table:
    """The rows of a CSV whose first line names its columns.

    Args:
        where: what is read, for messages, which say the line besides.
        path: the file.
        needed: columns that must be there.
        known: further columns by their names here; others keep the names that they have.

    Raises:
        BadInput: the file cannot be read, is no text, lacks a column, names one twice, or a row has
            more or fewer cells than the header.
    """
    grid = opened(where, path, needed)
    if not grid.rows:
        named = f" with {', '.join(needed)}" if needed else ""
        raise BadInput(f"{where} is empty; write a header{named} and a row each")
    (_, header), *rows = grid.rows
    columns = _columns(where, header, [*needed, *known])
    if missing := [column for column in needed if column not in columns]:
        there = ", ".join(filter(None, columns)) or "none"
        raise BadInput(
            f"{where}: expected columns {','.join(needed)}, but there is no {missing[0]!r} (columns: "
            f"{there}); correct the header"
        )
    return Table(tuple(filter(None, columns)), list(_lines(where, rows, columns, grid.separator)))


def opened(where: str, path: Path, needed: Sequence[str] = ()) -> Grid:
    """The cells of a CSV, without empty lines.

    Its separator is the first of tabs, semicolons and commas that its first two lines have as many
    of, or else that its first line has most of; where columns are needed, one by which they are there.

    Raises:
        BadInput: the file cannot be read, or is no text.
    """
    content = text.read(where, path, "CSV")
    rows = [line for line in text.lines(content) if line.strip()]
    skipped = 0
    if rows and (stated := STATED.fullmatch(rows[0])):
        # Excel's own word to itself.
        order, skipped = [stated[1]], 1
    else:
        order = _likely(rows[:2])
    header = "".join(rows[skipped : skipped + 1])
    separator = next((one for one in order if _names(header, one) >= _folded(needed)), order[0])
    return Grid(list(_cells(where, content, separator))[skipped:], separator)


def _likely(first: Sequence[str]) -> list[str]:
    """The separators, the likeliest first, by the first two lines."""
    counts = {one: [_count(line, one) for line in first] for one in SEPARATORS}
    regular = [one for one, n in counts.items() if n and n[0] and len(set(n)) == 1]
    return regular + sorted(SEPARATORS, key=lambda one: -sum(counts[one][:1]))


def _names(header: str, separator: str) -> set[str]:
    return _folded([one.strip().strip('"') for one in header.split(separator)])


def _folded(names: Collection[str]) -> set[str]:
    return {normalize("NFC", name).strip().casefold() for name in names}


def _cells(where: str, content: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, each with the number of its line."""
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
    try:
        for row in reader:
            cells = [normalize("NFC", cell).strip() for cell in row]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise BadInput(
            f"{where}, line {reader.line_num}: {error}; correct its quotes, or save it as CSV again"
        ) from error


def _count(line: str, separator: str) -> int:
    """How often a separator stands outside of quotes."""
    return sum(part.count(separator) for part in line.split('"')[::2])


def _columns(where: str, header: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The header's columns, by the wanted names where these are meant; "" for one without a name."""
    by_folded = {one.casefold(): one for one in wanted}
    found = [by_folded.get(one.casefold(), one) for one in header]
    for column in found:
        if column and found.count(column) > 1:
            raise BadInput(f"{where}: column {column!r} stands twice; keep one of the two")
    return found


def _lines(
    where: str, rows: Sequence[tuple[int, list[str]]], columns: Sequence[str], separator: str
) -> Iterator[Line]:
    for line, cells in rows:
        place = f"{where}, line {line}"
        # Spreadsheets leave empty cells behind.
        while len(cells) > len(columns) and not cells[-1]:
            cells.pop()
        if len(cells) != len(columns):
            raise BadInput(
                f"{place}: {len(cells)} cells below {len(columns)} columns (separated by "
                f"{NAMES[separator]}); quote what holds a separator, or fill the row in"
            )
        named = zip(columns, cells, strict=True)
        yield Line(place, {column: cell for column, cell in named if column}, separator)
