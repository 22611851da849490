"""Protocols: which rows are trained and tested on, what is chosen where, and what is scored.

Each is a function of Gram matrix, responses, groups or strata, readout and seed alone. Beside the
scored fold's r stands a selection r from folds inside its training rows, which a choice between
layers may use. Hyper-parameters are chosen per target by the mean squared error over inner folds.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from zoo_eval.numerics import ridge
from zoo_eval.numerics.correlation import constant, median_defined, pearson
from zoo_eval.numerics.gram import CONSTANT, centred_blocks
from zoo_eval.numerics.path_scores import path_scores
from zoo_eval.numerics.pls import fit_paths
from zoo_eval.numerics.splits import (
    Fold,
    Rows,
    grouped_folds,
    grouped_folds_within,
    stratified_shuffles,
)

# A version moves when, and only when, a protocol's numbers move.
VERSIONS: Mapping[str, int] = {"nested": 2, "kfold": 1, "brainscore": 1}
BRAINSCORE_SPLITS, BRAINSCORE_TRAIN_SHARE, BRAINSCORE_SEED = 10, 0.9, 1
SCORES_BYTES = 2**29


# Of each fold: predictions (test, target), selection r (target,) and choice (target,), float64.
Fitted = list[tuple[Tensor, Tensor, Tensor]]


class Solver(Protocol):
    """What is fitted: it knows nothing of how folds are made."""

    @property
    def has_choice(self) -> bool:
        """Whether it leaves something to be chosen inside each fold's training rows."""
        ...

    def fitted(
        self,
        gram: Tensor,
        responses: Tensor,
        folds: Sequence[Fold],
        inner: Sequence[Sequence[Fold]],
    ) -> Fitted:
        """Every fold's predictions, selection r and choice, made inside its training rows alone."""
        ...


@dataclass(frozen=True)
class Pls:
    """PLS with `n_components`, or with the best of 1, 2, ... n_components where they are chosen."""

    n_components: int = 25
    choose: bool = False

    @property
    def has_choice(self) -> bool:
        return self.choose

    def fitted(
        self,
        gram: Tensor,
        responses: Tensor,
        folds: Sequence[Fold],
        inner: Sequence[Sequence[Fold]],
    ) -> Fitted:
        return _pls(gram, responses, folds, inner, self)


@dataclass(frozen=True)
class Ridge:
    """Ridge with the best of some penalties, in units of the training Gram matrix's mean eigenvalue."""

    relative_alphas: tuple[float, ...]

    @property
    def has_choice(self) -> bool:
        return len(self.relative_alphas) > 1

    def fitted(
        self,
        gram: Tensor,
        responses: Tensor,
        folds: Sequence[Fold],
        inner: Sequence[Sequence[Fold]],
    ) -> Fitted:
        return _ridge(gram, responses, folds, inner, self)


@dataclass(frozen=True, eq=False)
class FoldScore:
    """One fold's scores and choices, each (target,) unless said otherwise.

    rows: the fold's untouched rows (test,).
    predictions: of the chosen fit for those rows (test, target).
    r: Pearson on the fold's untouched rows, NaN where undefined.
    selection_r: mean over the folds inside its training rows, NaN where one of them is undefined.
    choice: the number of components or the relative penalty, float64.
    undefined: why r is NaN: "constant responses" or "constant predictions"; "" where it is not.
    """

    rows: Tensor
    predictions: Tensor
    r: Tensor
    selection_r: Tensor
    choice: Tensor
    undefined: tuple[str, ...]

    @property
    def median_r(self) -> float | None:
        """Over the targets that have an r; None without any."""
        return median_defined(self.r)

    @property
    def n_undefined(self) -> dict[str, int]:
        """How many targets the median leaves out, by reason."""
        return dict(Counter(reason for reason in self.undefined if reason))


def nested(
    gram: Tensor,
    responses: Tensor,
    groups: Sequence[str],
    readout: Solver,
    *,
    n_folds: int,
    n_inner_folds: int,
    seed: int,
) -> list[FoldScore]:
    """Scores per fold, with every choice made per target inside that fold's training rows.

    Args:
        gram: K = F F^T, float64 (stimulus, stimulus), not centred.
        responses: float64 (stimulus, target).
        groups: group of each stimulus; no group is split over folds, inner or outer.
        readout: what is fitted.
        n_folds: outer folds.
        n_inner_folds: folds inside each training set.
        seed: of both.

    Raises:
        ValueError: fewer groups than folds, shapes that do not fit, NaN or infinite values.
        TooManyComponents: more PLS components than an inner training set has rows for.
    """
    folds, inner = nested_folds(groups, n_folds=n_folds, n_inner_folds=n_inner_folds, seed=seed)
    return _scores(gram, responses, folds, inner, readout)


