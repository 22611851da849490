"""Ceilings: how well a recording predicts itself.

Each estimator has a scale (`SCALES`), which says how a score r is put beside its value c:
`reliability`, r / sqrt(c); `correlation`, r / c; `variance`, r^2 / c. A response that is missing is NaN;
see `uneven_ceilings` for what becomes of these estimators where some are.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from zoo_eval.numerics import uneven_ceilings as uneven

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Scale = Literal["reliability", "correlation", "variance"]

SCALES: dict[str, Scale] = {
    "splithalf_spearman_brown": "reliability",
    "internal_consistency": "reliability",
    "leave_one_out": "correlation",
    "ncsnr": "variance",
    "max_pairwise_target": "correlation",
    "nili_lower": "correlation",
    "nili_upper": "correlation",
}
BRAINSCORE_HALVES, BRAINSCORE_SEED = 10, 1
# With all others: what is held at once of correlations.
TARGETS_AT_ONCE = 2048


def splithalf_spearman_brown(responses: Array, *, n_splits: int, seed: int) -> Array:
    """Reliability of the mean over repetitions, per target.

    Of `n_splits` random pairs of halves, n // 2 of the n repetitions each (an odd one is left out of
    each pair): Pearson r between the two half means over stimuli. Their mean over pairs is stepped
    up to all repetitions, which are k = n / (n // 2) times a half, by Spearman-Brown:
    k r / (1 + (k - 1) r). The step is concave: the mean of pairs that are stepped up one by one would
    be lower. A negative r, which no true reliability has, is mirrored: k r / (1 + (k - 1) |r|).

    Args:
        responses: (stimulus, repetition, target), at least two repetitions.
        n_splits: random pairs of halves.
        seed: of the halves.

    Returns:
        (target,), -1 to 1; NaN where a half is constant.

    Raises:
        ValueError: fewer than two repetitions.
    """
    n_repetitions = _n_repetitions(responses, "split-half")
    if _has_gaps(responses):
        return uneven.splithalf_spearman_brown(responses, n_splits=n_splits, seed=seed)
    rng = np.random.default_rng(seed)
    half = n_repetitions // 2
    found = []
    for _ in range(n_splits):
        order = rng.permutation(n_repetitions)
        found.append(_r_of_means(responses, order[:half], order[half : 2 * half]))
    r, k = np.mean(found, axis=0), n_repetitions / half
    stepped_up: Array = k * r / (1 + (k - 1) * np.abs(r))
    return stepped_up


def internal_consistency(responses: Array) -> Array:
    """Brain-Score's ceiling, per target: ten random halves, each stepped up by 2 r / (1 + r).

    The halves are scikit-learn's `ShuffleSplit(10, train_size=0.5, random_state=1)`: of an odd number
    n of repetitions n // 2 against the others, for which a step by two is only nearly right. The
    mean is over halves. (Schrimpf et al. 2018; brainscore_vision's `InternalConsistency`.)

    Args:
        responses: (stimulus, repetition, target), at least two repetitions.

    Returns:
        (target,); NaN where a half is constant, or the opposite of the other.

    Raises:
        ValueError: fewer than two repetitions.
    """
    # Only here, as in splits.py.
    from sklearn.model_selection import ShuffleSplit

    n_repetitions = _n_repetitions(responses, "split-half")
    halves = ShuffleSplit(BRAINSCORE_HALVES, train_size=0.5, random_state=BRAINSCORE_SEED)
    parts = list(halves.split(np.empty((n_repetitions, 0))))
    if _has_gaps(responses):
        return uneven.internal_consistency(responses, parts)
    found = []
    for first, second in parts:
        r = _r_of_means(responses, first, second)
        found.append(2 * r / np.where(r > -1, 1 + r, np.nan))
    mean: Array = np.mean(found, axis=0)
    return mean


def leave_one_out(responses: Array) -> Array:
    """How well the mean of the other repetitions predicts one repetition, per target.

    Pearson r over stimuli of each repetition with the mean of the rest; then the mean over
    repetitions: of signal variance 1 and noise variance v, 1 / sqrt((1 + v) (1 + v / (n - 1))). With
    one subject in the place of each repetition, it is the ceiling of subjects. Of a score against the
    mean of all n, it is no ceiling: a perfect model reaches 1 / sqrt(1 + v / n), which is more.

    Args:
        responses: (stimulus, repetition, target), at least two repetitions.

    Returns:
        (target,); NaN where a repetition, or the mean of the rest, is constant.

    Raises:
        ValueError: fewer than two repetitions.
    """
    n_repetitions = _n_repetitions(responses, "leave-one-out")
    if _has_gaps(responses):
        return uneven.leave_one_out(responses)
    total = responses.sum(1)
    singles = (responses[:, repetition] for repetition in range(n_repetitions))
    mean: Array = np.mean([_pearson_columns(one, total - one) for one in singles], axis=0)
    return mean


def ncsnr(responses: Array) -> Array:
    """Standard deviation of the signal over that of the noise, per target, as NSD defines it.

    Noise variance is the mean over stimuli of the variance over repetitions; signal variance is
    what it leaves of the variance over all trials, or 0. (Allen et al. 2022.)

    Args:
        responses: (stimulus, repetition, target), at least two repetitions.

    Returns:
        (target,), at least 0; infinite without noise, NaN for a constant target.

    Raises:
        ValueError: fewer than two repetitions.
    """
    _n_repetitions(responses, "ncsnr")
    if _has_gaps(responses):
        return uneven.ncsnr(responses)
    noise = responses.var(1, ddof=1).mean(0)
    trials = responses.reshape(-1, responses.shape[2])
    signal = np.maximum(trials.var(0, ddof=1) - noise, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Array = np.sqrt(signal / noise)
    return np.where(np.ptp(trials, axis=0) > 0, ratio, np.nan)


def explainable_variance(ncsnr: Array, *, n_averaged: float | Array) -> Array:
    """The share of variance that a perfect model explains: ncsnr^2 / (ncsnr^2 + 1 / n).

    Args:
        ncsnr: signal over noise, (target,).
        n_averaged: repetitions averaged in the responses that the model is fitted to, of each target
            if they differ; of stimuli with n_i each, 1 / mean(1 / n_i).

    Returns:
        (target,), from 0 to 1; a hundredth of what NSD calls noise ceiling.
    """
    with np.errstate(divide="ignore"):
        share: Array = 1 / (1 + 1 / (n_averaged * ncsnr**2))
    return share


def max_pairwise_target(maps: Array) -> Array:
    """The highest correlation between any two targets, per map.

    Unusual: the estimator of Linsley et al. 2023 for spatial recordings, who average it over images.
    It says how alike the two most alike channels are, and grows with their number: by design it is
    no estimate of what a perfect model reaches, and may lie on either side of it.

    Args:
        maps: (map, sample, target): for one image the responses to its positions. A recording
            without maps is one map whose samples are the stimuli.

    Returns:
        (map,); targets constant in a map, or in the samples shared with another, are left out; NaN with
        fewer than two others.
    """
    return np.array([_highest(responses) for responses in maps])


def _highest(responses: Array) -> float:
    """The highest r of any two columns, over the samples that both have."""
    if not _has_gaps(responses):
        responses = responses[:, np.ptp(responses, axis=0) > 0]
    n_targets = responses.shape[1]
    highest = [
        _highest_with(responses, start)
        for start in range(0, n_targets if n_targets > 1 else 0, TARGETS_AT_ONCE)
    ]
    return float(np.nanmax(highest)) if not np.isnan(highest).all() else float("nan")


def _highest_with(responses: Array, start: int) -> float:
    """The same of columns from `start` with any column."""
    some = responses[:, start : start + TARGETS_AT_ONCE]
    if _has_gaps(responses):
        r = uneven.pairwise_pearson(some, responses)
    elif start == 0 and some.shape == responses.shape:
        r = np.asarray(np.corrcoef(responses.T))
    else:
        x, y = (side - side.mean(0) for side in (some, responses))
        r = (x / np.linalg.norm(x, axis=0)).T @ (y / np.linalg.norm(y, axis=0))
    own = np.arange(some.shape[1])
    r[own, start + own] = np.nan
    return float(np.nanmax(r)) if not np.isnan(r).all() else float("nan")


def _r_of_means(responses: Array, first: Rows, second: Rows) -> Array:
    """Pearson r over stimuli between the means of some repetitions and of others (target,)."""
    return _pearson_columns(responses[:, first].mean(1), responses[:, second].mean(1))


def _has_gaps(responses: Array) -> bool:
    return bool(np.isnan(responses).any())


def _n_repetitions(responses: Array, estimator: str) -> int:
    n_repetitions: int = responses.shape[1]
    if n_repetitions < 2:
        raise ValueError(f"a {estimator} ceiling needs at least two repetitions")
    return n_repetitions


def _pearson_columns(x: Array, y: Array) -> Array:
    varying = (np.ptp(x, axis=0) > 0) & (np.ptp(y, axis=0) > 0)
    x, y = x - x.mean(0), y - y.mean(0)
    norms = np.sqrt((x * x).sum(0) * (y * y).sum(0))
    r: Array = (x * y).sum(0) / np.where(varying, norms, np.nan)
    return r
