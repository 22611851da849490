"""Intervals: of shares, and of what was resampled.

Shares are from scipy.special, as scipy.stats takes a second to import.
"""

from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtri

Array = npt.NDArray[np.float64]

# Models, targets or groups of stimuli that a bootstrap draws from. Of r over three of them an interval that
# says 95 % covers half to two thirds of the truths, of four 80 to 90 %, of five or more 85 to 92 %.
FEWEST_DRAWN = 5


def wilson(n_correct: int, n_images: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a share (Wilson 1927).

    Raises:
        ValueError: no images, or more correct than images.
    """
    _check(n_correct, n_images)
    z2 = float(ndtri((1 + confidence) / 2)) ** 2
    centre = n_correct + z2 / 2
    half = sqrt(z2 * (n_correct * (n_images - n_correct) / n_images + z2 / 4))
    # At the ends the two terms cancel to a rounding error, not always to 0 or 1.
    return (
        (centre - half) / (n_images + z2) if n_correct else 0.0,
        (centre + half) / (n_images + z2) if n_correct < n_images else 1.0,
    )


def clopper_pearson(n_correct: int, n_images: int, *, confidence: float) -> tuple[float, float]:
    """Exact binomial interval of a share (Clopper & Pearson 1934).

    Raises:
        ValueError: no images, or more correct than images.
    """
    _check(n_correct, n_images)
    tail, n_wrong = (1 - confidence) / 2, n_images - n_correct
    return (
        float(betaincinv(n_correct, n_wrong + 1, tail)) if n_correct else 0.0,
        float(betaincinv(n_correct + 1, n_wrong, 1 - tail)) if n_wrong else 1.0,
    )


def percentile_interval(
    draws: Array, *, n_drawn: int, confidence: float = 0.95
) -> tuple[Array, Array]:
    """The ends of the central `confidence` share of the resamples.

    Args:
        draws: a statistic in each resample, (resample, ...).
        n_drawn: of how many independent things a resample is drawn.
        confidence: share between the ends.

    Returns:
        low and high, each (...); resamples in which the statistic is NaN are left out, and both
        ends are NaN where there is no other, or `n_drawn` is below `FEWEST_DRAWN`.
    """
    tail = (1 - confidence) / 2
    undefined = np.isnan(draws).all(0) | (n_drawn < FEWEST_DRAWN)
    # nanquantile warns of columns without a number, which are expected here.
    ends = np.nanquantile(np.where(undefined, 0, draws), [tail, 1 - tail], axis=0)
    low, high = np.where(undefined, np.nan, ends)
    return low, high


def _check(n_correct: int, n_images: int) -> None:
    if not 0 <= n_correct <= n_images or n_images == 0:
        raise ValueError(f"{n_correct} of {n_images} is no share")