def kfold(
    gram: Tensor,
    responses: Tensor,
    groups: Sequence[str],
    readout: Solver,
    *,
    n_folds: int,
    n_inner_folds: int,
    seed: int,
) -> list[FoldScore]:
    """Scores per fold of a readout that leaves nothing to choose; the folds are those of `nested`.

    Raises:
        ValueError: the readout leaves something to choose; or as for `nested`.
        TooManyComponents: as for `nested`.
    """
    if readout.has_choice:
        raise ValueError(
            f"kfold scores fixed hyper-parameters, but {readout} leaves some to choose; "
            "fix them or use the nested protocol"
        )
    return nested(
        gram, responses, groups, readout, n_folds=n_folds, n_inner_folds=n_inner_folds, seed=seed
    )


def brainscore(
    gram: Tensor,
    responses: Tensor,
    strata: Sequence[str] | Sequence[int],
    readout: Solver | None = None,
    *,
    n_inner_folds: int = 4,
) -> list[FoldScore]:
    """Brain-Score's neural predictivity: PLS-25 on ten stratified 90/10 shuffles, scikit-learn's own.

    The seed is Brain-Score's, 1. Its reduction to 1000 components is `reduction.reduced_gram`, whose
    result is a Gram matrix to be given here. Selection r, which Brain-Score has not, comes from
    random folds of each split's training rows.

    Args:
        gram: K = F F^T, float64 (stimulus, stimulus), not centred.
        responses: float64 (stimulus, target).
        strata: object of each stimulus; the splits depend on how they sort, names as Brain-Score's
            or numbers in the order of such names.
        readout: PLS with 25 components unless given.
        n_inner_folds: folds inside each training set, for the selection r only.

    Raises:
        ValueError: a stratum of one stimulus; or as for `nested`.
        TooManyComponents: as for `nested`.
    """
    readout = readout or Pls()
    if readout.has_choice:
        raise ValueError(
            f"brainscore fixes the number of components, but {readout} leaves it to choose"
        )
    folds, inner = brainscore_folds(strata, n_inner_folds=n_inner_folds)
    return _scores(gram, responses, folds, inner, readout)


def nested_folds(
    groups: Sequence[str], *, n_folds: int, n_inner_folds: int, seed: int
) -> tuple[list[Fold], list[list[Fold]]]:
    """The folds of `nested` and `kfold`, and those inside the training rows of each.

    Raises:
        ValueError: fewer groups than folds.
    """
    folds = grouped_folds(groups, n_folds=n_folds, seed=seed)
    return folds, _inner(folds, groups, n_inner_folds, seed)


def brainscore_folds(
    strata: Sequence[str] | Sequence[int], *, n_inner_folds: int
) -> tuple[list[Fold], list[list[Fold]]]:
    """The splits of `brainscore`, and random folds inside the training rows of each.

    Raises:
        ValueError: a stratum of one stimulus, or fewer stimuli on a side than strata.
    """
    folds = stratified_shuffles(
        strata,
        n_splits=BRAINSCORE_SPLITS,
        train_share=BRAINSCORE_TRAIN_SHARE,
        seed=BRAINSCORE_SEED,
    )
    alone = [str(row) for row in range(len(strata))]
    return folds, _inner(folds, alone, n_inner_folds, BRAINSCORE_SEED)


def _inner(
    folds: Sequence[Fold], groups: Sequence[str], n_inner_folds: int, seed: int
) -> list[list[Fold]]:
    return [
        grouped_folds_within(fold, groups, n_folds=n_inner_folds, seed=seed + number + 1)
        for number, fold in enumerate(folds)
    ]


def _scores(
    gram: Tensor,
    responses: Tensor,
    folds: Sequence[Fold],
    inner: Sequence[Sequence[Fold]],
    readout: Solver,
) -> list[FoldScore]:
    _check(gram, responses, folds)
    found = readout.fitted(gram, responses, folds, inner)
    scores = []
    for fold, (predictions, selection_r, choice) in zip(folds, found, strict=True):
        rows = _on(fold.test, gram)
        r = pearson(predictions, responses[rows])
        reasons = _reasons(r, responses[rows])
        scores.append(FoldScore(rows, predictions, r, selection_r, choice, reasons))
    return scores


def _check(gram: Tensor, responses: Tensor, folds: Sequence[Fold]) -> None:
    n = len(responses)
    if gram.shape != (n, n) or max(int(fold.test.max()) for fold in folds) >= n:
        raise ValueError(
            f"a Gram matrix of shape {tuple(gram.shape)} and responses of shape "
            f"{tuple(responses.shape)} are not of the same stimuli; align them by name"
        )
    for name, values in (("Gram matrix", gram), ("responses", responses)):
        bad = (~values.isfinite()).nonzero()
        if len(bad):
            row, column = bad[0].tolist()
            raise ValueError(
                f"{len(bad)} values of the {name} are NaN or infinite, the first at row {row}, "
                f"column {column}; leave such rows or columns out"
            )


