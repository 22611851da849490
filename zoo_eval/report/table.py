"""Tables as a page draws them: columns with their kind and meaning, rows as columns of values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
TEXT, COUNT, SHARE, REAL = "text", "count", "share", "real"


@dataclass(frozen=True)
class Column:
    """A column of a table: `kind` says how its values are written and sorted.

    `shown` is whether it is there before anyone has chosen columns; `choose` whether a filter offers
    its values to choose from.
    """

    name: str
    label: str
    kind: str = TEXT
    meaning: str = ""
    shown: bool = True
    choose: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under columns, of which those without any value are left out.

    The first column stays in sight. `sort` is the column that it is sorted by at first, or "".
    """

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    sort: str = ""

    def __bool__(self) -> bool:
        return bool(self.rows)

    def on_page(self) -> dict[str, Any]:
        """The table for a page's script."""
        filled = [one for one in self.columns if _has_any(row.get(one.name) for row in self.rows)]
        return {
            "name": self.name,
            "caption": self.caption,
            "sort": self.sort,
            "columns": [vars(one) for one in filled],
            "values": {one.name: [row.get(one.name) for row in self.rows] for one in filled},
            "n": len(self.rows),
        }


def _has_any(values: Iterable[Any]) -> bool:
    return any(value is not None and value != "" for value in values)


def number(value: Any) -> str:
    """A value in a sentence."""
    if value is None:
        return ""
    if isinstance(value, float):
        return "∞" if value == float("inf") else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
