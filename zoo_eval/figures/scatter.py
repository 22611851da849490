"""Scatter plots of models: points of four kinds, with front, arrows, intervals, ceiling, nulls, names."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from zoo_eval.figures import looks
from zoo_eval.figures.axes import Axis
from zoo_eval.figures.figure import Row, Spec, short
from zoo_eval.figures.labels import ALIGN, BASELINE, FONT_PX, GAP_PX, Named, placed
from zoo_eval.numerics.pareto import on_front

# Beyond these, bars would hide the points that they belong to.
MOST_BARS = 100
# Points and arrows at the upper edge reach so far beyond it.
ABOVE_PX = 13
PICKED = "picked !== null && picked[datum.model] === true"


@dataclass(frozen=True)
class Level:
    """A value of y that the points are compared with, or from `low` to `high`; its name beside it."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class Scatter:
    """Models in two values; larger is better in both.

    `rows`, one a model, hold `model`, `kind`, the axes' columns (null where infinite) and for bars
    `..._low` and `..._high`; `null` is what y would be by chance, drawn beside the point. `base` is the
    model that one was harmonized from, `control` that which its run trained beside it. `planted` is
    written on the figure.
    """

    rows: Sequence[Row]
    x: Axis
    y: Axis
    levels: Sequence[Level] = ()
    planted: str | None = None

    @property
    def front(self) -> list[Row]:
        """Rows on the Pareto front of the models that were not harmonized, from left to right."""
        rows = [row for row in self.rows if row["kind"] != "harmonized"]
        x, y = (np.array([_number(row[axis.field]) for row in rows]) for axis in (self.x, self.y))
        some = [row for row, best in zip(rows, on_front(x, y), strict=True) if best]
        return sorted(some, key=lambda row: (_number(row[self.x.field]), row["model"]))

    @property
    def arrows(self) -> list[Row]:
        """To each harmonized model from its control, or else from its base, where that is here."""
        by_model = {row["model"]: row for row in self.rows}
        pairs = [
            (by_model.get(row.get("control")) or by_model.get(row.get("base")), row)
            for row in self.rows
        ]
        return [self._arrow(other, row) for other, row in pairs if other is not None]

    def _arrow(self, other: Row, row: Row) -> Row:
        """Its ends, and its middle, where its head does not cover the models."""
        ends = {**self._place(other, "from_x", "from_y"), **self._place(row, "to_x", "to_y")}
        middle = {
            "x": self.x.middle(ends["from_x"], ends["to_x"]),
            "y": self.y.middle(ends["from_y"], ends["to_y"]),
        }
        return {"model": row["model"], **ends, **middle}

    def _place(self, row: Row, x: str, y: str) -> Row:
        return {
            x: row[self.x.field] if row[self.x.field] is not None else self.x.high,
            y: row[self.y.field] if row[self.y.field] is not None else self.y.high,
        }

    def spec(self) -> Spec:
        """The Vega-Lite specification."""
        return {**_drawn(self), "datasets": self._data()}

    def _data(self) -> dict[str, list[Row]]:
        fields = [self.x.field, self.y.field]
        bars = [f"{field}_{end}" for field in fields for end in ("low", "high")]
        kept = ["model", "kind", *fields]
        kept += [*bars, "null"] if len(self.rows) <= MOST_BARS else []
        shown = [name for name in kept if any(name in row for row in self.rows)]
        tables = {
            "points": [{name: row.get(name) for name in shown} for row in self.rows],
            "front": [{"model": row["model"], **self._place(row, "x", "y")} for row in self.front],
            "arrows": self.arrows,
            "levels": [{**vars(level), "x": self.x.high} for level in self.levels],
            "labels": self._labels(),
        }
        return {name: [_rounded(row) for row in rows] for name, rows in tables.items() if rows}

    def _named(self, row: Row) -> Named:
        """Its place, with the bars that are drawn of it."""
        x, y = self.x.share(row[self.x.field]), self.y.share(row[self.y.field])
        bars = []
        if len(self.rows) <= MOST_BARS:
            across, upwards = (self._bar(row, axis) for axis in (self.x, self.y))
            bars += [(across[0], y, across[1], y)] if across else []
            bars += [(x, upwards[0], x, upwards[1])] if upwards else []
        return Named(row["model"], x, y, tuple(bars))

    def _bar(self, row: Row, axis: Axis) -> tuple[float, float] | None:
        low, high = row.get(f"{axis.field}_low"), row.get(f"{axis.field}_high")
        return None if low is None or high is None else (axis.share(low), axis.share(high))

    def _steps(self) -> list[tuple[float, float, float, float]]:
        """The lines of the front as shares of the plot: down at each model, then along to the next."""
        shares = [
            (self.x.share(row[self.x.field]), self.y.share(row[self.y.field])) for row in self.front
        ]
        return [
            end
            for (x, y), (next_x, next_y) in itertools.pairwise(shares)
            for end in ((x, next_y, x, y), (x, next_y, next_x, next_y))
        ]

    def _labels(self) -> list[Row]:
        points = [self._named(row) for row in self.rows]
        harmonized = [row["model"] for row in self.rows if row["kind"] == "harmonized"]
        best = [row["model"] for row in reversed(self.front)]
        places = {row["model"]: self._place(row, "x", "y") for row in self.rows}
        return [
            {
                "model": label.model,
                "text": label.text,
                **places[label.model],
                "dx": GAP_PX * label.side[0],
                "dy": GAP_PX * label.side[1],
                "align": ALIGN[label.side[0]],
                "baseline": BASELINE[label.side[1]],
                "from_width": label.from_width,
            }
            for label in placed(points, [*harmonized, *best], self._steps())
        ]


