"""Correlations over models with intervals over families, and without what covariates explain."""

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from zoo_eval.numerics.families.families import Families
from zoo_eval.numerics.families.jackknife import FISHER_Z, Estimate, estimated
from zoo_eval.numerics.trends import PEARSON, Correlation

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def correlated(correlation: Correlation, x: Array, y: Array, families: Families) -> Estimate:
    """A correlation with a delete-one-family interval on Fisher's z.

    Args:
        correlation: one of `trends.CORRELATIONS`.
        x: (model,), finite or infinite.
        y: (model,), likewise.
        families: of the models.
    """
    counted = correlation.counts(x, y)
    x, y, families = x[counted], y[counted], families.among(counted)
    others = np.arange(len(families.names))[:, None] != families.codes
    left_out = correlation.weighted(x, y, others.astype(np.float64))
    return estimated(correlation.of(x, y), left_out, families, scale=FISHER_Z)


def partly_correlated(
    correlation: Correlation, x: Array, y: Array, covariates: Array, families: Families
) -> Estimate:
    """The same between what is left of x and y once a plane in the covariates is taken from each.

    Of a rank correlation x, y and the covariates are ranks, ranked anew without each family.

    Args:
        correlation: `PEARSON` or `SPEARMAN`.
        x: (model,), finite or infinite.
        y: (model,), likewise.
        covariates: (model, covariate), finite; columns that others give are no matter.
        families: of the models.
    """
    counted = correlation.counts(x, y)
    x, y, covariates = x[counted], y[counted], covariates[counted]
    families = families.among(counted)

    def of(chosen: Mask) -> float:
        sides = [side[chosen] for side in (x, y, covariates)]
        if correlation.ranked:
            sides = [rankdata(side, axis=0) for side in sides]
        return _partial(*sides)

    left_out = np.array([of(families.codes != code) for code in range(len(families.names))])
    return estimated(of(np.ones(len(x), dtype=bool)), left_out, families, scale=FISHER_Z)


def _partial(x: Array, y: Array, covariates: Array) -> float:
    """Pearson's r of the residuals; NaN where fewer than three degrees are left, or one side is explained."""
    n = len(x)
    centred = covariates - covariates.mean(0) if n else covariates
    spread = np.abs(centred).max(0, initial=0)
    design = np.column_stack([np.ones(n), centred / np.where(spread > 0, spread, 1)])
    sides = np.column_stack([x, y])
    fitted, _, rank, _ = np.linalg.lstsq(design, sides, rcond=1e-10)
    if n - rank < 3 - 1:
        return float("nan")
    left = sides - design @ fitted
    # What is left of a side that the covariates explain is rounding.
    size = (left**2).sum(0)
    if (size <= 1e-20 * np.maximum((sides**2).sum(0), 1e-300)).any():
        return float("nan")
    return PEARSON.of(left[:, 0], left[:, 1])
