"""Delete-one-family jackknife: the error of a statistic over models whose families are independent.

MacKinnon, Nielsen & Webb 2023 (Journal of Applied Econometrics 38:671, arXiv 2301.04527): of a regression
it is the cluster-robust variance CV3, which errs least where families are few or unequal.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from zoo_eval.numerics.families.families import Families

Array = npt.NDArray[np.float64]

# Of fewer an interval that says 95 % is not to be believed.
FEWEST_EFFECTIVE = 5.0


@dataclass(frozen=True)
class Estimate:
    """A statistic over models with its 95 % interval over families; None where there is none.

    `no_interval` says why an estimate has no interval, and is None where it has. `without_low` and
    `without_high` are its ends over the sets of models that lack one family; `moves_most` is the family
    whose loss moves it furthest. `p_value` is two-sided, of "it is zero".
    """

    value: float | None
    low: float | None
    high: float | None
    p_value: float | None
    n_models: int
    n_families: int
    effective: float
    no_interval: str | None
    without_low: float | None
    without_high: float | None
    moves_most: str | None


@dataclass(frozen=True)
class Scale:
    """Where a statistic is taken to be normal: there and back."""

    there: np.ufunc
    back: np.ufunc


AS_IT_IS = Scale(np.positive, np.positive)
# Of a correlation (Fisher 1921).
FISHER_Z = Scale(np.arctanh, np.tanh)


def error(estimate: Array, left_out: Array) -> Array:
    """Standard error CV3: sqrt((G - 1) / G sum_g (left_out_g - estimate)^2), equation 8 there.

    Args:
        estimate: of all models (...).
        left_out: without each family (..., family).

    Returns:
        (...); NaN where a value is NaN, or there are fewer than two families.
    """
    n_families = left_out.shape[-1]
    if n_families < 2:
        return np.full(np.shape(estimate), np.nan)
    apart = left_out - np.asarray(estimate)[..., None]
    found: Array = np.sqrt((n_families - 1) / n_families * (apart**2).sum(-1))
    return found


def half_width(standard_error: Array, effective: float, *, confidence: float = 0.95) -> Array:
    """Half of the interval by Student's t with G* - 1 degrees: (...); NaN below `FEWEST_EFFECTIVE`."""
    if effective < FEWEST_EFFECTIVE:
        return np.full(np.shape(standard_error), np.nan)
    wide: Array = stdtrit(effective - 1, (1 + confidence) / 2) * standard_error
    return wide


def estimated(
    value: float, left_out: Array, families: Families, *, scale: Scale = AS_IT_IS
) -> Estimate:
    """A statistic's interval and p by t with G* - 1 degrees on its scale.

    Args:
        value: of all models; NaN where undefined.
        left_out: without each family (family,); NaN where undefined.
        families: of the models that it counts.
        scale: on which it is taken to be normal.
    """
    known = left_out[np.isfinite(left_out)]
    alone = Estimate(
        value=value if np.isfinite(value) else None,
        low=None,
        high=None,
        p_value=None,
        n_models=len(families.codes),
        n_families=len(families.names),
        effective=families.effective,
        no_interval=None,
        without_low=float(known.min()) if len(known) else None,
        without_high=float(known.max()) if len(known) else None,
        moves_most=_moves_most(value, left_out, families),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        middle, others = scale.there(np.array(value)), scale.there(left_out)
        spread = float(error(middle, others))
    why = _no_interval(value, left_out, spread, families)
    if why is not None or not np.isfinite(value):
        return replace(alone, no_interval=why)
    wide = float(half_width(np.array(spread), families.effective))
    low, high = (float(scale.back(middle + side * wide)) for side in (-1, 1))
    p = float(2 * stdtr(families.effective - 1, -abs(float(middle)) / spread))
    return replace(alone, low=low, high=high, p_value=p)


def _moves_most(value: float, left_out: Array, families: Families) -> str | None:
    apart = np.where(np.isfinite(left_out), np.abs(left_out - value), -1)
    return families.names[int(apart.argmax())] if apart.size and apart.max() > 0 else None


def _no_interval(value: float, left_out: Array, spread: float, families: Families) -> str | None:
    if not np.isfinite(value):
        return None
    if families.effective < FEWEST_EFFECTIVE:
        n = len(families.names)
        worth = f", as uneven as {families.effective:.1f}" if n > families.effective + 0.05 else ""
        return f"too few families: {n}{worth}; an interval takes {FEWEST_EFFECTIVE:.0f} of one size"
    if np.isnan(left_out).any():
        return f"undefined without family {families.names[int(np.isnan(left_out).argmax())]}"
    if not np.isfinite(spread) or spread == 0:
        return "the same without any family, or perfect: its error cannot be told"
    return None