def _number(value: float | None) -> float:
    return math.inf if value is None else value


def _rounded(row: Row) -> Row:
    return {name: short(one) if isinstance(one, float) else one for name, one in row.items()}


def _drawn(scatter: Scatter) -> Spec:
    models = [kind for kind in looks.KINDS if any(row["kind"] == kind for row in scatter.rows)]
    layers = [
        *_bars(scatter), *_nulls(scatter), *_arrows(scatter), *_infinite(scatter),
        _models(scatter, models).add_params(alt.selection_interval(name="brush")),
        *_names(scatter, ""), veil(), *_levels(scatter), _front(scatter),
        _models(scatter, models, "picked_").transform_filter(PICKED),
        *(layer.transform_filter(PICKED) for layer in _names(scatter, "picked_")),
    ]  # fmt: skip
    chart = alt.layer(*layers).properties(
        width="container",
        height=looks.HEIGHT_PX,
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
        **({} if scatter.planted is None else {"title": scatter.planted}),
    )
    return finished(chart)


def finished(chart: alt.LayerChart | alt.FacetChart) -> Spec:
    """The specification of a chart, with the signals and the configuration of every figure.

    It is not held against the schema here, which takes most of a second a figure; the tests do that.
    """
    spec: Spec = chart.add_params(*looks.params()).to_dict(validate=False)
    # altair takes a literal null for an absent value.
    picked = next(one for one in spec["params"] if one["name"] == "picked")
    del picked["expr"]
    picked["value"] = None
    return {**spec, "config": looks.config()}


def _chart(data: str, name: str | None = None) -> alt.Chart:
    chart = alt.Chart(alt.NamedData(data))
    return chart if name is None else chart.properties(name=name)


def _placed(scatter: Scatter, data: str, name: str) -> alt.Chart:
    """Of models, where they are: infinite values have a place too."""
    chart = _chart(data, name)
    for axis in (scatter.x, scatter.y):
        if axis.bound:
            value = f"isValid(datum.{axis.field}) ? datum.{axis.field} : {axis.high}"
            chart = chart.transform_calculate(**{axis.drawn: value})
    return chart


def veil() -> alt.Chart:
    """Paper over what is below where models are picked: one mark, however many it dims."""
    chart: alt.Chart = (
        alt.Chart(alt.sequence(0, 1), name="veil")
        .mark_rect(color=alt.ExprRef("paper"))
        .encode(
            x=alt.value(0),
            x2=alt.value("width"),
            y=alt.value(-ABOVE_PX),
            y2=alt.value("height"),
            opacity=alt.value(alt.ExprRef(f"picked === null ? 0 : {looks.VEIL}")),
        )
    )
    return chart


def _models(scatter: Scatter, kinds: list[str], prefix: str = "") -> alt.Chart:
    colour, shape = looks.kind_scales(kinds)
    n = len(scatter.rows)
    size = 55 if n <= 60 else 30 if n <= 400 else 14
    chart: alt.Chart = (
        _placed(scatter, "points", f"{prefix}models")
        .mark_point(filled=True, size=size)
        .encode(
            x=scatter.x.x(),
            y=scatter.y.y(),
            color=colour,
            shape=shape,
            opacity=alt.value(0.9 if n <= 400 else 0.7),
        )
    )
    return chart


def _infinite(scatter: Scatter) -> Iterator[alt.Chart]:
    """Arrows out of the plot at models whose value is infinite."""
    for axis, shape, across, down in (
        (scatter.x, "triangle-right", 8, 0),
        (scatter.y, "triangle-up", 0, -8),
    ):
        if axis.bound:
            yield (
                _placed(scatter, "points", f"infinite_{axis.field}")
                .transform_filter(f"!isValid(datum.{axis.field})")
                .mark_point(
                    filled=True, shape=shape, size=22, color=looks.INK, xOffset=across, yOffset=down
                )
                .encode(x=scatter.x.x(), y=scatter.y.y(), opacity=alt.value(0.9))
            )


