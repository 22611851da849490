"""Figure: what is drawn, in words and as a Vega-Lite specification that holds its own data."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Spec = dict[str, Any]
LONGEST_NAME = 80


@dataclass(frozen=True)
class Grid:
    """Square pictures in rows and columns, each row with a line above it and one below."""

    rows: int
    columns: int
    lines_px: float

    def height_px(self, width_px: float) -> float:
        """How high it is at a width."""
        return self.rows * (width_px / self.columns + self.lines_px)


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure, whatever its width and whether on light paper or dark.

    `name` is for files and commands: of a-z, 0-9 and `-`. `section` is what it belongs to: `neural`,
    `maps`, `tolerance`, `alignment`, `tradeoff`, `layers`, `gallery` or `spatial`. `alt` says what is seen, `notes`
    what the reader must know: exclusions with their counts, what bars and lines are. `trend` and
    `subject` are those of the comparison that it draws; None where it draws none. `grid` is that of a
    figure of pictures, whose height follows from its width.
    """

    name: str
    title: str
    section: str
    alt: str
    spec: Spec
    notes: tuple[str, ...] = ()
    trend: str | None = None
    subject: str | None = None
    grid: Grid | None = None

    @property
    def data(self) -> Mapping[str, Sequence[Row]]:
        """The rows of each data set, by its name in the specification."""
        found: Mapping[str, Sequence[Row]] = self.spec["datasets"]
        return found


def slug(text: str) -> str:
    """A text as part of a file's name: of a-z, 0-9 and single hyphens; `x` where nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:LONGEST_NAME].strip("-") or "x"


def short(value: float) -> float:
    """Five significant digits: more cannot be seen, and would be carried by every page."""
    return float(f"{value:.5g}")
