"""Pareto front: the models that no other surpasses in both of two values."""

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def on_front(x: Values, y: Values) -> Mask:
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
    points, places = falling(x, y)
    _, best = reached(np.ones((1, len(points)), dtype=bool), points[:, 1])
    return np.asarray(best[0, places])


def falling(x: Values, y: Values) -> tuple[Values, npt.NDArray[np.intp]]:
    """The points (point, 2) that models are at, by falling x, then y; and which is each model's (model,)."""
    points, places = np.unique(np.column_stack([-x, -y]), axis=0, return_inverse=True)
    return -points, places.ravel()


def reached(present: Mask, y: Values) -> tuple[Values, Mask]:
    """Of points by falling x, then y: the largest y so far, and which are on the front.

    Args:
        present: which there are in each resample (resample, point).
        y: (point,).

    Returns:
        Both (resample, point); -infinity where nothing is reached.
    """
    values = np.where(present, y, -np.inf)
    highest = np.maximum.accumulate(values, axis=1)
    before = np.column_stack([np.full(len(values), -np.inf), highest[:, :-1]])
    is_first = np.cumsum(present, axis=1) == 1
    return highest, present & ((values > before) | is_first)
