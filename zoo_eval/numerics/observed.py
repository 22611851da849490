"""Observed sets: targets that answered the same stimuli, which are fitted together on those alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zoo_eval.numerics.splits import Fold, Rows

# Of a fold's untouched rows: Pearson's r of fewer is 1 or -1 whatever they are.
FEWEST_ROWS = 3


@dataclass(frozen=True, eq=False)
class ObservedSet:
    """Numbers of some targets, and of the stimuli that they and only they answered, both ascending."""

    targets: Tensor
    rows: Tensor


def observed_sets(responses: Tensor) -> list[ObservedSet]:
    """The targets by what they answered, those with a target of a lower number first.

    Args:
        responses: (stimulus, target), NaN where a target did not answer.
    """
    # Packed, for bytes are compared at once and there may be as many patterns as targets.
    packed = np.packbits((~responses.isnan()).cpu().numpy(), axis=0)
    found: dict[bytes, list[int]] = {}
    for target, pattern in enumerate(np.ascontiguousarray(packed.T)):
        found.setdefault(pattern.tobytes(), []).append(target)
    return [
        ObservedSet(
            torch.tensor(targets, device=responses.device),
            (~responses[:, targets[0]].isnan()).nonzero()[:, 0],
        )
        for targets in found.values()
    ]


def within(
    rows: Tensor, folds: Sequence[Fold], inner: Sequence[Sequence[Fold]]
) -> tuple[list[Fold], list[list[Fold]]] | None:
    """The folds, and those inside their training rows, of some rows alone, which are numbered anew.

    None where a fold would be left with too few rows to test on, or with none to train on.
    """
    kept = rows.cpu().numpy()
    outer = [_restricted(fold, kept) for fold in folds]
    inside = [[_restricted(fold, kept) for fold in some] for some in inner]
    every = [*outer, *(fold for some in inside for fold in some)]
    if any(len(fold.test) < FEWEST_ROWS or not len(fold.train) for fold in every):
        return None
    return outer, inside


def _restricted(fold: Fold, kept: Rows) -> Fold:
    train, test = (
        np.searchsorted(kept, part[np.isin(part, kept)]) for part in (fold.train, fold.test)
    )
    return Fold(train, test)
