"""Two models on the same targets, or the same stimuli: how much they differ, and whether they do."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from zoo_eval.numerics.intervals import FEWEST_DRAWN

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """The mean difference over things that are drawn, with its 95 % t interval, and p of "none".

    `p_value` is of SciPy's permutation test, which swaps the two models' values thing by thing. Where a
    value is infinite there is no mean: `larger` and `smaller` count the things on which the first model's
    value is so, and `p_value` is that of the sign test.
    """

    mean: float | None
    low: float | None
    high: float | None
    p_value: float | None
    n: int
    n_infinite: int
    larger: int
    smaller: int
    no_interval: str | None


def paired(first: Array, second: Array, *, n_permutations: int = 1999, seed: int = 0) -> Paired:
    """Two models' values compared thing by thing.

    Args:
        first: (thing,), finite or infinite; NaN are left out, with their partners.
        second: (thing,), likewise.
        n_permutations: drawn where there are too many to look at all.
        seed: of the drawing.
    """
    known = ~(np.isnan(first) | np.isnan(second))
    first, second = first[known], second[known]
    infinite = np.isinf(first) | np.isinf(second)
    counts = int((first > second).sum()), int((first < second).sum())
    told = (len(first), int(infinite.sum()), *counts)
    if len(first) < FEWEST_DRAWN:
        mean = float(np.mean(first - second)) if len(first) and not infinite.any() else None
        return Paired(mean, None, None, None, *told, f"an interval takes {FEWEST_DRAWN} of them")
    if infinite.any():
        p = float(stats.binomtest(counts[0], sum(counts)).pvalue) if sum(counts) else 1.0
        return Paired(None, None, None, p, *told, "a value is infinite: counted, not averaged")
    apart = first - second
    # Values of single precision differ in their last digit.
    if np.ptp(apart) <= 1e-6 * np.abs(apart).max():
        p = 2.0 ** (1 - len(apart)) if apart[0] else 1.0
        return Paired(
            float(apart[0]), None, None, p, *told, "the difference is the same throughout"
        )
    low, high = stats.ttest_1samp(apart, 0).confidence_interval()
    p = float(_swapped(apart, n_permutations, seed))
    return Paired(float(apart.mean()), float(low), float(high), p, *told, None)


def _swapped(apart: Array, n_permutations: int, seed: int) -> float:
    found = stats.permutation_test(
        (apart,),
        lambda one, axis: one.mean(axis=axis),
        permutation_type="samples",
        n_resamples=n_permutations,
        batch=256,
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)
