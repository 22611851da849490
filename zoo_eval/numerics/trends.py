"""Correlations over models, with bootstrap intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from zoo_eval.numerics.intervals import FEWEST_DRAWN, percentile_interval

Array = npt.NDArray[np.float64]
Statistic = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Estimate:
    """A statistic with a 95 % percentile bootstrap interval; None where it is undefined.

    `no_interval` says why there is an estimate without an interval, and is None otherwise.
    """

    estimate: float | None
    low: float | None
    high: float | None
    n_models: int
    n_infinite: int
    n_resamples: int
    no_interval: str | None


def spearman_rho(x: Array, y: Array) -> Array:
    """Spearman's rank correlation over the last axis; ties averaged, +infinity ranks last.

    NaN with fewer than three models, or where either side is constant.
    """
    return _pearson(rankdata(x, axis=-1), rankdata(y, axis=-1))


def pearson_r(x: Array, y: Array) -> Array:
    """Pearson's correlation over the last axis, of the pairs that are finite.

    NaN with fewer than three of them, or where either side is constant.
    """
    finite = np.isfinite(x) & np.isfinite(y)
    return _pearson(np.where(finite, x, np.nan), np.where(finite, y, np.nan))


def _pearson(x: Array, y: Array) -> Array:
    """Over the last axis, of the pairs that are not NaN."""
    n = np.isfinite(x).sum(-1)
    # The smallest value is subtracted first, so that a constant side is exactly zero.
    x, y = (side - np.fmin.reduce(side, -1, keepdims=True, initial=np.inf) for side in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = (side - np.nansum(side, -1, keepdims=True) / n[..., None] for side in (x, y))
        norms = np.nansum(x * x, -1) * np.nansum(y * y, -1)
        r: Array = np.nansum(x * y, -1) / np.sqrt(norms)
    return np.where((n >= 3) & (norms > 0), np.clip(r, -1, 1), np.nan)


STATISTICS: dict[str, Statistic] = {"spearman_rho": spearman_rho, "pearson_r": pearson_r}


def bootstrap(statistic: Statistic, x: Array, y: Array, *, n_resamples: int, seed: int) -> Estimate:
    """A statistic of paired values over models, with its 95 % percentile bootstrap interval.

    Models are resampled with replacement, `n_resamples` times; resamples in which the statistic is
    undefined (fewer than three models, or all alike) are left out and the rest counted. Of fewer than
    `intervals.FEWEST_DRAWN` models that the statistic counts there is no interval.

    Args:
        statistic: `spearman_rho` or `pearson_r`.
        x: (model,), finite or +infinity.
        y: (model,), likewise.
        n_resamples: bootstrap resamples.
        seed: of the resampling.
    """
    n_models, n_infinite = len(x), int((np.isinf(x) | np.isinf(y)).sum())
    n_counted = n_models - n_infinite if statistic is pearson_r else n_models
    value = float(statistic(x, y))
    draws = np.empty(0)
    if n_counted >= FEWEST_DRAWN:
        rows = np.random.default_rng(seed).integers(n_models, size=(n_resamples, n_models))
        draws = statistic(x[rows], y[rows])
        draws = draws[np.isfinite(draws)]
    low = high = why = None
    if len(draws):
        low, high = map(float, percentile_interval(draws, n_drawn=n_counted))
    elif n_counted < FEWEST_DRAWN:
        why = f"an interval takes {FEWEST_DRAWN} models"
    else:
        why = "undefined in every resample"
    return Estimate(
        estimate=value if np.isfinite(value) else None,
        low=low,
        high=high,
        n_models=n_models,
        n_infinite=n_infinite,
        n_resamples=len(draws),
        no_interval=why if np.isfinite(value) else None,
    )
