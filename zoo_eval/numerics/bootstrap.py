"""Percentile bootstrap intervals: over targets for a median, over stimuli for correlations.

All resamples are computed at once. (Efron & Tibshirani 1993, chapter 13.)
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def percentile_interval(draws: Array, *, confidence: float = 0.95) -> tuple[Array, Array]:
    """The ends of the central `confidence` share of the resamples.

    Args:
        draws: a statistic in each resample, (resample, ...).
        confidence: share between the ends.

    Returns:
        low and high, each (...); resamples in which the statistic is NaN are left out, and both
        ends are NaN where there is no other.
    """
    tail = (1 - confidence) / 2
    undefined = np.isnan(draws).all(0)
    # nanquantile warns of columns without a number, which are expected here.
    ends = np.nanquantile(np.where(undefined, 0, draws), [tail, 1 - tail], axis=0)
    low, high = np.where(undefined, np.nan, ends)
    return low, high


def resampled_medians(values: Array, *, n_resamples: int, seed: int) -> Array:
    """The median over targets in each resample of the targets, with replacement: (resample,).

    Args:
        values: one score per target (target,); NaN are left out first.
        n_resamples: how many resamples.
        seed: of the resampling.

    Returns:
        NaN throughout where no value is defined.
    """
    defined = values[~np.isnan(values)]
    if not len(defined):
        return np.full(n_resamples, np.nan)
    rows = np.random.default_rng(seed).integers(len(defined), size=(n_resamples, len(defined)))
    medians: Array = np.median(defined[rows], axis=1)
    return medians


def medians_defined(draws: Array) -> Array:
    """The median over targets in each resample of the stimuli, NaN left out: (resample,).

    Args:
        draws: a score per target in each resample (resample, target).

    Returns:
        NaN where no target has a score.
    """
    undefined = np.asarray(np.isnan(draws).all(1))
    medians: Array = np.nanmedian(np.where(undefined[:, None], 0, draws), axis=1)
    return np.where(undefined, np.nan, medians)


def resample_counts(n_stimuli: int, *, n_resamples: int, seed: int) -> Array:
    """How often each stimulus stands in each resample with replacement: (resample, stimulus)."""
    rng = np.random.default_rng(seed)
    counts: Array = rng.multinomial(
        n_stimuli, np.full(n_stimuli, 1 / n_stimuli), size=n_resamples
    ).astype(np.float64)
    return counts


def resampled_pearson(predicted: Array, observed: Array, counts: Array) -> Array:
    """Pearson r over stimuli, per target, in each resample of the stimuli.

    A resample only weights the stimuli, so the sums of all resamples and targets are five matrix
    products.

    Args:
        predicted: (stimulus, target).
        observed: (stimulus, target).
        counts: from `resample_counts`, (resample, stimulus).

    Returns:
        (resample, target); NaN where a side is constant in the resample.
    """
    x, y = _standardised(predicted), _standardised(observed)
    n_stimuli = len(x)
    mean_x, mean_y = counts @ x / n_stimuli, counts @ y / n_stimuli
    covariance = counts @ (x * y) / n_stimuli - mean_x * mean_y
    variance_x = counts @ (x * x) / n_stimuli - mean_x**2
    variance_y = counts @ (y * y) / n_stimuli - mean_y**2
    return _ratio(covariance, variance_x, variance_y)


def resampled_rdm_pearson(x: Array, y: Array, counts: Array) -> Array:
    """Pearson r between two RDMs in each resample of the stimuli.

    A stimulus drawn twice would be a pair with itself, of dissimilarity 0 in both RDMs: such pairs
    are left out, and a pair of others counts as often as it was drawn. (Nili et al. 2014.)

    Args:
        x: dissimilarities, symmetric (stimulus, stimulus).
        y: those of the other side.
        counts: from `resample_counts`, (resample, stimulus).

    Returns:
        (resample,); NaN where a side is constant in the resample.
    """
    apart = ~np.eye(len(x), dtype=bool)
    x, y = (_standardised_pairs(side, apart) for side in (x, y))
    n_pairs = _over_pairs(apart.astype(np.float64), counts)
    mean_x, mean_y = _over_pairs(x, counts) / n_pairs, _over_pairs(y, counts) / n_pairs
    covariance = _over_pairs(x * y, counts) / n_pairs - mean_x * mean_y
    variance_x = _over_pairs(x * x, counts) / n_pairs - mean_x**2
    variance_y = _over_pairs(y * y, counts) / n_pairs - mean_y**2
    return _ratio(covariance, variance_x, variance_y)


def _over_pairs(values: Array, counts: Array) -> Array:
    """Sum over ordered pairs of stimuli, weighted by how often both were drawn: (resample,)."""
    sums: Array = ((counts @ values) * counts).sum(1)
    return sums


def _standardised(values: Array) -> Array:
    """Columns of mean 0 and deviation 1, so that resampled moments lose no digits."""
    with np.errstate(invalid="ignore", divide="ignore"):
        standardised: Array = (values - values.mean(0)) / np.where(
            np.ptp(values, axis=0) > 0, values.std(0), np.nan
        )
    return standardised


def _standardised_pairs(values: Array, apart: npt.NDArray[np.bool_]) -> Array:
    """The same for the pairs of an RDM, with 0 for a stimulus and itself."""
    standardised = np.zeros_like(values)
    standardised[apart] = _standardised(values[apart])
    return standardised


def _ratio(covariance: Array, variance_x: Array, variance_y: Array) -> Array:
    # A side that is constant in a resample has a variance of rounding size, not of zero.
    defined = (variance_x > 1e-12) & (variance_y > 1e-12)
    product = np.where(defined, variance_x * variance_y, np.nan)
    r: Array = np.clip(covariance / np.sqrt(product), -1, 1)
    return r
