"""Plots of what benchmarks measured, as SVG; colours come from the style of the figure they stand in."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zoo_eval.files.names import in_html

WIDTH, HEIGHT = 560, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 18, 22, 52
N_COLOURS = 8


@dataclass(frozen=True)
class Point:
    """One model in a scatter plot; `y` may be +infinity, `low` and `high` bound x."""

    name: str
    x: float
    y: float
    series: str
    detail: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """One model in a profile: points in order of x."""

    name: str
    points: tuple[tuple[float, float, str], ...]
    series: str


@dataclass(frozen=True)
class Axis:
    """A labelled scale, linear or logarithmic, from values to places."""

    label: str
    low: float
    high: float
    log: bool = False
    ticks: tuple[float, ...] = field(default=())

    def share(self, value: float) -> float:
        """Where a value lies between the ends, 0 to 1."""
        if self.log:
            span = math.log(self.high / self.low)
            return math.log(value / self.low) / span
        return (value - self.low) / (self.high - self.low)


def axis(label: str, values: Sequence[float], *, log: bool = False) -> Axis:
    """An axis that holds the finite values with a little room, and round ticks."""
    finite = [v for v in values if math.isfinite(v) and (not log or v > 0)] or [0.1, 1.0]
    low, high = min(finite), max(finite)
    if log:
        low, high = low / 1.3, high * 1.3
        candidates = [m * 10.0**e for e in range(-9, 9) for m in (1, 2, 5)]
        return Axis(label, low, high, True, tuple(t for t in candidates if low <= t <= high))
    room = 0.06 * (high - low) or 0.05
    low, high = low - room, high + room
    step = _round_step((high - low) / 6)
    first = math.ceil(low / step)
    ticks = tuple(i * step for i in range(first, math.floor(high / step) + 1))
    return Axis(label, low, high, False, ticks)


def _round_step(rough: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= rough)


def scatter(
    title: str, points: Sequence[Point], x: Axis, y: Axis, colours: Mapping[str, int]
) -> str:
    """A scatter plot; infinite values sit on the top edge as triangles."""
    marks = "".join(_mark(point, x, y, colours[point.series]) for point in points)
    infinite = any(math.isinf(point.y) for point in points)
    note = (
        f'<text class="note" x="{WIDTH - RIGHT}" y="{TOP - 7}" text-anchor="end">'
        "&#9650; no attack succeeded on the median image (+infinity)</text>"
        if infinite
        else ""
    )
    return _frame(title, x, y, note + marks)


def profile(title: str, lines: Sequence[Line], x: Axis, y: Axis, colours: Mapping[str, int]) -> str:
    """One line per model, a dot per layer."""
    parts = []
    for line in lines:
        colour = colours[line.series] % N_COLOURS
        places = [(_x(x, px), _y(y, py)) for px, py, _ in line.points]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        dots = "".join(
            f'<circle class="mark" tabindex="0" cx="{px:.1f}" cy="{py:.1f}" r="3" '
            f'data-tip="{in_html(f"{line.name}: {detail}")}">'
            f"<title>{in_html(f'{line.name}: {detail}')}</title></circle>"
            for (px, py), (_, _, detail) in zip(places, line.points, strict=True)
        )
        parts.append(f'<g class="s{colour}"><polyline class="line" points="{path}"/>{dots}</g>')
    return _frame(title, x, y, "".join(parts))


def _mark(point: Point, x: Axis, y: Axis, number: int) -> str:
    px = _x(x, point.x)
    infinite = math.isinf(point.y)
    py = TOP if infinite else _y(y, point.y)
    tip = in_html(f"{point.name}: {point.detail}")
    bar = ""
    if point.low is not None and point.high is not None:
        bar = (
            f'<line class="interval" x1="{_x(x, max(point.low, x.low)):.1f}" y1="{py:.1f}" '
            f'x2="{_x(x, min(point.high, x.high)):.1f}" y2="{py:.1f}"/>'
        )
    shape = (
        f'<path d="M{px - 6:.1f} {py + 6:.1f} L{px + 6:.1f} {py + 6:.1f} L{px:.1f} {py - 5:.1f} Z"'
        if infinite
        else f'<circle cx="{px:.1f}" cy="{py:.1f}" r="5"'
    )
    return (
        f'<g class="s{number % N_COLOURS}">{bar}{shape} class="mark" tabindex="0" '
        f'data-tip="{tip}"><title>{tip}</title></{"path" if infinite else "circle"}></g>'
    )


def _frame(title: str, x: Axis, y: Axis, inside: str) -> str:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for tick in x.ticks:
        place = _x(x, tick)
        parts.append(
            f'<line class="grid" x1="{place:.1f}" y1="{TOP}" x2="{place:.1f}" y2="{bottom}"/>'
        )
        parts.append(
            f'<text class="tick" x="{place:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:.3g}</text>'
        )
    for tick in y.ticks:
        place = _y(y, tick)
        parts.append(
            f'<line class="grid" x1="{LEFT}" y1="{place:.1f}" x2="{right}" y2="{place:.1f}"/>'
        )
        parts.append(
            f'<text class="tick" x="{LEFT - 7}" y="{place + 4:.1f}" text-anchor="end">{tick:.3g}</text>'
        )
    middle = (TOP + bottom) / 2
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{in_html(title)}">'
        f"{''.join(parts)}"
        f'<text class="label" x="{(LEFT + right) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"{in_html(x.label)}</text>"
        f'<text class="label" transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">'
        f"{in_html(y.label)}</text>{inside}</svg>"
    )


def _x(x: Axis, value: float) -> float:
    return LEFT + x.share(value) * (WIDTH - LEFT - RIGHT)


def _y(y: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - y.share(value) * (HEIGHT - TOP - BOTTOM)
