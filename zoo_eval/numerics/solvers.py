"""Solvers: what is fitted inside given folds; they know nothing of how folds are made, or of scores."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from zoo_eval.numerics import ridge
from zoo_eval.numerics.gram import CONSTANT, centred_blocks
from zoo_eval.numerics.path_scores import path_scores
from zoo_eval.numerics.pls import fit_paths
from zoo_eval.numerics.splits import Fold, Rows

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
    """PLS with `n_components`, or with the best of 1, 2, ... n_components where they are chosen.

    With `common` they are chosen once for all targets, by squared errors summed over these. `features`
    (row, feature), whose Gram matrix is the one that is fitted from, make a fit faster where they are
    fewer than the targets.
    """

    n_components: int = 25
    choose: bool = False
    common: bool = False
    features: Tensor | None = field(default=None, compare=False, repr=False)

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
    """Ridge with the best of some penalties, in units of the training Gram matrix's mean eigenvalue.

    Where they are `absolute`, they are as in scikit-learn's Ridge(alpha); what is chosen is told in those
    units all the same. With `common` one is chosen for all targets, by squared errors summed over these.
    """

    alphas: tuple[float, ...]
    absolute: bool = False
    common: bool = False

    @property
    def has_choice(self) -> bool:
        return len(self.alphas) > 1

    def fitted(
        self,
        gram: Tensor,
        responses: Tensor,
        folds: Sequence[Fold],
        inner: Sequence[Sequence[Fold]],
    ) -> Fitted:
        return _ridge(gram, responses, folds, inner, self)


def _pls(
    gram: Tensor,
    responses: Tensor,
    folds: Sequence[Fold],
    inner: Sequence[Sequence[Fold]],
    readout: Pls,
) -> Fitted:
    """Every fold's predictions, selection r and choice."""
    k = readout.n_components
    r, errors = _inner_scores(gram, responses, [fold for some in inner for fold in some], readout)
    choices, selections = [], []
    start = 0
    for some in inner:
        own = slice(start, start + len(some))
        start += len(some)
        mean = errors[own].mean(0)
        if readout.common:
            mean = mean.sum(1, keepdim=True).expand_as(mean)
        best = mean.argmin(0, keepdim=True)
        if not readout.choose:
            best = torch.full_like(best, k - 1)
        selections.append(r[own].mean(0).gather(0, best)[0])
        choices.append(best[0] + 1)
    found = []
    for part in _parts(folds, responses, k):
        training = _marked([folds[i].train for i in part], gram)
        path = fit_paths(gram, responses, training, k, features=readout.features)
        for place, i in enumerate(part):
            predictions = path.predictions(place, rows_on(folds[i].test, gram), choices[i])
            found.append((predictions, selections[i], choices[i].double()))
    return found


def _inner_scores(
    gram: Tensor, responses: Tensor, folds: Sequence[Fold], readout: Pls
) -> tuple[Tensor, Tensor]:
    """Pearson r and squared errors (fold, component, target)."""
    r, errors = [], []
    for part in _parts(folds, responses, readout.n_components):
        training = _marked([folds[i].train for i in part], gram)
        test = _marked([folds[i].test for i in part], gram)
        paths = fit_paths(
            gram, responses, training, readout.n_components, features=readout.features
        )
        scores = path_scores(paths, responses, test)
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
        mark[rows_on(some, like)] = True
    return marks


def _ridge(
    gram: Tensor,
    responses: Tensor,
    folds: Sequence[Fold],
    inner: Sequence[Sequence[Fold]],
    readout: Ridge,
) -> Fitted:
    """Every fold's predictions, selection r and choice; one decomposition each."""
    given = gram.new_tensor(readout.alphas)
    found = []
    for fold, some in zip(folds, inner, strict=True):
        train, test = rows_on(fold.train, gram), rows_on(fold.test, gram)
        blocks = centred_blocks(gram, train, test)
        if blocks[0].trace() <= CONSTANT * gram.diagonal()[train].sum():
            found.append(_unfitted(responses[train], len(test)))
            continue
        unit = ridge.mean_eigenvalue(blocks[0])
        alphas = given if readout.absolute else given * unit
        held_out = [torch.searchsorted(train, rows_on(held.test, gram)) for held in some]
        tuned = ridge.tune(*blocks, responses[train], alphas, held_out, common=readout.common)
        relative = given / unit if readout.absolute else given
        found.append((tuned.predictions, tuned.selection_r, relative[tuned.choice]))
    return found


def _unfitted(responses: Tensor, n_test: int) -> tuple[Tensor, Tensor, Tensor]:
    """What a fold gives whose training features are constant: the mean, and no choice."""
    mean = responses.mean(0)
    nothing = torch.full_like(mean, torch.nan)
    return mean.expand(n_test, -1), nothing, nothing


def rows_on(rows: Rows, like: Tensor) -> Tensor:
    """Row numbers as a tensor, where another is."""
    return torch.from_numpy(rows).to(like.device)
