"""Folds that keep groups together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fold:
    """Row numbers (sorted) to train and to test on."""

    train: Rows
    test: Rows


def grouped_folds(groups: Sequence[str], *, n_folds: int, seed: int) -> list[Fold]:
    """`n_folds` folds in which no group stands on both sides; each row is tested once.

    Groups are shuffled, then dealt largest first to the fold with the fewest rows so far.

    Raises:
        ValueError: fewer groups than folds.
    """
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < n_folds:
        raise ValueError(f"{n_folds} folds need at least {n_folds} groups, got {len(names)}")
    sizes = np.bincount(member)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    fold_of = np.empty(len(names), dtype=np.int64)
    filled = np.zeros(n_folds, dtype=np.int64)
    for group in sorted(shuffled, key=lambda g: -sizes[g]):
        smallest = int(filled.argmin())
        fold_of[group] = smallest
        filled[smallest] += sizes[group]
    return list(_folds(fold_of[member], n_folds))


def _folds(fold_of_row: Rows, n_folds: int) -> Iterator[Fold]:
    for fold in range(n_folds):
        yield Fold(np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold))
