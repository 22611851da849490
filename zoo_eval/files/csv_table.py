"""Tables of text: CSV files as people and spreadsheets write them, read by one set of rules.

UTF-8 (with a byte order mark or without) or UTF-16 with one; commas, semicolons or tabs; any line
end. Names of columns are compared without case and outer spaces, text without outer spaces and in
composed Unicode. Where the separator is no comma, numbers may have decimal commas.
"""

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from zoo_eval.errors import BadInput
from zoo_eval.files import foreign

SEPARATORS = (",", ";", "\t")
# More than a table that somebody wrote: a million rows of a thousand characters.
MOST_BYTES = 2**30
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
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
        text = self[column]
        try:
            return number(text, self.separator)
        except ValueError as error:
            raise BadInput(f"{self.where}: {column} {text!r} is no number; correct it") from error


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


def number(text: str, separator: str = ",") -> float:
    """A number as it is written in a table with that separator.

    Raises:
        ValueError: it is none.
    """
    if separator != "," and text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    # Python would read 1_000 as a thousand.
    if "_" in text:
        raise ValueError(f"{text!r} is no number")
    return float(text)


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
    grid = opened(where, path)
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


def opened(where: str, path: Path) -> Grid:
    """The cells of a CSV, without empty lines; the separator is the one that its first line has most of.

    Raises:
        BadInput: the file cannot be read, or is no text.
    """
    text = _text(where, path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(SEPARATORS, key=lambda one: _count(first, one))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = []
    try:
        for row in reader:
            cells = [normalize("NFC", cell).strip() for cell in row]
            if any(cells):
                rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise BadInput(
            f"{where}, line {reader.line_num}: {error}; correct its quotes, or save it as CSV again"
        ) from error
    return Grid(rows, separator)


def _text(where: str, path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadInput(f"{where} is larger than 1 GiB; give a table of what is needed")
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{where} cannot be read ({error.strerror}); correct the path") from error
    told = foreign.of_bytes(content[: foreign.HEAD_BYTES]) if content else ""
    try:
        text = content.decode("utf-16" if content.startswith(UTF_16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        kind = told if told != foreign.UNKNOWN else "save it as CSV in UTF-8"
        raise BadInput(f"{where}, line {line}: is no text in UTF-8; {kind}") from error
    if "\0" in text or (told and told != foreign.UNKNOWN):
        raise BadInput(f"{where} is no CSV: it is {told or foreign.UNKNOWN}")
    # Old Macs end a line by a carriage return alone.
    return text if "\n" in text else text.replace("\r", "\n")


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
