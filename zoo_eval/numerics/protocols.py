"""Protocols: which rows are trained and tested on, what is chosen where, and what is scored.

Each is a function of Gram matrix, responses, groups or strata, readout and seed alone. Beside the
scored fold's r stands a selection r from folds inside its training rows, which a choice between
layers may use. Hyper-parameters are chosen per target by the mean squared error over inner folds.
Targets that answered the same stimuli are fitted together, on those stimuli alone (`observed`).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from zoo_eval.numerics.correlation import constant, median_defined, pearson
from zoo_eval.numerics.observed import ObservedSet, observed_sets, within
from zoo_eval.numerics.pls import TooManyComponents
from zoo_eval.numerics.solvers import Pls, Solver, rows_on
from zoo_eval.numerics.splits import (
    Fold,
    Rows,
    grouped_folds,
    grouped_folds_within,
    stratified_shuffles,
)

# A version moves when, and only when, a protocol's numbers move.
VERSIONS: Mapping[str, int] = {"nested": 2, "kfold": 1, "brainscore": 1, "published": 1}
BRAINSCORE_SPLITS, BRAINSCORE_TRAIN_SHARE, BRAINSCORE_SEED = 10, 0.9, 1
TOO_FEW = "too few observed stimuli"


@dataclass(frozen=True, eq=False)
class FoldScore:
    """One fold's scores and choices, each (target,) unless said otherwise.

    rows: the fold's untouched rows (test,).
    predictions: of the chosen fit for those rows (test, target).
    r: Pearson on the fold's untouched rows, NaN where undefined.
    selection_r: mean over the folds inside its training rows, NaN where one of them is undefined.
    choice: the number of components or the relative penalty, float64.
    undefined: why r is NaN: "constant responses", "constant predictions" or "too few observed stimuli";
        "" where it is not.
    n_observed: of the fold's rows, how many each target answered.
    n_sets: how many sets of targets answered the same stimuli.
    """

    rows: Tensor
    predictions: Tensor
    r: Tensor
    selection_r: Tensor
    choice: Tensor
    undefined: tuple[str, ...]
    n_observed: Tensor
    n_sets: int = 1

    @property
    def is_complete(self) -> bool:
        """Whether every target answered all of the fold's rows."""
        return bool((self.n_observed == len(self.rows)).all())

    @property
    def median_r(self) -> float | None:
        """Over the targets that have an r; None without any."""
        return median_defined(self.r)

    @property
    def n_undefined(self) -> dict[str, int]:
        """How many targets the median leaves out, by reason."""
        return dict(Counter(reason for reason in self.undefined if reason))


def of_groups(groups: Sequence[Rows], scores: Sequence[FoldScore]) -> FoldScore:
    """A fold's scores of targets that were scored apart, in the order of all of them.

    Args:
        groups: numbers of the targets of each group, every target in one of them.
        scores: each group's scores of the fold.
    """
    place = torch.from_numpy(np.argsort(np.concatenate(groups))).to(scores[0].r.device)

    def together(part: Callable[[FoldScore], Tensor]) -> Tensor:
        return torch.cat([part(one) for one in scores], -1).index_select(-1, place)

    reasons = [reason for one in scores for reason in one.undefined]
    return FoldScore(
        scores[0].rows,
        together(lambda one: one.predictions),
        together(lambda one: one.r),
        together(lambda one: one.selection_r),
        together(lambda one: one.choice),
        tuple(reasons[number] for number in place.tolist()),
        together(lambda one: one.n_observed),
        sum(one.n_sets for one in scores),
    )


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
        responses: float64 (stimulus, target), NaN where a target did not answer.
        groups: group of each stimulus; no group is split over folds, inner or outer.
        readout: what is fitted.
        n_folds: outer folds.
        n_inner_folds: folds inside each training set.
        seed: of both.

    Raises:
        ValueError: fewer groups than folds, shapes that do not fit, a Gram matrix with NaN, infinite values.
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
        responses: float64 (stimulus, target), NaN where a target did not answer.
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


def published(
    gram: Tensor,
    responses: Tensor,
    split: Fold,
    groups: Sequence[str],
    readout: Solver,
    *,
    n_inner_folds: int,
    seed: int,
) -> list[FoldScore]:
    """The score on the test rows of a split that was published, every choice made in its training rows.

    Args:
        gram: K = F F^T, float64 (stimulus, stimulus), not centred.
        responses: float64 (stimulus, target), NaN where a target did not answer.
        split: what is trained and tested on; other rows are not looked at.
        groups: group of each stimulus; no group is split over the folds inside the training rows.
        readout: what is fitted.
        n_inner_folds: folds inside the training rows.
        seed: of these.

    Raises:
        ValueError: fewer groups among the training rows than folds; or as for `nested`.
        TooManyComponents: as for `nested`.
    """
    inner = folds_within([split], groups, n_inner_folds, seed)
    return _scores(gram, responses, [split], inner, readout)


