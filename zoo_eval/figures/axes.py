"""Axes: from a column of rows to ends that hold its values, its intervals and what is drawn besides."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import altair as alt

from zoo_eval.figures.figure import Row, short

# Room between values and edges: a share of the span, or of its logarithm.
ROOM = 0.06
# Above the largest finite value, for those that are infinite.
ROOM_FOR_INFINITE = 0.14
MOST_TICKS = 6


@dataclass(frozen=True)
class Axis:
    """A column as it is drawn, between ends that are the same wherever it is drawn.

    `bound` says that some values are infinite: those lie on the upper end, and are null in the data.
    """

    field: str
    title: str
    low: float
    high: float
    log: bool = False
    bound: bool = False

    @property
    def drawn(self) -> str:
        """The column that has places for infinite values too."""
        return f"{self.field}_drawn" if self.bound else self.field

    def share(self, value: float | None) -> float:
        """Where a value lies between the ends, 0 to 1; null, an infinite one, at the upper."""
        if value is None:
            return 1.0
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def middle(self, one: float, other: float) -> float:
        """The value that is drawn half-way between two."""
        return math.sqrt(one * other) if self.log else (one + other) / 2

    def x(self, field: str | None = None) -> alt.X:
        """Its channel, across."""
        return alt.X(
            f"{field or self.drawn}:Q", title=self.title, scale=self._scale, axis=self._axis
        )

    def y(self, field: str | None = None) -> alt.Y:
        """Its channel, upwards."""
        return alt.Y(
            f"{field or self.drawn}:Q", title=self.title, scale=self._scale, axis=self._axis
        )

    @property
    def _scale(self) -> alt.Scale:
        kind: Literal["log", "linear"] = "log" if self.log else "linear"
        return alt.Scale(type=kind, domain=[self.low, self.high], nice=False)

    @property
    def _axis(self) -> alt.Axis:
        return alt.Axis(tickCount=MOST_TICKS, format="~g", labelOverlap=True)


def axis(
    field: str, title: str, rows: Sequence[Row], *, log: bool = False, also: Sequence[float] = ()
) -> Axis:
    """The axis of a column; `field`_low and `field`_high, where rows have them, are held too.

    A logarithm needs values above 0; where some are not, the axis is linear.
    """
    found = [row.get(name) for row in rows for name in (field, f"{field}_low", f"{field}_high")]
    finite = [value for value in [*found, *also] if value is not None]
    log = log and bool(finite) and min(finite) > 0
    bound = any(row[field] is None for row in rows)
    low, high = _ends(finite or [0.1, 1.0], log, ROOM_FOR_INFINITE if bound else ROOM)
    return Axis(field, title, low, high, log, bound)


def _ends(values: Iterable[float], log: bool, above: float) -> tuple[float, float]:
    some = list(values)
    low, high = min(some), max(some)
    if log:
        # At least a factor of two, or one value alone would have no ticks.
        span = max(math.log(high / low), math.log(2))
        return short(low * math.exp(-ROOM * span)), short(high * math.exp(above * span))
    # Relative to the values: the last digits of equal ones are not a span.
    span = high - low if high - low > 1e-9 * max(abs(low), abs(high)) else max(abs(high), 1.0) / 10
    return short(low - ROOM * span), short(high + above * span)