def _bars(scatter: Scatter) -> Iterator[alt.Chart]:
    if len(scatter.rows) > MOST_BARS:
        return
    for axis, across in ((scatter.x, True), (scatter.y, False)):
        low, high = f"{axis.field}_low", f"{axis.field}_high"
        if not any(row.get(low) is not None for row in scatter.rows):
            continue
        chart = _placed(scatter, "points", f"bars_{axis.field}")
        chart = chart.transform_filter(f"isValid(datum.{low})").mark_rule(
            strokeWidth=1, color=looks.SOFT
        )
        ends = (
            {"x": scatter.x.x(low), "x2": high, "y": scatter.y.y()}
            if across
            else {"x": scatter.x.x(), "y": scatter.y.y(low), "y2": high}
        )
        yield chart.encode(**ends, opacity=alt.value(0.45))


def _nulls(scatter: Scatter) -> Iterator[alt.Chart]:
    if len(scatter.rows) <= MOST_BARS and any("null" in row for row in scatter.rows):
        yield (
            _placed(scatter, "points", "nulls")
            .transform_filter("isValid(datum.null)")
            .mark_point(shape="stroke", size=45, strokeWidth=1.5, color=looks.SOFT)
            .encode(x=scatter.x.x(), y=scatter.y.y("null"), opacity=alt.value(0.8))
        )


def _levels(scatter: Scatter) -> Iterator[alt.Chart]:
    if not scatter.levels:
        return
    y = scatter.y.y("low")
    chart = _chart("levels")
    if any(level.high > level.low for level in scatter.levels):
        yield chart.mark_rect(color=looks.SOFT, opacity=0.15).encode(y=y, y2="high")
    yield chart.mark_rule(color=looks.SOFT, strokeDash=[1, 3], strokeWidth=1.2).encode(y=y)
    yield chart.mark_text(
        align="right", baseline="bottom", dy=-2, fontSize=FONT_PX, font=looks.FONT, color=looks.SOFT
    ).encode(x=scatter.x.x("x"), y=y, text="name:N")


def _front(scatter: Scatter) -> alt.Chart:
    chart: alt.Chart = (
        _chart("front", "front")
        .mark_line(interpolate="step-before", strokeDash=[5, 3], strokeWidth=1.2, color=looks.INK)
        .encode(x=scatter.x.x("x"), y=scatter.y.y("y"), opacity=alt.value(0.6))
    )
    return chart


def _arrows(scatter: Scatter) -> Iterator[alt.Chart]:
    if not scatter.arrows:
        return
    colour = looks.tone(*looks.KINDS["harmonized"][1:])
    chart = _chart("arrows")
    x, y = scatter.x.x, scatter.y.y
    yield (
        _chart("arrows", "arrows")
        .mark_rule(color=colour, strokeWidth=1.3)
        .encode(x=x("from_x"), x2="to_x", y=y("from_y"), y2="to_y", opacity=alt.value(0.8))
    )
    # Of the direction as it is drawn, which changes with the width.
    down = "scale('y', datum.to_y) - scale('y', datum.from_y)"
    along = "scale('x', datum.to_x) - scale('x', datum.from_x)"
    angle = alt.ExprRef(f"90 + atan2({down}, {along}) * 180 / PI")
    yield chart.mark_point(
        shape="triangle-up", filled=True, size=45, angle=angle, color=colour
    ).encode(x=x("x"), y=y("y"), opacity=alt.value(0.8))


def _names(scatter: Scatter, prefix: str) -> Iterator[alt.Chart]:
    """Names on a rim of paper, so that a line behind them does not cross them out."""
    words: dict[str, Any] = {"fontSize": FONT_PX, "font": looks.FONT, "color": looks.INK}
    words |= {name: alt.ExprRef(f"datum.{name}") for name in ("align", "baseline", "dx", "dy")}
    rim: dict[str, Any] = {"stroke": alt.ExprRef("paper"), "strokeWidth": 2.5}
    for name, outline, bright in (("rims", rim, 0.8), ("names", {}, 0.85)):
        yield (
            _chart("labels", f"{prefix}{name}")
            .transform_filter("datum.from_width <= width")
            .mark_text(**words, **outline)
            .encode(
                x=scatter.x.x("x"), y=scatter.y.y("y"), text="text:N", opacity=alt.value(bright)
            )
        )
