"""Shapes of a relation: a line, a saturating power law, two lines; compared on families not seen.

x is rescaled to 0 at the least accurate model and 1 at the most accurate.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo_eval.numerics.families.families import Families
from zoo_eval.numerics.families.jackknife import Estimate, estimated

Array = npt.NDArray[np.float64]
Curve = Callable[[Array], Array]

# Of the power law: from nearly the logarithm to nearly a step.
EXPONENTS = np.geomspace(0.25, 32, 15)
# Where lines may meet; a break has this share of the models on either side.
N_BREAKS = 25
OUTER = 0.15


@dataclass(frozen=True)
class Shape:
    """Curves that are linear in all but one parameter.

    `tried` are that parameter's values for some x (model,), and `terms` what is fitted for one (model, term).
    """

    name: str
    tried: Callable[[Array], Array]
    terms: Callable[[Array, float], Array]

    def fitted(self, x: Array, y: Array) -> Curve:
        """The curve of least squares."""
        fits = []
        for parameter in self.tried(x):
            terms = self.terms(x, parameter)
            weights = np.linalg.lstsq(terms, y, rcond=None)[0]
            fits.append((float(((y - terms @ weights) ** 2).sum()), parameter, weights))
        _, best, weights = min(fits, key=lambda fit: fit[0])
        return lambda at: np.asarray(self.terms(at, best) @ weights)


def breaks(x: Array) -> Array:
    """Where a slope may change: quantiles of x, `OUTER` of the models from either end."""
    found: Array = np.unique(np.quantile(x, np.linspace(OUTER, 1 - OUTER, N_BREAKS)))
    return found


def _line(x: Array, _: float) -> Array:
    return np.column_stack([np.ones(len(x)), x])


def _power(x: Array, exponent: float) -> Array:
    # What is left out of a fit may lie below all that is in it, but never at -1.
    return np.column_stack([np.ones(len(x)), (1 + x) ** -exponent])


def hinged(x: Array, where: float) -> Array:
    """Terms of a line whose slope changes at one place: (model, 3)."""
    return np.column_stack([np.ones(len(x)), x, np.maximum(x - where, 0)])


LINE = Shape("line", lambda _: np.zeros(1), _line)
POWER = Shape("saturating power law", lambda _: EXPONENTS, _power)
TWO_LINES = Shape("two lines", breaks, hinged)
SHAPES = (LINE, POWER, TWO_LINES)


def unseen_errors(shape: Shape, x: Array, y: Array, families: Families) -> Array:
    """Squared error of each model, predicted from the other families: (model,).

    Args:
        shape: fitted without each family in turn.
        x: (model,), rescaled.
        y: (model,), finite.
        families: of the models; two at least.
    """
    errors = np.empty(len(x))
    for code in range(len(families.names)):
        out = families.codes == code
        errors[out] = (y[out] - shape.fitted(x[~out], y[~out])(x[out])) ** 2
    return errors


def mean_over_families(values: Array, families: Families) -> Estimate:
    """The mean over models of a value of each, with an interval over families.

    Args:
        values: (model,), finite.
        families: of the models.
    """
    total, sizes = families.sums(values), families.sizes
    with np.errstate(invalid="ignore", divide="ignore"):
        left_out = (total.sum() - total) / (sizes.sum() - sizes)
    return estimated(float(values.mean()) if len(values) else float("nan"), left_out, families)
