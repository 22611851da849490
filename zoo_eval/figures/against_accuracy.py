"""Accuracy against neural predictivity, tolerance and alignment: one figure for each comparison."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zoo_eval.figures.axes import axis
from zoo_eval.figures.figure import Figure, Row, slug
from zoo_eval.figures.known import Known
from zoo_eval.figures.scatter import MOST_BARS, Level, Scatter
from zoo_eval.trends.comparisons import CEILED, CEILED_MAPS, Comparison

TOP1 = "ImageNet top-1 (share of photos)"
SECTIONS = {
    "accuracy_vs_neural": "neural",
    "accuracy_vs_spatial": "maps",
    "accuracy_vs_tolerance": "tolerance",
    "accuracy_vs_alignment": "alignment",
}
TITLES = {
    "accuracy_vs_neural": "Accuracy against neural predictivity",
    "accuracy_vs_spatial": "Accuracy against predictivity of maps",
    "accuracy_vs_tolerance": "Accuracy against tolerance of perturbations",
    "accuracy_vs_alignment": "Accuracy against alignment with people",
}
# How far above the values a level is still drawn, in their span: further up it would flatten them.
HIGHEST_LEVEL = 0.6
OTHER_MAPS = "other images' maps"
PLANTED_RESPONSES = "Planted responses, to check the method: not neural data"
PLANTED_MAPS = "Planted maps, to check the method: not human data"


@dataclass(frozen=True)
class Measured:
    """What a comparison sets against top-1: its axis, what it is compared with and what bars are."""

    column: str
    title: str
    log: bool = False
    level: tuple[str, float] | None = None
    bars: str = ""


def against_accuracy(known: Known) -> Iterator[Figure]:
    """A figure for each comparison that has a model with finite accuracy and a value."""
    for one in known.comparisons:
        if found := _figure(one, known):
            yield found


def _figure(one: Comparison, known: Known) -> Figure | None:
    measured = _measured(one)
    if len(one.rows) > MOST_BARS:
        # They are not drawn, and finding them reads every score again.
        measured = replace(measured, bars="")
    rows = [_row(row, measured, known) for row in one.rows if _counts(row)]
    if not rows:
        return None
    levels, beyond = _levels(one, measured, rows)
    y = axis(
        measured.column, measured.title, rows, log=measured.log,
        also=[*(end for level in levels for end in (level.low, level.high)), *_nulls(rows)],
    )  # fmt: skip
    x = axis("top1", TOP1, rows)
    scatter = Scatter(rows, x, y, levels, _planted(one, known))
    return Figure(
        name=slug(f"{one.trend} {one.subject}"),
        title=f"{TITLES[one.trend]}: {one.subject}",
        section=SECTIONS[one.trend],
        alt=described(scatter),
        spec=scatter.spec(),
        notes=(*_said(one, measured, rows), *beyond, *said_of(scatter)),
        trend=one.trend,
        subject=one.subject,
    )


def _measured(one: Comparison) -> Measured:
    first, protocol = one.rows[0], one.key["protocol"]
    if one.trend == "accuracy_vs_tolerance":
        title = (
            f"Median smallest {first['norm']} perturbation ([0, 1] pixels)"
            if protocol == "corrected"
            else f"Median {first['norm']} distance (unit of {protocol})"
        )
        return Measured("tolerance", title, log=True)
    if one.trend == "accuracy_vs_alignment":
        return Measured(
            "alignment", "Mean Spearman with human maps", bars="of the mean over images"
        )
    over = "images" if one.trend == "accuracy_vs_spatial" else "folds"
    ceiling = ("ceiling", 1.0) if one.measure in (CEILED, CEILED_MAPS) else None
    return Measured(
        "score",
        f"{worded(one.measure)}, mean over {over}",
        level=ceiling,
        bars=f"of the mean over {over}",
    )


def _counts(row: Row) -> bool:
    """NaN compares with nothing, and less than everything has no place."""
    return math.isfinite(row["top1"]) and not math.isnan(row["value"]) and row["value"] > -math.inf


def _row(row: Row, measured: Measured, known: Known) -> Row:
    value = None if math.isinf(row["value"]) else float(row["value"])
    found = {
        "model": row["model"], **known.kind(row["model"]),
        "top1": row["top1"], "top1_low": row["top1_low"], "top1_high": row["top1_high"],
        measured.column: value,
    }  # fmt: skip
    error = _error(row, known) if measured.bars else None
    if error is not None and value is not None and math.isfinite(error):
        found[f"{measured.column}_low"] = value - error
        found[f"{measured.column}_high"] = value + error
    null = row.get("null_alignment")
    if null is not None and math.isfinite(null):
        found["null"] = null
    return found


def _error(row: Row, known: Known) -> float | None:
    """Of the view's own column, where it has one."""
    if "standard_error" in row:
        error: float | None = row["standard_error"]
        return error
    return known.standard_error(row)


