"""Ceiling: one estimate of how well a recording predicts itself, with what it is determined by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zoo_eval.numerics.ceilings import Scale
from zoo_eval.numerics.rsa import Comparison
from zoo_eval.recordings.split import Split

# Whom a ceiling of a whole recording is said of.
ALL = "all"
PLANTED = "planted_exact"
FROM_FILE = "from_file"


@dataclass(frozen=True)
class CeilingChoices:
    """What of a recording's ceilings is chosen: random halves, how RDMs are compared, which stimuli.

    With a published split they are of its test stimuli alone.
    """

    n_splits: int
    comparison: Comparison
    split: Split | None = None


@dataclass(frozen=True)
class Ceiling:
    """An estimator of a recording's ceiling that has not been computed yet.

    `parameters` are the choices that change its values; `statistic` is what it bounds, on `scale`;
    `values` gives them by target (or for `ALL`) from a seed, NaN where undefined; `undefined` says of
    a target without a value why.
    """

    estimator: str
    parameters: Mapping[str, Any]
    statistic: str
    scale: Scale
    values: Callable[[int], Mapping[str, float]]
    undefined: Callable[[str], str]
