"""Ceilings: how well a recording predicts itself.

Each estimator has a scale (`SCALES`), which says how a score r is put beside its value c:
`reliability`, r / sqrt(c); `correlation`, r / c; `variance`, r^2 / c.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Scale = Literal["reliability", "correlation", "variance"]

SCALES: dict[str, Scale] = {
    "splithalf_spearman_brown": "reliability",
    "leave_one_out": "correlation",
    "ncsnr": "variance",
    "max_pairwise_target": "correlation",
    "nili_lower": "correlation",
    "nili_upper": "correlation",
}


def splithalf_spearman_brown(responses: Array, *, n_splits: int, seed: int) -> Array:
    """Reliability of the mean over repetitions, per target.

    For each of `n_splits` random halves of the repetitions: Pearson r between the two half means
    over stimuli, stepped up to the full number of repetitions by Spearman-Brown 2 r / (1 + r);
    then the mean over splits. With an odd number of repetitions one is left out of each split.

    Args:
        responses: (stimulus, repetition, target), at least two repetitions.
        n_splits: random halves.
        seed: of the halves.

    Returns:
        (target,); NaN where a half is constant.

    Raises:
        ValueError: fewer than two repetitions.
    """
    n_repetitions = _n_repetitions(responses, "split-half")
    rng = np.random.default_rng(seed)
    half = n_repetitions // 2
    reliabilities = []
    for _ in range(n_splits):
        order = rng.permutation(n_repetitions)
        first = responses[:, order[:half]].mean(1)
        second = responses[:, order[half : 2 * half]].mean(1)
        r = _pearson_columns(first, second)
        reliabilities.append(2 * r / (1 + r))
    mean: Array = np.mean(reliabilities, axis=0)
    return mean


def leave_one_out(responses: Array) -> Array:
    """How well the mean of the other repetitions predicts one repetition, per target.

    Pearson r over stimuli of each repetition with the mean of the rest; then the mean over
    repetitions. With one subject in the place of each repetition, it is the ceiling of subjects.

    Args:
        responses: (stimulus, repetition, target), at least two repetitions.

    Returns:
        (target,); NaN where a repetition, or the mean of the rest, is constant.

    Raises:
        ValueError: fewer than two repetitions.
    """
    n_repetitions = _n_repetitions(responses, "leave-one-out")
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
    noise = responses.var(1, ddof=1).mean(0)
    trials = responses.reshape(-1, responses.shape[2])
    signal = np.maximum(trials.var(0, ddof=1) - noise, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Array = np.sqrt(signal / noise)
    return np.where(np.ptp(trials, axis=0) > 0, ratio, np.nan)


def explainable_variance(ncsnr: Array, *, n_averaged: int) -> Array:
    """The share of variance that a perfect model explains: ncsnr^2 / (ncsnr^2 + 1 / n).

    Args:
        ncsnr: signal over noise, (target,).
        n_averaged: repetitions averaged in the responses that the model is fitted to.

    Returns:
        (target,), from 0 to 1; a hundredth of what NSD calls noise ceiling.
    """
    with np.errstate(divide="ignore"):
        share: Array = 1 / (1 + 1 / (n_averaged * ncsnr**2))
    return share


def max_pairwise_target(maps: Array) -> Array:
    """The highest correlation between any two targets, per map.

    Optimistic and unusual: the estimator of Linsley et al. 2023 for spatial recordings, who
    average it over images. It says how alike the two most alike channels are.

    Args:
        maps: (map, sample, target): for one image the responses to its positions. A recording
            without maps is one map whose samples are the stimuli.

    Returns:
        (map,); targets constant in a map are left out, NaN with fewer than two others.
    """
    return np.array([_highest_off_diagonal(responses) for responses in maps])


def _highest_off_diagonal(responses: Array) -> float:
    varying = responses[:, np.ptp(responses, axis=0) > 0]
    n_targets = varying.shape[1]
    if n_targets < 2:
        return float("nan")
    r: Array = np.asarray(np.corrcoef(varying.T))
    return float(r[~np.eye(n_targets, dtype=bool)].max())


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
