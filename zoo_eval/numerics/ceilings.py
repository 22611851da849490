"""Ceilings: how well a recording predicts itself."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


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
    n_repetitions = responses.shape[1]
    if n_repetitions < 2:
        raise ValueError("a split-half ceiling needs at least two repetitions")
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


def _pearson_columns(x: Array, y: Array) -> Array:
    x, y = x - x.mean(0), y - y.mean(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r: Array = (x * y).sum(0) / np.sqrt((x * x).sum(0) * (y * y).sum(0))
    return r