def _nulls(rows: Sequence[Row]) -> list[float]:
    return [row["null"] for row in rows if "null" in row]


def _levels(
    one: Comparison, measured: Measured, rows: Sequence[Row]
) -> tuple[list[Level], tuple[str, ...]]:
    """What the points are compared with; in words where it lies too far above them."""
    nulls = _nulls(rows)
    levels = (
        [Level(OTHER_MAPS, *map(float, np.quantile(nulls, [0.05, 0.95])))]
        if len(nulls) > MOST_BARS
        else []
    )
    ceilings = [row["human_ceiling"] for row in one.rows if row.get("human_ceiling") is not None]
    if measured.level is not None:
        ceiling = Level(measured.level[0], measured.level[1], measured.level[1])
    elif ceilings:
        ceiling = Level("people with each other", min(ceilings), max(ceilings))
    else:
        return levels, ()
    values = [row[measured.column] for row in rows if row[measured.column] is not None]
    low, high = min(values, default=0.0), max(values, default=0.0)
    if ceiling.low <= high + HIGHEST_LEVEL * max(high - low, 0.1):
        return [*levels, ceiling], ()
    return levels, (
        f"Not drawn, for it lies far above the points: {ceiling.name}, {ceiling.low:.3g}.",
    )


def _planted(one: Comparison, known: Known) -> str | None:
    maps = one.key.get("importance_digest")
    if known.planted(maps):
        return PLANTED_MAPS
    return PLANTED_RESPONSES if known.planted(one.key.get("recording_digest")) else None


def _said(one: Comparison, measured: Measured, rows: Sequence[Row]) -> Iterator[str]:
    excluded = len(one.rows) - len(rows)
    if excluded:
        yield f"{counted(excluded)} left out: a value is NaN or minus infinity."
    if len(rows) > MOST_BARS:
        yield f"No intervals are drawn: there are more than {MOST_BARS} models."
        if _nulls(rows):
            yield f"Grey band: 90 % of the models with {OTHER_MAPS}, what the centre is worth."
        return
    bars = ["Horizontal bars: 95 % interval of top-1"]
    if any(f"{measured.column}_low" in row for row in rows):
        bars.append(f"vertical bars: one standard error {measured.bars}")
    yield f"{'; '.join(bars)}."
    if _nulls(rows):
        yield f"Grey ticks: the same with {OTHER_MAPS}, what looking at the centre is worth."


def worded(measure: str) -> str:
    """A measure as an axis says it, e.g. "Pearson r" for pearson_r."""
    words = measure.replace("_", " ")
    return words[:1].upper() + words[1:] if measure[1:2] != " " else words


def counted(n: int) -> str:
    """How many models, in words."""
    return f"{n} model" if n == 1 else f"{n} models"


def said_of(scatter: Scatter) -> Iterator[str]:
    """What the marks of a scatter plot are, in words."""
    for axis_ in (scatter.x, scatter.y):
        infinite = sum(row[axis_.field] is None for row in scatter.rows)
        if infinite:
            yield (
                f"At the edge, with an arrow: {counted(infinite)} of infinite {axis_.field} "
                "(no attack succeeded on the median image)."
            )
    if len(scatter.front) > 1:
        yield "Dashed: Pareto front of the models that were not harmonized; none is better in both."
    if scatter.arrows:
        yield "Arrows: to a harmonized model from its control, or from the model it was made from."


def described(scatter: Scatter) -> str:
    """What is seen, in one or two sentences."""
    ends = []
    for axis_ in (scatter.x, scatter.y):
        values = [row[axis_.field] for row in scatter.rows if row[axis_.field] is not None]
        span = f" from {min(values):.3g} to {max(values):.3g}" if values else ""
        ends.append(f"{axis_.title}{span}")
    best = [row["model"] for row in scatter.front]
    more = "" if len(best) <= 5 else f" and {len(best) - 5} more"
    return (
        f"Scatter plot of {counted(len(scatter.rows))}: {ends[0]} across, {ends[1]} upwards. "
        f"On the front: {', '.join(best[:5])}{more}."
    )
