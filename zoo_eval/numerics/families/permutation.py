"""Permutation test of "no relation" between two values of models that come in families.

What is exchangeable is families, not models. Each family's values of y are taken apart into its mean and
its models' deviations from that. A permutation hands the means to other families, and turns all deviations
of a family round together, or none: all of x, the sizes of families and what is alike inside each stay.
If y = family's part + model's part, independent of x, families' parts are alike in distribution and
models' parts symmetric, it is exact for families of one size, up to the deviations' sharing the error of
their mean; with unequal sizes it is approximate, as the mean of a large family is the less noisy one.
Dividing by the error over families (DiCiccio & Romano 2017, JASA 112:1211) makes what is left of that small.
"""

from itertools import permutations, product

import numpy as np
import numpy.typing as npt

from zoo_eval.numerics.families.families import Families

Array = npt.NDArray[np.float64]
Orders = npt.NDArray[np.int64]

# Up to so many families have all of their orders and turns looked at: 120 of five, times 32.
MOST_ENUMERATED = 5


def no_relation_p(
    x: Array, y: Array, families: Families, *, n_permutations: int = 1999, seed: int = 0
) -> float:
    """Two-sided p of no relation between x and y, by permutation of families.

    Args:
        x: (model,), finite; ranks for a test on ranks.
        y: (model,), likewise.
        families: of the models.
        n_permutations: drawn where there are too many to look at all.
        seed: of the drawing.

    Returns:
        At least 1 / (n_permutations + 1); NaN with fewer than three families, or where a side is
        constant.
    """
    sizes = families.sizes.astype(np.float64)
    if len(sizes) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    x = (x - x.mean()) / x.std()
    level_x, level_y = (families.sums(side) / sizes for side in (x, y / y.std()))
    inside = families.sums(x * (y / y.std() - level_y[families.codes]))
    orders, turns = _rearranged(len(sizes), n_permutations, seed)
    levels = level_y[orders]
    levels = levels - (levels * sizes).sum(1, keepdims=True) / sizes.sum()
    parts = sizes * level_x * levels + turns * inside
    statistic = np.abs(_studentised(parts))
    # The first is as observed; ties within rounding are as extreme.
    n_as_extreme = int((statistic >= statistic[0] * (1 - 1e-10)).sum())
    return n_as_extreme / len(statistic)


def _studentised(parts: Array) -> Array:
    error = np.sqrt((parts**2).sum(1))
    found: Array = parts.sum(1) / np.where(error > 0, error, np.inf)
    return found


def _rearranged(n_families: int, n_permutations: int, seed: int) -> tuple[Orders, Orders]:
    """Orders of families and signs (permutation, family), each first as it is."""
    if n_families <= MOST_ENUMERATED:
        pairs = list(product(permutations(range(n_families)), product((1, -1), repeat=n_families)))
        return np.array([order for order, _ in pairs]), np.array([turns for _, turns in pairs])
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(n_families), (n_permutations, 1)), axis=1)
    turns = rng.choice([-1, 1], size=orders.shape)
    first = np.arange(n_families)
    return np.vstack([first, orders]), np.vstack([np.ones_like(first), turns])
