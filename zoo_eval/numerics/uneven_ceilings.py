"""Ceilings of recordings whose stimuli were shown, or targets answered, unequally often.

Responses are (stimulus, repetition, target), NaN where there is none. A target's noise variance v in
one response is v times the mean of 1 / n over its stimuli in the mean over each one's n responses; that
is what halves are stepped up to.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]
# A correlation of fewer says nothing.
FEWEST_STIMULI = 3


def splithalf_spearman_brown(responses: Array, *, n_splits: int, seed: int) -> Array:
    """`ceilings.splithalf_spearman_brown`: n // 2 of each stimulus's n responses against as many others.

    Stimuli with one response are in no half; of those in halves of h responses, r is stepped up by
    k = mean(1 / h) / mean(1 / n), the latter over all stimuli that have a response.

    Returns:
        (target,); NaN where a half is constant, or fewer than three stimuli have two responses.
    """
    there = ~np.isnan(responses)
    n = there.sum(1)
    half = n // 2
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n_splits):
        keys = rng.random(responses.shape[:2])[:, :, None]
        ranks = _ranks(np.where(there, keys, np.inf))
        first = _mean_where(responses, ranks < half[:, None])
        second = _mean_where(responses, (ranks >= half[:, None]) & (ranks < 2 * half[:, None]))
        found.append(pearson_observed(first, second))
    r = np.mean(found, axis=0)
    k = mean_inverse(half) / mean_inverse(n)
    stepped_up: Array = k * r / (1 + (k - 1) * np.abs(r))
    return stepped_up


def internal_consistency(responses: Array, halves: list[tuple[Rows, Rows]]) -> Array:
    """`ceilings.internal_consistency` over the stimuli that have responses in both halves."""
    found = []
    for first, second in halves:
        means = [_mean_where(part, ~np.isnan(part)) for part in (responses[:, first], responses[:, second])]  # fmt: skip
        r = pearson_observed(*means)
        found.append(2 * r / np.where(r > -1, 1 + r, np.nan))
    mean: Array = np.mean(found, axis=0)
    return mean


def leave_one_out(responses: Array) -> Array:
    """`ceilings.leave_one_out`, each repetition over the stimuli that have it and another.

    Repetitions of fewer than three such stimuli are left out.
    """
    there = ~np.isnan(responses)
    filled, n = np.where(there, responses, 0), there.sum(1)
    total = filled.sum(1)
    found = []
    for repetition in range(responses.shape[1]):
        own = there[:, repetition] & (n > 1)
        rest = (total - filled[:, repetition]) / np.where(n > 1, n - 1, np.nan)
        one, others = (np.where(own, values, np.nan) for values in (responses[:, repetition], rest))
        enough = own.sum(0) >= FEWEST_STIMULI
        # Without enough of them it is left out; a constant one is NaN, and so is the mean.
        found.append(np.where(enough, pearson_observed(one, others), np.inf))
    return _mean_finite(np.array(found))


def ncsnr(responses: Array) -> Array:
    """`ceilings.ncsnr`: the noise of the stimuli that have two responses, all responses' variance."""
    there = ~np.isnan(responses)
    filled, n = np.where(there, responses, 0), there.sum(1)
    means = filled.sum(1) / np.where(n > 0, n, np.nan)
    squares = (np.where(there, responses - means[:, None], 0) ** 2).sum(1)
    variances = np.where(n > 1, squares / np.where(n > 1, n - 1, 1), np.nan)
    noise = _mean_where(variances.T[:, :, None], ~np.isnan(variances.T)[:, :, None])[:, 0]
    n_all = n.sum(0)
    mean = filled.sum((0, 1)) / np.where(n_all > 0, n_all, np.nan)
    spread = (np.where(there, responses - mean, 0) ** 2).sum((0, 1))
    signal = np.maximum(spread / np.where(n_all > 1, n_all - 1, np.nan) - noise, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Array = np.sqrt(signal / noise)
    return np.where(spread > 0, ratio, np.nan)


def mean_inverse(n: Rows) -> Array:
    """Mean of 1 / n over the stimuli with any, n (stimulus, target): (target,), NaN where there is none."""
    inverse = np.where(n > 0, 1 / np.maximum(n, 1), 0)
    n_stimuli = (n > 0).sum(0)
    mean: Array = inverse.sum(0) / np.where(n_stimuli > 0, n_stimuli, np.nan)
    return mean


def pearson_observed(x: Array, y: Array) -> Array:
    """Pearson r of columns (stimulus, target) over the stimuli at which both are known: (target,).

    Returns:
        NaN where a side is constant, or fewer than three stimuli are known.
    """
    there = ~(np.isnan(x) | np.isnan(y))
    n = there.sum(0)
    enough = n >= FEWEST_STIMULI
    sides = []
    for side in (x, y):
        low, high = (edge(np.where(there, side, none), axis=0) for edge, none in ((np.min, np.inf), (np.max, -np.inf)))  # fmt: skip
        mean = np.where(there, side, 0).sum(0) / np.where(enough, n, np.nan)
        sides.append(np.where(there & (high > low), side - mean, 0))
    x, y = sides
    norms = np.sqrt((x * x).sum(0) * (y * y).sum(0))
    r: Array = (x * y).sum(0) / np.where(enough & (norms > 0), norms, np.nan)
    return r


def pairwise_pearson(x: Array, y: Array) -> Array:
    """Pearson r of every column of x (sample, target) with every one of y, over the samples both have.

    Returns:
        (target of x, target of y); NaN where a side is constant there, or they share fewer than three.
    """
    found = [pearson_observed(np.broadcast_to(one[:, None], y.shape), y) for one in x.T]
    return np.array(found)


def _ranks(keys: Array) -> Rows:
    """Places of keys (stimulus, repetition, target) among those of a stimulus."""
    return keys.argsort(1).argsort(1)


def _mean_where(values: Array, chosen: Marks) -> Array:
    """Mean over the second axis of what is chosen (stimulus, target), NaN where nothing is."""
    n = chosen.sum(1)
    mean: Array = np.where(chosen, values, 0).sum(1) / np.where(n > 0, n, np.nan)
    return mean


def _mean_finite(values: Array) -> Array:
    """Mean over the first axis without the infinite ones, NaN where there is none or one is NaN."""
    kept = ~np.isinf(values)
    n = kept.sum(0)
    mean: Array = np.where(kept, values, 0).sum(0) / np.where(n > 0, n, np.nan)
    return mean
