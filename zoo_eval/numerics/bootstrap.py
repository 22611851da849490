"""Resamples for percentile bootstrap intervals: over targets for a median, over stimuli for correlations.

All resamples are computed at once. (Efron & Tibshirani 1993, chapter 13.) A stimulus drawn twice
would be a pair with itself: of two RDMs, and in debiased CKA, such pairs are left out, and a pair of
others counts as often as it was drawn (as in rsatoolbox; Nili et al. 2014).
"""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from zoo_eval.numerics.kendall import n_inversions
from zoo_eval.numerics.ranking import Ranking

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


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


def resample_counts(groups: Sequence[Hashable], *, n_resamples: int, seed: int) -> Array:
    """How often each stimulus stands in each resample with replacement: (resample, stimulus).

    Groups are drawn, as many as there are, each with all of its stimuli: crops of one photo say
    little more than one of them. (Davison & Hinkley 1997, section 3.8.)

    Args:
        groups: group of each stimulus (stimulus,); one each where they are independent.
        n_resamples: how many resamples.
        seed: of the resampling.
    """
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    n_groups = len(numbers)
    draws = np.random.default_rng(seed).multinomial(
        n_groups, np.full(n_groups, 1 / n_groups), size=n_resamples
    )
    counts: Array = draws[:, [numbers[group] for group in groups]].astype(np.float64)
    return counts


def resampled_pearson(predicted: Array, observed: Array, counts: Array) -> Array:
    """Pearson r over stimuli, per target, in each resample of the stimuli.

    A resample only weights the stimuli, so the sums of all resamples and targets are five matrix
    products. Where a side is NaN the stimulus is not among that target's.

    Args:
        predicted: (stimulus, target).
        observed: (stimulus, target).
        counts: from `resample_counts`, (resample, stimulus).

    Returns:
        (resample, target); NaN where a side is constant in the resample.
    """
    gaps = np.isnan(predicted) | np.isnan(observed)
    if gaps.any():
        return _resampled_with_gaps(predicted, observed, ~gaps, counts)
    x, y = _standardised(predicted), _standardised(observed)
    weights = counts / counts.sum(1, keepdims=True)
    mean_x, mean_y = weights @ x, weights @ y
    covariance = weights @ (x * y) - mean_x * mean_y
    variance_x = weights @ (x * x) - mean_x**2
    variance_y = weights @ (y * y) - mean_y**2
    return _ratio(covariance, variance_x, variance_y)


def _resampled_with_gaps(
    predicted: Array, observed: Array, there: npt.NDArray[np.bool_], counts: Array
) -> Array:
    x, y = (_standardised_where(side, there) for side in (predicted, observed))
    n = counts @ there
    n = np.where(n > 0, n, np.nan)
    mean_x, mean_y = counts @ x / n, counts @ y / n
    covariance = counts @ (x * y) / n - mean_x * mean_y
    variance_x = counts @ (x * x) / n - mean_x**2
    variance_y = counts @ (y * y) / n - mean_y**2
    return _ratio(covariance, variance_x, variance_y)