def nested_folds(
    groups: Sequence[str], *, n_folds: int, n_inner_folds: int, seed: int
) -> tuple[list[Fold], list[list[Fold]]]:
    """The folds of `nested` and `kfold`, and those inside the training rows of each.

    Raises:
        ValueError: fewer groups than folds.
    """
    folds = grouped_folds(groups, n_folds=n_folds, seed=seed)
    return folds, folds_within(folds, groups, n_inner_folds, seed)


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
    return folds, folds_within(folds, alone, n_inner_folds, BRAINSCORE_SEED)


def folds_within(
    folds: Sequence[Fold], groups: Sequence[str], n_inner_folds: int, seed: int
) -> list[list[Fold]]:
    """The folds inside the training rows of each of some folds; no group is split over them."""
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
    if not responses.isnan().any():
        return _complete_scores(gram, responses, folds, inner, readout)
    sets = observed_sets(responses)
    scores = [_unscored(responses, fold, len(sets)) for fold in folds]
    for some in sets:
        _add(scores, some, gram, responses, folds, inner, readout)
    return scores


def _complete_scores(
    gram: Tensor,
    responses: Tensor,
    folds: Sequence[Fold],
    inner: Sequence[Sequence[Fold]],
    readout: Solver,
) -> list[FoldScore]:
    found = readout.fitted(gram, responses, folds, inner)
    scores = []
    for fold, (predictions, selection_r, choice) in zip(folds, found, strict=True):
        rows = rows_on(fold.test, gram)
        r = pearson(predictions, responses[rows])
        reasons = _reasons(r, responses[rows])
        n_observed = torch.full_like(r, len(rows), dtype=torch.int64)
        scores.append(FoldScore(rows, predictions, r, selection_r, choice, reasons, n_observed))
    return scores


def _unscored(responses: Tensor, fold: Fold, n_sets: int) -> FoldScore:
    """A fold's scores before any set of targets is fitted."""
    rows = rows_on(fold.test, responses)
    there = ~responses[rows].isnan()
    nothing = responses.new_full((responses.shape[1],), torch.nan)
    return FoldScore(
        rows,
        torch.full_like(responses[rows], torch.nan),
        nothing,
        nothing.clone(),
        nothing.clone(),
        (TOO_FEW,) * responses.shape[1],
        there.sum(0),
        n_sets,
    )


def _add(
    scores: list[FoldScore],
    some: ObservedSet,
    gram: Tensor,
    responses: Tensor,
    folds: Sequence[Fold],
    inner: Sequence[Sequence[Fold]],
    readout: Solver,
) -> None:
    """Puts the scores of the targets of a set among those of all, unless they answered too little."""
    own = within(some.rows, folds, inner)
    if own is None:
        return
    parts = gram[some.rows][:, some.rows], responses[some.rows][:, some.targets]
    try:
        found = _complete_scores(*parts, *own, readout)
    except TooManyComponents:
        return
    for number, (score, part) in enumerate(zip(scores, found, strict=True)):
        place = torch.searchsorted(score.rows, some.rows[part.rows])
        score.predictions[place[:, None], some.targets] = part.predictions
        for mine, its in ((score.r, part.r), (score.selection_r, part.selection_r), (score.choice, part.choice)):  # fmt: skip
            mine[some.targets] = its
        reasons = list(score.undefined)
        for target, reason in zip(some.targets.tolist(), part.undefined, strict=True):
            reasons[target] = reason
        scores[number] = replace(score, undefined=tuple(reasons))


def _check(gram: Tensor, responses: Tensor, folds: Sequence[Fold]) -> None:
    n = len(responses)
    if gram.shape != (n, n) or max(int(fold.test.max()) for fold in folds) >= n:
        raise ValueError(
            f"a Gram matrix of shape {tuple(gram.shape)} and responses of shape "
            f"{tuple(responses.shape)} are not of the same stimuli; align them by name"
        )
    wrong = {"Gram matrix": (~gram.isfinite(), "NaN or infinite"), "responses": (responses.isinf(), "infinite")}  # fmt: skip
    for name, (marks, what) in wrong.items():
        if marks.any():
            bad = marks.nonzero()
            row, column = bad[0].tolist()
            raise ValueError(
                f"{len(bad)} values of the {name} are {what}, the first at row {row}, "
                f"column {column}; leave such rows or columns out"
            )


def _reasons(r: Tensor, observed: Tensor) -> tuple[str, ...]:
    of_responses = constant(observed).tolist()
    return tuple(
        "" if not nan else "constant responses" if flat else "constant predictions"
        for nan, flat in zip(r.isnan().tolist(), of_responses, strict=True)
    )
