"""Pareto front: the models that no other surpasses in both of two values."""

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


def on_front(x: Values, y: Values) -> npt.NDArray[np.bool_]:
    """Whether each (model,) is on the front, larger being better in both.

    A model is off it if another is at least as good in both values and better in one; equals are all
    on it. +infinity is larger than every number.

    Raises:
        ValueError: a value is NaN, or there are not as many of one as of the other.
    """
    if x.shape != y.shape:
        raise ValueError(f"{len(x)} values of one and {len(y)} of the other")
    if np.isnan(x).any() or np.isnan(y).any():
        raise ValueError("a front needs values that can be compared, not NaN")
    front = np.zeros(len(x), dtype=bool)
    best = -np.inf
    # From the right: whoever is further right must be surpassed in y.
    for value in np.unique(x)[::-1]:
        column = x == value
        highest = y[column].max()
        if highest > best or best == -np.inf:
            front |= column & (y == highest)
            best = highest
    return front
