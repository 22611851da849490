"""Rows of the shape of a relation: which curve tells unseen families best, whether it turns, and where."""

import numpy as np
import numpy.typing as npt

from zoo_eval.numerics.families.change_point import ChangePoint, change_point
from zoo_eval.numerics.families.shapes import (
    LINE,
    SHAPES,
    Shape,
    mean_over_families,
    unseen_errors,
)
from zoo_eval.numerics.families.two_lines import TwoLines, two_lines
from zoo_eval.trends.rows import BY_FAMILY, Row, Sample

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

TWO_LINES = "two-lines test (Simonsohn 2018), slopes' errors over families (CV3)"
SUP_F = "sup-F; p by wild cluster bootstrap over families (Webb weights)"
UNSEEN = "each family predicted from the others"
FEWEST_VALUES = 8


def shapes(sample: Sample) -> list[Row]:
    """Rows of the shapes compared, the two-lines test and the change point of finite values."""
    sample = sample.finite
    return [*_compared(sample), *two_lines_rows(sample), _change(sample)]


def two_lines_rows(sample: Sample) -> list[Row]:
    """Rows of the two slopes, and of what the value loses from the break to the most accurate model."""
    sample = sample.finite
    found = two_lines(sample.x, sample.y, sample.families) if len(sample.x) else None
    if found is None:
        why = f"it takes {FEWEST_VALUES} different accuracies, and values that differ"
        return [sample.row("two_lines", method=TWO_LINES, no_interval=why)]
    sides = {"two_lines_before": found.before, "two_lines_after": found.after}
    return [
        _change_beyond(sample, found),
        *(
            sample.estimate(name, side, at=found.where, method=TWO_LINES)
            for name, side in sides.items()
        ),
    ]


def _change_beyond(sample: Sample, found: TwoLines) -> Row:
    """The change of the value from the break to the most accurate model, by the second line."""
    length = float(sample.x.max() - found.where)
    ends = {
        column: None if (value := getattr(found.after, name)) is None else value * length
        for column, name in (
            ("estimate", "value"), ("low", "low"), ("high", "high"),
            ("without_low", "without_low"), ("without_high", "without_high"),
        )
    }  # fmt: skip
    why = found.after.no_interval or found.undecided
    return sample.row(
        "two_lines",
        at=found.where,
        method=TWO_LINES,
        p_value=found.p_value,
        no_interval=why,
        moves_most=found.after.moves_most,
        **ends,
    )


def _compared(sample: Sample) -> list[Row]:
    x, families = sample.x, sample.families
    if len(np.unique(x)) < FEWEST_VALUES or len(families.names) < 2:
        why = f"it takes {FEWEST_VALUES} different accuracies and two families"
        return [
            sample.row("unseen_rmse", detail=shape.name, method=UNSEEN, no_interval=why)
            for shape in SHAPES
        ]
    at = (x - x.min()) / np.ptp(x)
    errors = {shape: unseen_errors(shape, at, sample.y, families) for shape in SHAPES}
    return [row for shape in SHAPES for row in _shape(sample, shape, errors[shape], errors[LINE])]


def _shape(sample: Sample, shape: Shape, errors: Array, of_line: Array) -> list[Row]:
    rows = [
        sample.row(
            "unseen_rmse",
            detail=shape.name,
            method=UNSEEN,
            estimate=float(errors.mean() ** 0.5),
            no_interval="see unseen_gain: the difference from the line",
        )
    ]
    if shape is not LINE:
        gain = mean_over_families(of_line - errors, sample.families)
        method = f"squared error of the line less this one's; {BY_FAMILY}"
        rows.append(sample.estimate("unseen_gain", gain, detail=shape.name, method=method))
    return rows


def _change(sample: Sample) -> Row:
    x, y, families = sample.x, sample.y, sample.families
    found = change_point(x, y, families) if len(x) else None
    if found is None:
        why = (
            f"it takes {FEWEST_VALUES} different accuracies, three families, and values off a line"
        )
        return sample.row("change_point", method=SUP_F, no_interval=why)
    without = [
        one.where
        for code in range(len(families.names))
        if (one := _without(sample, families.codes != code)) is not None
    ]
    return sample.row(
        "change_point",
        method=SUP_F,
        estimate=found.where,
        p_value=found.p_value,
        without_low=min(without, default=None),
        without_high=max(without, default=None),
        no_interval="a place of change has no normal limit: see the range without each family",
    )


def _without(sample: Sample, chosen: Mask) -> ChangePoint | None:
    return change_point(
        sample.x[chosen], sample.y[chosen], sample.families.among(chosen), n_resamples=0
    )