def _pls(
    gram: Tensor,
    responses: Tensor,
    folds: Sequence[Fold],
    inner: Sequence[Sequence[Fold]],
    readout: Pls,
) -> Fitted:
    """Every fold's predictions, selection r and choice."""
    k = readout.n_components
    r, errors = _inner_scores(gram, responses, [fold for some in inner for fold in some], k)
    choices, selections = [], []
    start = 0
    for some in inner:
        own = slice(start, start + len(some))
        start += len(some)
        best = errors[own].mean(0).argmin(0, keepdim=True)
        if not readout.choose:
            best = torch.full_like(best, k - 1)
        selections.append(r[own].mean(0).gather(0, best)[0])
        choices.append(best[0] + 1)
    found = []
    for part in _parts(folds, responses, k):
        path = fit_paths(gram, responses, _marked([folds[i].train for i in part], gram), k)
        for place, i in enumerate(part):
            predictions = path.predictions(place, _on(folds[i].test, gram), choices[i])
            found.append((predictions, selections[i], choices[i].double()))
    return found


def _inner_scores(
    gram: Tensor, responses: Tensor, folds: Sequence[Fold], n_components: int
) -> tuple[Tensor, Tensor]:
    """Pearson r and squared errors (fold, component, target)."""
    r, errors = [], []
    for part in _parts(folds, responses, n_components):
        training = _marked([folds[i].train for i in part], gram)
        test = _marked([folds[i].test for i in part], gram)
        scores = path_scores(fit_paths(gram, responses, training, n_components), responses, test)
        r.append(scores.r)
        errors.append(scores.squared_error)
    return torch.cat(r), torch.cat(errors)


def _parts(folds: Sequence[Fold], responses: Tensor, n_components: int) -> list[range]:
    """The folds' numbers, as many at a time as `SCORES_BYTES` hold."""
    n_rows, n_targets = responses.shape
    step = max(1, SCORES_BYTES // path_bytes(n_rows, n_targets, n_components))
    return [range(start, min(start + step, len(folds))) for start in range(0, len(folds), step)]


def path_bytes(n_rows: int, n_targets: int, n_components: int) -> int:
    """What one fold's path of PLS takes while it is scored."""
    return 8 * n_components * (4 * n_targets + 2 * n_rows)


def _marked(rows: Sequence[Rows], like: Tensor) -> Tensor:
    """Row numbers as marks, bool (fold, row)."""
    marks = torch.zeros(len(rows), len(like), dtype=torch.bool, device=like.device)
    for mark, some in zip(marks, rows, strict=True):
        mark[_on(some, like)] = True
    return marks


def _ridge(
    gram: Tensor,
    responses: Tensor,
    folds: Sequence[Fold],
    inner: Sequence[Sequence[Fold]],
    readout: Ridge,
) -> Fitted:
    """Every fold's predictions, selection r and choice; one decomposition each."""
    relative = gram.new_tensor(readout.relative_alphas)
    found = []
    for fold, some in zip(folds, inner, strict=True):
        train, test = _on(fold.train, gram), _on(fold.test, gram)
        blocks = centred_blocks(gram, train, test)
        if blocks[0].trace() <= CONSTANT * gram.diagonal()[train].sum():
            found.append(_unfitted(responses[train], len(test)))
            continue
        alphas = relative * ridge.mean_eigenvalue(blocks[0])
        held_out = [torch.searchsorted(train, _on(held.test, gram)) for held in some]
        tuned = ridge.tune(*blocks, responses[train], alphas, held_out)
        found.append((tuned.predictions, tuned.selection_r, relative[tuned.choice]))
    return found


def _unfitted(responses: Tensor, n_test: int) -> tuple[Tensor, Tensor, Tensor]:
    """What a fold gives whose training features are constant: the mean, and no choice."""
    mean = responses.mean(0)
    nothing = torch.full_like(mean, torch.nan)
    return mean.expand(n_test, -1), nothing, nothing


def _reasons(r: Tensor, observed: Tensor) -> tuple[str, ...]:
    of_responses = constant(observed).tolist()
    return tuple(
        "" if not nan else "constant responses" if flat else "constant predictions"
        for nan, flat in zip(r.isnan().tolist(), of_responses, strict=True)
    )


def _on(rows: Rows, like: Tensor) -> Tensor:
    return torch.from_numpy(rows).to(like.device)
