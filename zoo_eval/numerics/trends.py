"""Correlations over models, with bootstrap intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]
Statistic = Callable[[Array, Array], float]


@dataclass(frozen=True)
class Estimate:
    """A statistic with a 95 % percentile bootstrap interval; None where it is undefined."""

    estimate: float | None
    low: float | None
    high: float | None
    n_models: int
    n_infinite: int
    n_resamples: int


def spearman_rho(x: Array, y: Array) -> float:
    """Spearman's rank correlation (ties averaged; +infinity ranks last); NaN if either is constant."""
    return _pearson(rankdata(x), rankdata(y))


def pearson_r(x: Array, y: Array) -> float:
    """Pearson's correlation over the pairs that are finite; NaN if either is constant."""
    finite = np.isfinite(x) & np.isfinite(y)
    return _pearson(x[finite], y[finite])


def _pearson(x: Array, y: Array) -> float:
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


STATISTICS: dict[str, Statistic] = {"spearman_rho": spearman_rho, "pearson_r": pearson_r}


def bootstrap(statistic: Statistic, x: Array, y: Array, *, n_resamples: int, seed: int) -> Estimate:
    """A statistic of paired values over models, with its 95 % percentile bootstrap interval.

    Models are resampled with replacement, `n_resamples` times; resamples in which the statistic is
    undefined (fewer than three models, or all alike) are left out and the rest counted.

    Args:
        statistic: `spearman_rho` or `pearson_r`.
        x: (model,), finite or +infinity.
        y: (model,), likewise.
        n_resamples: bootstrap resamples.
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    n_models = len(x)
    draws = []
    if n_models >= 3:
        rows = rng.integers(n_models, size=(n_resamples, n_models))
        draws = [value for r in rows if np.isfinite(value := statistic(x[r], y[r]))]
    value = statistic(x, y)
    low, high = np.percentile(draws, [2.5, 97.5]) if draws else (None, None)
    return Estimate(
        estimate=float(value) if np.isfinite(value) else None,
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        n_models=n_models,
        n_infinite=int((np.isinf(x) | np.isinf(y)).sum()),
        n_resamples=len(draws),
    )
