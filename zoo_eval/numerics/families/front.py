"""Pareto front: the models that no other beats in both values, and how sure that is, by family.

The best of many noisy values is high wherever there are many models. The band is the attainment surface
(Fonseca & Fleming 1996): what has been reached by models at least as far along, in resamples of families.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo_eval.numerics.families.families import Families
from zoo_eval.numerics.families.jackknife import FEWEST_EFFECTIVE
from zoo_eval.numerics.pareto import falling, reached

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
AT_ONCE = 256


@dataclass(frozen=True)
class Front:
    """The front, larger being better in both values.

    `on_it` are its models (model,); `probability` each model's share of the resamples with it in which it
    is on the front (model,), NaN where it is in none. `at` are places along x, `reached` the largest y of
    models there or beyond, and `low`, `high` the middle 95 % of that over resamples: -infinity where more
    than a fortieth of them reach nothing, NaN throughout below G* = 5.
    """

    on_it: Mask
    probability: Array
    at: Array
    reached: Array
    low: Array
    high: Array


def front(
    x: Array, y: Array, families: Families, *, n_resamples: int = 1000, seed: int = 0
) -> Front:
    """The Pareto front with its attainment band, by a bootstrap of families with all their models.

    Args:
        x: (model,), finite.
        y: (model,), finite or +infinity.
        families: of the models.
        n_resamples: of the families, with replacement.
        seed: of the resampling.
    """
    points, places = falling(x, y)
    n_families = len(families.names)
    there = np.zeros((n_families, len(points)))
    there[families.codes, places] = 1
    everything = np.ones((1, len(points)), dtype=bool)
    highest, best = reached(everything, points[:, 1])
    at = np.unique(np.quantile(x, np.linspace(0, 1, 21))) if len(x) else np.empty(0)
    last = np.searchsorted(-points[:, 0], -at, side="right") - 1
    rng = np.random.default_rng(seed)
    present, hits, bands = np.zeros(len(x)), np.zeros(len(x)), []
    for start in range(0, n_resamples, AT_ONCE):
        n = min(AT_ONCE, n_resamples - start)
        drawn = rng.multinomial(n_families, np.full(n_families, 1 / max(n_families, 1)), size=n) > 0
        high, on = reached(drawn @ there > 0, points[:, 1])
        mine = drawn[:, families.codes]
        present += mine.sum(0)
        hits += (mine & on[:, places]).sum(0)
        bands.append(high[:, last])
    with np.errstate(invalid="ignore"):
        probability = hits / np.where(present > 0, present, np.nan)
    low, high = _band(np.concatenate(bands) if bands else np.empty((0, len(at))), families)
    return Front(best[0, places], probability, at, highest[0, last], low, high)


def _band(reached: Array, families: Families) -> tuple[Array, Array]:
    if families.effective < FEWEST_EFFECTIVE or not len(reached):
        nothing = np.full(reached.shape[1], np.nan)
        return nothing, nothing
    low, high = np.quantile(reached, [0.025, 0.975], axis=0, method="nearest")
    return low, high
