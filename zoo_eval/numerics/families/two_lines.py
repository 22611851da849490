"""Two-lines test of "rises, then falls" (Simonsohn 2018, AMPPS 1:538), with errors over families.

A quadratic says "falls" of much that only flattens. Here a line is fitted to either side of a break, and
both slopes must differ from zero, the first upwards and the second downwards. The break is set by the
paper's "Robin Hood" algorithm: a smooth curve is fitted; where it lies within an error of its top is called
flat; the break is first the middle of the models there, and is then moved so that the side with the weaker
slope gets more of them. In the paper the curve is a GAM and errors are heteroscedastic (HC3); here the
curve is a cubic regression spline, and all errors are CV3 over families, with t.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline

from zoo_eval.numerics.families.families import Families
from zoo_eval.numerics.families.jackknife import Estimate, error, estimated
from zoo_eval.numerics.families.least_squares import coefficients

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# The spline's inner knots, at quantiles.
N_KNOTS = 3
# The top is sought between these quantiles of x, as in the paper.
MIDDLE = (0.1, 0.9)
FEWEST_VALUES = 8


@dataclass(frozen=True)
class TwoLines:
    """Slopes up to a break and from it on; `p_value` of "it does not rise and then fall".

    It is the larger of the two slopes' if the first rises and the second falls, and 1 otherwise; None, and
    `undecided` says why, where a slope has none.
    """

    where: float
    before: Estimate
    after: Estimate
    p_value: float | None
    undecided: str | None


def two_lines(x: Array, y: Array, families: Families) -> TwoLines | None:
    """The test, in the units of x and y; None with fewer than `FEWEST_VALUES` values of x, or constant y.

    Args:
        x: (model,), finite.
        y: (model,), finite.
        families: of the models.
    """
    if len(np.unique(x)) < FEWEST_VALUES or np.ptp(y) == 0:
        return None
    flat = x[_flat(x, y, families)]
    middle = float(np.median(flat))
    rise, fall = (_strength(*_slope(x, y, families, side)) for side in _sides(x, middle))
    share = fall / (rise + fall) if rise + fall > 0 else 0.5
    where = float(np.quantile(flat, share))
    before, after = (estimated(*_slope(x, y, families, side)) for side in _sides(x, where))
    if before.p_value is None or after.p_value is None:
        lacking = ("before", before) if before.p_value is None else ("after", after)
        why = lacking[1].no_interval or "no slope"
        return TwoLines(where, before, after, None, f"{lacking[0]} the break: {why}")
    rises_and_falls = (before.value or 0) > 0 > (after.value or 0)
    p = max(before.p_value, after.p_value) if rises_and_falls else 1.0
    return TwoLines(where, before, after, p, None)


def _flat(x: Array, y: Array, families: Families) -> Mask:
    """Models in the middle whose fitted value is within one standard error of the highest there."""
    terms = _spline(x)
    weights, left_out = coefficients(terms, (y - y.mean()) / y.std(), families)
    # A family without which there is no curve counts for nothing in its error.
    left_out = np.where(np.isfinite(left_out), left_out, weights)
    curve = terms @ weights
    wide = error(curve, (left_out @ terms.T).T)
    low, high = np.quantile(x, MIDDLE)
    middle = (low <= x) & (x <= high)
    found: Mask = middle & (curve + np.nan_to_num(wide) >= curve[middle].max())
    return found


def _spline(x: Array) -> Array:
    """Terms of a cubic spline (model, term), each 0 to 1; fewer knots where values of x are few."""
    inner = np.unique(np.quantile(x, np.linspace(0, 1, N_KNOTS + 2)))
    knots = np.r_[[inner[0]] * 3, inner, [inner[-1]] * 3]
    found: Array = BSpline.design_matrix(x, knots, 3).toarray()
    return found


def _sides(x: Array, where: float) -> tuple[Mask, Mask]:
    return x <= where, x >= where


def _slope(x: Array, y: Array, families: Families, side: Mask) -> tuple[float, Array, Families]:
    """The slope of the models of one side, that without each family (family,), and their families."""
    x, y, families = x[side], y[side], families.among(side)
    spread_x, spread_y = np.ptp(x) if len(x) else 0.0, np.ptp(y) if len(y) else 0.0
    if len(x) < 3 or spread_x == 0 or spread_y == 0:
        return float("nan"), np.full(len(families.names), np.nan), families
    terms = np.column_stack([np.ones(len(x)), (x - x.mean()) / spread_x])
    weights, left_out = coefficients(terms, (y - y.mean()) / spread_y, families)
    unit = spread_y / spread_x
    return float(weights[1] * unit), left_out[:, 1] * unit, families


def _strength(slope: float, left_out: Array, families: Families) -> float:
    """|t|; 0 where there is none."""
    spread = float(error(np.array(slope), left_out))
    return abs(slope) / spread if np.isfinite(spread) and spread > 0 else 0.0
