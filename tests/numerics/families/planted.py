"""Planted models in families."""

import numpy as np

from zoo_eval.numerics.families.families import Families


def families(sizes):
    return Families.of([f"f{i}" for i, n in enumerate(sizes) for _ in range(n)])


def drawn(seed, kin, alike=0.5, r=0.6):
    """X and y correlated by r, both alike within families."""
    rng = np.random.default_rng(seed)
    level = rng.standard_normal((2, len(kin.names)))[:, kin.codes]
    own = rng.standard_normal((2, len(kin.codes)))
    x, other = alike**0.5 * level + (1 - alike) ** 0.5 * own
    return x, r * x + (1 - r * r) ** 0.5 * other