def resampled_rdm_pearson(x: Array, y: Array, counts: Array) -> Array:
    """Pearson r between two RDMs in each resample of the stimuli.

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


def resampled_rdm_cosine(x: Array, y: Array, counts: Array) -> Array:
    """The cosine of two RDMs in each resample of the stimuli; arguments as for Pearson's r.

    Returns:
        (resample,); NaN where a side has only zeros in the resample.
    """
    x, y = (_of_unit_mean_square(_zero_diagonal(side)) for side in (x, y))
    products = [_over_pairs(a * b, counts) for a, b in ((x, y), (x, x), (y, y))]
    return _ratio(*(total / counts.sum(1) ** 2 for total in products))


def resampled_rdm_tau_a(x: Ranking, y: Ranking, counts: Array) -> Array:
    """Kendall's tau-a of two RDMs in each resample of the stimuli.

    Copies of one dissimilarity are ties. A resample takes as long as the RDMs themselves.

    Args:
        x: ranking of the dissimilarities, in the order of `rsa.condensed`.
        y: of those of the other side.
        counts: from `resample_counts`, (resample, stimulus).

    Returns:
        (resample,); NaN where fewer than two pairs are left.
    """
    first, second = np.triu_indices(counts.shape[1], 1)
    ranks_x, ranks_y = (side.lowest.cpu().numpy() for side in (x, y))
    # In the order of x and, where x ties, of y: ties are no inversions.
    order = np.lexsort((ranks_y, ranks_x)) if x.n_tied_pairs else x.order.cpu().numpy()
    first, second, ranks_x, ranks_y = (part[order] for part in (first, second, ranks_x, ranks_y))
    groups = [
        np.cumsum(np.r_[False, np.diff(ranks_x) != 0]) if x.n_tied_pairs else None,
        ranks_y if y.n_tied_pairs else None,
        np.cumsum(np.r_[False, (np.diff(ranks_x) != 0) | (np.diff(ranks_y) != 0)])
        if x.n_tied_pairs and y.n_tied_pairs
        else None,
    ]
    found = []
    for count in counts.astype(np.int64):
        drawn = count[first] * count[second]
        n_drawn = int(drawn.sum())
        if n_drawn < 2:
            found.append(np.nan)
            continue
        n_pairs = n_drawn * (n_drawn - 1) // 2
        ties_x, ties_y, joint_ties = (_n_tied(drawn, some) for some in groups)
        (discordant,) = n_inversions([np.repeat(ranks_y, drawn)], len(ranks_y) - 1)
        found.append((n_pairs - ties_x - ties_y + joint_ties - 2 * discordant) / n_pairs)
    return np.array(found)


def resampled_cka(x: Array, y: Array, counts: Array) -> Array:
    """CKA in each resample of the stimuli, copies being stimuli like any other.

    Like CKA itself it is biased upwards, and more so with copies.

    Args:
        x: Gram matrix (stimulus, stimulus), centred.
        y: that of the other side, centred.
        counts: from `resample_counts`, (resample, stimulus).

    Returns:
        (resample,); NaN where a side is constant in the resample.
    """
    x, y = _of_unit_mean_square(x), _of_unit_mean_square(y)
    n_drawn = counts.sum(1)
    sums_x, sums_y = counts @ x, counts @ y

    def product(a: Array, b: Array, sums_a: Array, sums_b: Array) -> Array:
        total_a, total_b = (counts * sums_a).sum(1), (counts * sums_b).sum(1)
        of_rows = (counts * sums_a * sums_b).sum(1)
        centred = (
            _over_pairs(a * b, counts) - 2 * of_rows / n_drawn + total_a * total_b / n_drawn**2
        )
        mean: Array = centred / n_drawn**2
        return mean

    return _ratio(
        product(x, y, sums_x, sums_y), product(x, x, sums_x, sums_x), product(y, y, sums_y, sums_y)
    )


def resampled_debiased_cka(x: Array, y: Array, counts: Array) -> Array:
    """Debiased CKA in each resample of the stimuli.

    U-centring takes from a Gram matrix's pairs of different stimuli the best fit a_i + a_j by least
    squares (Székely & Rizzo 2014); here each pair counts as often as it was drawn. Arguments and
    result as in `resampled_cka`; NaN also where one stimulus is half of a resample.
    """
    x, y = (_of_unit_mean_square(_zero_diagonal(side)) for side in (x, y))
    sums_x, sums_y = counts @ x, counts @ y
    n_drawn = counts.sum(1, keepdims=True)
    others = np.where(n_drawn == 2 * counts, np.nan, n_drawn - 2 * counts)
    shares = counts / others

    def additive(sums: Array) -> Array:
        # Nothing is left where all draws are of one stimulus.
        left = 1 + shares.sum(1, keepdims=True)
        total = (shares * sums).sum(1, keepdims=True) / np.where(left == 0, np.nan, left)
        part: Array = (sums - total) / others
        return part

    def product(a: Array, b: Array, part: Array, sums: Array) -> Array:
        of_parts = 2 * (counts * part * sums).sum(1)
        centred: Array = (_over_pairs(a * b, counts) - of_parts) / n_drawn[:, 0] ** 2
        return centred

    part_x, part_y = additive(sums_x), additive(sums_y)
    return _ratio(
        product(x, y, part_x, sums_y), product(x, x, part_x, sums_x), product(y, y, part_y, sums_y)
    )


def resampled_shape_similarity(x: torch.Tensor, y: torch.Tensor, counts: Array) -> Array:
    """`procrustes.shape_similarity` in each resample of the stimuli, copies being stimuli too.

    It is biased upwards, and more so with copies. Each resample takes a matrix product and a
    singular value decomposition.

    Args:
        x: factor of the Gram matrix, from `procrustes.factor`, (stimulus, rank).
        y: that of the other side.
        counts: from `resample_counts`, (resample, stimulus).

    Returns:
        (resample,); NaN where a side is constant in the resample.
    """
    wide, narrow = (x, y) if x.shape[1] > y.shape[1] else (y, x)
    draws = torch.from_numpy(counts)
    n_drawn = draws.sum(1)
    squares, sums = [], []
    for side in (wide, narrow):
        sums.append(draws @ side)
        left = draws @ side.square().sum(1) - sums[-1].square().sum(1) / n_drawn
        # What is left of a side that is constant in the resample is rounding.
        squares.append(left.where(left > 1e-12 * side.square().sum(), torch.nan))
    norms = []
    for count, n, of_wide, of_narrow in zip(draws, n_drawn, *sums, strict=True):
        cross = wide.T @ (count[:, None] * narrow)
        cross -= torch.outer(of_wide, of_narrow / n)
        norms.append(torch.linalg.svdvals(cross).sum())
    similarities = torch.stack(norms) / (squares[0] * squares[1]).sqrt()
    found: Array = similarities.clamp_max_(1).numpy()
    return found


def _n_tied(drawn: Counts, groups: Counts | None) -> int:
    """Pairs of values in one group, each value there as often as drawn; None: none shares one."""
    sizes = drawn if groups is None else np.bincount(groups, drawn).astype(np.int64)
    return int((sizes * (sizes - 1) // 2).sum())


def _zero_diagonal(matrix: Array) -> Array:
    apart = matrix.copy()
    np.fill_diagonal(apart, 0)
    return apart


def _of_unit_mean_square(matrix: Array) -> Array:
    size = np.sqrt(np.mean(matrix**2))
    scaled: Array = matrix / (size if size > 0 else np.nan)
    return scaled


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


def _standardised_where(values: Array, there: npt.NDArray[np.bool_]) -> Array:
    """The same over what is there of each column, with 0 for the rest; 0 throughout of a constant."""
    n = np.maximum(there.sum(0), 1)
    apart = np.where(there, values - np.where(there, values, 0).sum(0) / n, 0)
    low, high = (
        edge(np.where(there, values, none), axis=0)
        for edge, none in ((np.min, np.inf), (np.max, -np.inf))
    )
    deviation = np.sqrt((apart * apart).sum(0) / n)
    standardised: Array = np.where(high > low, apart / np.where(deviation > 0, deviation, 1), 0)
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
