"""Nested cross-validation on a Gram matrix: choices inside the training folds, scores outside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_eval.numerics import pls, ridge
from zoo_eval.numerics.correlation import pearson
from zoo_eval.numerics.gram import centred_blocks
from zoo_eval.numerics.splits import Fold, Rows, grouped_folds

# Centred training Gram block, centred test block, training responses -> (choice, test, target).
Path = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class FoldScore:
    """Pearson r per target (target,): on the untouched fold, and inside the training folds."""

    r: Tensor
    selection_r: Tensor


def pls_path(n_components: int) -> Callable[[Tensor], Path]:
    """A readout without choices: PLS with that many components."""
    return lambda _inner: (
        lambda inner, cross, y: pls.predict_path(inner, cross, y, n_components)[-1:]
    )


def ridge_path(relative_alphas: Sequence[float]) -> Callable[[Tensor], Path]:
    """Ridge under every penalty, in units of the training Gram matrix's mean eigenvalue."""

    def for_training(training: Tensor) -> Path:
        alphas = training.new_tensor(relative_alphas) * ridge.mean_eigenvalue(training)
        return lambda inner, cross, y: ridge.predict_alphas(inner, cross, y, alphas)

    return for_training


def nested_scores(
    gram: Tensor,
    responses: Tensor,
    groups: Sequence[str],
    path_for: Callable[[Tensor], Path],
    *,
    n_folds: int,
    n_inner_folds: int,
    seed: int,
) -> list[FoldScore]:
    """Scores per fold, with every choice made per target inside that fold's training rows.

    For each fold the training rows are split again; the choice (a penalty, say) with the smallest
    mean squared error over the inner folds is refitted on all training rows and scored on the test
    rows once. `selection_r` is the mean over inner folds of the chosen one's Pearson r: it has not
    seen the test rows and may choose a layer.

    Args:
        gram: K = F F^T, float64 (stimulus, stimulus), not centred.
        responses: float64 (stimulus, target).
        groups: group of each stimulus; no group is split over folds, inner or outer.
        path_for: the readout, given the centred training Gram matrix.
        n_folds: outer folds.
        n_inner_folds: folds inside each training set.
        seed: of both.

    Raises:
        ValueError: fewer groups than folds.
        TooManyComponents: more PLS components than an inner training set has rows for.
    """
    scores = []
    for number, fold in enumerate(grouped_folds(groups, n_folds=n_folds, seed=seed)):
        training = [groups[row] for row in fold.train]
        inner_folds = [
            Fold(fold.train[inner.train], fold.train[inner.test])
            for inner in grouped_folds(training, n_folds=n_inner_folds, seed=seed + number + 1)
        ]
        path = path_for(centred_blocks(gram, _rows(fold.train), _rows(fold.test))[0])
        errors, correlations = [], []
        for inner in inner_folds:
            predicted, observed = _predict(gram, responses, inner, path)
            errors.append((predicted - observed).square().mean(1))
            correlations.append(pearson(predicted, observed))
        best = torch.stack(errors).mean(0).argmin(0, keepdim=True)
        predicted, observed = _predict(gram, responses, fold, path)
        scores.append(
            FoldScore(
                r=pearson(predicted, observed).gather(0, best)[0],
                selection_r=torch.stack(correlations).mean(0).gather(0, best)[0],
            )
        )
    return scores


def _predict(gram: Tensor, responses: Tensor, fold: Fold, path: Path) -> tuple[Tensor, Tensor]:
    inner, cross = centred_blocks(gram, _rows(fold.train), _rows(fold.test))
    return path(inner, cross, responses[fold.train]), responses[fold.test]


def _rows(rows: Rows) -> Tensor:
    return torch.from_numpy(rows)
