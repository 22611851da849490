"""Rows of the `trends` table, from a comparison and an estimate."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.numerics.families.families import Families
from zoo_eval.numerics.families.jackknife import Estimate

Array = npt.NDArray[np.float64]
Row = dict[str, Any]

BY_FAMILY = "delete-one-family jackknife (CV3), t with G* - 1 degrees"


@dataclass(frozen=True)
class Sample:
    """The models of a comparison with a value: accuracy and value (model,), families, and who is left out.

    `shared` are the columns that all rows have alike.
    """

    x: Array
    y: Array
    families: Families
    models: tuple[str, ...]
    excluded: Mapping[str, int]
    shared: Mapping[str, Any]

    def among(self, chosen: npt.NDArray[np.bool_], why: str) -> "Sample":
        """The models chosen (model,); the others are left out, for a reason."""
        n_out = int((~chosen).sum())
        excluded = {**self.excluded, why: n_out} if n_out else self.excluded
        models = tuple(m for m, kept in zip(self.models, chosen, strict=True) if kept)
        return Sample(
            self.x[chosen],
            self.y[chosen],
            self.families.among(chosen),
            models,
            excluded,
            self.shared,
        )

    @property
    def finite(self) -> "Sample":
        """Those with a finite value."""
        return self.among(np.isfinite(self.y), "infinite")

    def row(self, statistic: str, **columns: Any) -> Row:
        """A row of the statistic of these models; `columns` outweigh what is known of them."""
        return {
            **self.shared,
            "statistic": statistic,
            **dict.fromkeys(("estimate", "low", "high", "p_value", "no_interval")),
            "n_models": len(self.models),
            "n_infinite": int(np.isinf(self.y).sum()),
            "n_resamples": 0,
            "n_families": len(self.families.names),
            "effective_families": self.families.effective,
            "exclusions": json.dumps(dict(self.excluded), sort_keys=True),
            "models": list(self.models),
            **columns,
        }

    def estimate(self, statistic: str, found: Estimate, **columns: Any) -> Row:
        """A row of an estimate with its interval over families."""
        return self.row(statistic, **{"method": BY_FAMILY, **of_estimate(found), **columns})


def of_estimate(found: Estimate) -> Row:
    """The columns that an estimate fills."""
    return {
        "estimate": found.value,
        "low": found.low,
        "high": found.high,
        "p_value": found.p_value,
        "no_interval": found.no_interval,
        "n_models": found.n_models,
        "n_families": found.n_families,
        "effective_families": found.effective,
        "without_low": found.without_low,
        "without_high": found.without_high,
        "moves_most": found.moves_most,
    }
