"""Correlations over models, with the bootstrap over models that takes them to be independent.

A resample, and the models without a family, only count each model some times or never, so that each
correlation is written for counts: all resamples at once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo_eval.numerics.intervals import FEWEST_DRAWN, percentile_interval

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Rows of counts at a time, so that a few thousand models take little memory.
AT_ONCE = 256


@dataclass(frozen=True)
class Correlation:
    """A named correlation of pairs that count some times each; `ranked`: infinities rank, else are left out."""

    name: str
    ranked: bool
    formula: Callable[[Array, Array, Array], Array]

    def counts(self, x: Array, y: Array) -> Mask:
        """Which pairs it counts: all, or those that are finite (model,)."""
        return np.isfinite(x) & np.isfinite(y) if not self.ranked else np.ones(len(x), dtype=bool)

    def weighted(self, x: Array, y: Array, times: Array) -> Array:
        """The correlation with each pair there so many times.

        Args:
            x: (model,), finite or infinite.
            y: (model,), likewise.
            times: (resample, model), whole numbers.

        Returns:
            (resample,); NaN where fewer than three are counted, or a side is constant.
        """
        counted = self.counts(x, y)
        x, y, times = x[counted], y[counted], times[:, counted]
        found = [
            self.formula(x, y, times[start : start + AT_ONCE])
            for start in range(0, len(times), AT_ONCE)
        ]
        r: Array = np.concatenate(found) if found else np.empty(0)
        return np.where(times.sum(1) >= 3, r, np.nan)

    def of(self, x: Array, y: Array) -> float:
        """The correlation of the pairs."""
        return float(self.weighted(x, y, np.ones((1, len(x))))[0])


def _pearson(x: Array, y: Array, times: Array) -> Array:
    """Of x and y (model,) or (resample, model)."""
    n = times.sum(-1, keepdims=True)
    x, y = (_deviations(side, times, n) for side in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        norms = (times * x * x).sum(-1) * (times * y * y).sum(-1)
        r = (times * x * y).sum(-1) / np.sqrt(np.where(norms > 0, norms, np.nan))
    clipped: Array = np.clip(r, -1, 1)
    return clipped


def _deviations(side: Array, times: Array, n: Array) -> Array:
    # The smallest value is subtracted first, so that a constant side is exactly zero.
    least = np.where(times > 0, side, np.inf).min(-1, keepdims=True, initial=np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.where(times > 0, side - least, 0)
        found: Array = apart - (times * apart).sum(-1, keepdims=True) / n
    return found


def _spearman(x: Array, y: Array, times: Array) -> Array:
    return _pearson(_midranks(x, times), _midranks(y, times), times)


def _midranks(side: Array, times: Array) -> Array:
    """Ranks among what is there so many times, ties averaged: (resample, model)."""
    distinct, places = np.unique(side, return_inverse=True)
    each = np.zeros((len(times), len(distinct)))
    order = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[order], np.arange(len(distinct)))
    if len(distinct):
        each = np.add.reduceat(times[:, order], starts, axis=1)
    ranks: Array = (np.cumsum(each, axis=1) - (each - 1) / 2)[:, places]
    return ranks


def _kendall(x: Array, y: Array, times: Array) -> Array:
    """tau-b: of all pairs of models, the sum of their signs over what it could be without ties."""
    signs_x, signs_y = (_signs(side) for side in (x, y))
    untied = _untied(x, signs_x, times) * _untied(y, signs_y, times)
    found = _over_pairs(signs_x * signs_y, times) / np.sqrt(np.where(untied > 0, untied, np.nan))
    clipped: Array = np.clip(found, -1, 1)
    return clipped


def _untied(side: Array, signs: Array, times: Array) -> Array:
    """Ordered pairs that differ: (resample,)."""
    if len(np.unique(side)) < len(side):
        return _over_pairs(np.abs(signs), times)
    pairs: Array = times.sum(1) ** 2 - (times**2).sum(1)
    return pairs


def _over_pairs(signs: Array, times: Array) -> Array:
    summed: Array = ((times @ signs) * times).sum(1)
    return summed


def _signs(side: Array) -> Array:
    return (side[:, None] > side).astype(np.float64) - (side[:, None] < side)


SPEARMAN = Correlation("spearman_rho", True, _spearman)
PEARSON = Correlation("pearson_r", False, _pearson)
KENDALL = Correlation("kendall_tau", True, _kendall)
CORRELATIONS = (SPEARMAN, PEARSON, KENDALL)


@dataclass(frozen=True)
class Naive:
    """A 95 % percentile bootstrap interval over models; `n_resamples` of them are defined.

    None where there is none: fewer than `intervals.FEWEST_DRAWN` models, or undefined throughout.
    """

    low: float | None
    high: float | None
    n_resamples: int


def naive_interval(
    correlation: Correlation, x: Array, y: Array, *, n_resamples: int, seed: int
) -> Naive:
    """The 95 % interval that models would have if none were kin.

    Models are resampled with replacement; resamples in which the correlation is undefined (fewer than
    three models, or all alike) are left out and the rest counted.

    Args:
        correlation: one of `CORRELATIONS`.
        x: (model,), finite or infinite.
        y: (model,), likewise.
        n_resamples: bootstrap resamples.
        seed: of the resampling.
    """
    n_models = len(x)
    n_counted = int(correlation.counts(x, y).sum())
    if n_counted < FEWEST_DRAWN:
        return Naive(None, None, 0)
    rows = np.random.default_rng(seed).integers(n_models, size=(n_resamples, n_models))
    places = rows + n_models * np.arange(n_resamples)[:, None]
    drawn = np.bincount(places.ravel(), minlength=n_resamples * n_models)
    times = drawn.reshape(n_resamples, n_models).astype(np.float64)
    draws = correlation.weighted(x, y, times)
    draws = draws[np.isfinite(draws)]
    if not len(draws):
        return Naive(None, None, 0)
    low, high = map(float, percentile_interval(draws, n_drawn=n_counted))
    return Naive(low, high, len(draws))
