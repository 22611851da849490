"""Families: which models are kin, and how many independent ones that is worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Families:
    """The family of each model: `names` (family,), and `codes` (model,), places in them."""

    names: tuple[str, ...]
    codes: Codes

    @classmethod
    def of(cls, labels: Sequence[str]) -> "Families":
        """From a family's name for each model (model,); families are in the order of their names."""
        names, codes = np.unique(np.array(labels, dtype=object), return_inverse=True)
        return cls(tuple(names.tolist()), codes.astype(np.int64))

    @cached_property
    def sizes(self) -> Codes:
        """Models in each family: (family,)."""
        return np.bincount(self.codes, minlength=len(self.names)).astype(np.int64)

    @cached_property
    def effective(self) -> float:
        """G* = 1 / sum(share^2): as many families of one size would share the models as evenly.

        (The inverse of Simpson's and Herfindahl's index; Carter, Schnepel & Steigerwald 2017 in the
        case of equal correlations.) 0 without models.
        """
        return float(1 / ((self.sizes / n) ** 2).sum()) if (n := len(self.codes)) else 0.0

    def among(self, chosen: Mask) -> "Families":
        """The families of the models chosen (model,); those that have none are gone."""
        kept, codes = np.unique(self.codes[chosen], return_inverse=True)
        return Families(tuple(self.names[k] for k in kept), codes.astype(np.int64))

    def sums(self, values: Array) -> Array:
        """Sums by family over the last axis: (..., model) to (..., family)."""
        found: Array = values @ np.eye(len(self.names))[self.codes]
        return found
