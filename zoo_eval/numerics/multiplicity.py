"""Multiplicity: p of several questions, so that a wrong "yes" to any of them stays at 5 %."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Each question's p adjusted by Holm's step-down procedure (1979), whatever their dependence.

    Questions without an answer (None) are not counted, and stay without one.
    """
    places = [place for place, p in enumerate(p_values) if p is not None]
    known = np.array([p_values[place] for place in places], dtype=np.float64)
    order = np.argsort(known, kind="stable")
    steps = known[order] * np.arange(len(known), 0, -1)
    adjusted: list[float | None] = [None] * len(p_values)
    for rank, value in zip(order, np.minimum(np.maximum.accumulate(steps), 1), strict=True):
        adjusted[places[rank]] = float(value)
    return adjusted
