"""Folds: groups kept together, or scikit-learn's stratified shuffles."""

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


def grouped_folds_within(
    fold: Fold, groups: Sequence[str], *, n_folds: int, seed: int
) -> list[Fold]:
    """Grouped folds of a fold's training rows, as rows of the whole.

    Raises:
        ValueError: fewer groups among the training rows than folds.
    """
    inside = grouped_folds([groups[row] for row in fold.train], n_folds=n_folds, seed=seed)
    return [Fold(fold.train[inner.train], fold.train[inner.test]) for inner in inside]


def stratified_shuffles(
    strata: Sequence[str] | Sequence[int], *, n_splits: int, train_share: float, seed: int
) -> list[Fold]:
    """The splits of scikit-learn's StratifiedShuffleSplit, rows sorted.

    Each stratum gives its share to both sides; a row can be tested in several splits or in none.
    Draws go from stratum to stratum in sorted order: strings sort otherwise than numbers.

    Raises:
        ValueError: a stratum of one row, or fewer rows on a side than strata (scikit-learn's words).
    """
    # Only here: scikit-learn takes two seconds to import, in every process that evaluates.
    from sklearn.model_selection import StratifiedShuffleSplit

    splitter = StratifiedShuffleSplit(
        n_splits, train_size=train_share, test_size=None, random_state=seed
    )
    rows = np.empty((len(strata), 0))
    return [
        Fold(np.sort(train), np.sort(test))
        for train, test in splitter.split(rows, np.asarray(strata))
    ]


def _folds(fold_of_row: Rows, n_folds: int) -> Iterator[Fold]:
    for fold in range(n_folds):
        yield Fold(np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold))
