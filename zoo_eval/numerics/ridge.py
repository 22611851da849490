"""Ridge regression from a Gram matrix alone (the dual form).

One eigendecomposition of the training Gram matrix serves every penalty and every target:
(K + alpha I)^-1 Y = V (l + alpha)^-1 V^T Y. It also serves the folds inside the training set: with
C = (K + alpha I)^-1 of the centred K, freed of the constant, the errors on rows g of a fit to all
rows but g, its intercept included, are (C_gg)^-1 (C Y)_g exactly (leave-group-out, as in Cook &
Weisberg 1982, section 2.2, for blocks).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_eval.numerics.correlation import constant, deviations, pearson

BLOCK_BYTES = 2**28
TARGETS_AT_ONCE = 2048
# Of the logarithm, added to errors relative to the largest: equal errors go to the larger penalty.
TIE = 1e-10


@dataclass(frozen=True, eq=False)
class Tuned:
    """Ridge with a penalty per target, chosen inside the training rows.

    predictions: for the test rows (test, target).
    choice: number of the chosen penalty (target,).
    selection_r: mean over the inner folds of the chosen one's Pearson r (target,).
    """

    predictions: Tensor
    choice: Tensor
    selection_r: Tensor


def predict_alphas(inner: Tensor, cross: Tensor, responses: Tensor, alphas: Tensor) -> Tensor:
    """Predictions for the test rows under every penalty.

    Args:
        inner: Gram matrix of the centred training features, float64 (train, train).
        cross: Gram block of test and training features, float64 (test, train).
        responses: training responses, float64 (train, target); centred here, so the intercept is
            not penalised.
        alphas: penalties, float64 (alpha,), as in scikit-learn's Ridge(alpha).

    Returns:
        Predictions (alpha, test, target).
    """
    mean = responses.mean(0)
    values, vectors = torch.linalg.eigh(inner)
    rotated = vectors.T @ deviations(responses)
    shrunk = rotated / (values.clamp(min=0)[:, None] + alphas[:, None, None])
    predictions: Tensor = mean + (cross @ vectors) @ shrunk
    return predictions


def tune(
    inner: Tensor,
    cross: Tensor,
    responses: Tensor,
    alphas: Tensor,
    held_out: Sequence[Tensor],
    *,
    common: bool = False,
) -> Tuned:
    """Ridge whose penalty has, target by target, the smallest mean squared error over inner folds.

    The mean is over folds of each fold's mean over rows; of equal penalties the largest is taken. A
    penalty too small for float64 beside the features' variances is never chosen.

    Args:
        inner: Gram matrix of the centred training features, float64 (train, train).
        cross: Gram block of test and training features, float64 (test, train).
        responses: training responses, float64 (train, target); centred here.
        alphas: positive penalties, float64 (alpha,).
        held_out: the training rows that each inner fold tests on, by number.
        common: whether errors are summed over targets first, so that all have one penalty.

    Raises:
        ValueError: a penalty that is not positive, or none at all.
    """
    if len(alphas) == 0 or not (alphas > 0).all():
        raise ValueError(f"ridge penalties must be positive, got {alphas.tolist()}")
    mean, flat = responses.mean(0), constant(responses)
    values, vectors = torch.linalg.eigh(inner)
    values = values.clamp(min=0)
    rotated, variances = _rotated(responses, vectors)
    errors = responses.new_zeros(len(alphas), len(mean))
    r = torch.zeros_like(errors)
    for rows in held_out:
        for part, some, error in _held_out_errors(values, vectors, rotated, alphas, rows):
            own = (responses[rows, some] - mean[some]).masked_fill(flat[some], 0)
            r[part, some] += pearson(own - error, own) / len(held_out)
            errors[part, some] += error.square_().mean(1).nan_to_num(torch.inf) / len(held_out)
    judged = errors - TIE * alphas.log()[:, None] * variances
    if common:
        judged = judged.sum(1, keepdim=True).expand_as(judged)
    choice = judged.argmin(0)
    crossed = cross @ vectors
    predictions = responses.new_empty(len(cross), responses.shape[1])
    for some in target_parts(responses.shape[1]):
        shrunk = rotated[:, some] / (values[:, None] + alphas[choice[some]])
        predictions[:, some] = mean[some] + crossed @ shrunk
    return Tuned(predictions, choice, r.gather(0, choice[None])[0])


def _rotated(responses: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Deviations along the eigenvectors (train, target), and their variances (target,)."""
    rotated = torch.empty_like(responses)
    variances = torch.empty_like(responses[0])
    # Never all of the deviations at once, which are as many as the responses.
    for some in target_parts(len(variances)):
        centred = deviations(responses[:, some])
        rotated[:, some] = vectors.T @ centred
        variances[some] = centred.square().mean(0)
    return rotated, variances


def target_parts(n: int) -> Iterator[slice]:
    """The targets, some at a time."""
    for start in range(0, n, TARGETS_AT_ONCE):
        yield slice(start, start + TARGETS_AT_ONCE)


def _held_out_errors(
    values: Tensor, vectors: Tensor, rotated: Tensor, alphas: Tensor, rows: Tensor
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Errors (alpha, row, target) of fits to the other rows, some penalties and targets at a time.

    They are the caller's, to be overwritten.
    """
    n, own = len(vectors), vectors[rows]
    # Times alpha, which changes no error and keeps every weight between 0 and 1.
    weights = alphas[:, None] / (values + alphas[:, None])
    n_targets = min(rotated.shape[1], TARGETS_AT_ONCE)
    step = max(1, BLOCK_BYTES // penalty_bytes(n, len(rows), n_targets))
    for start in range(0, len(alphas), step):
        part = slice(start, start + step)
        weighted = own * weights[part, None]
        # The centred Gram matrix has the constant among its null vectors: a fit with an intercept
        # leaves no error along it.
        block = weighted @ own.T - 1 / n
        factor, failed = torch.linalg.cholesky_ex(block)
        # Solved for the training rows or for the targets, whichever are fewer.
        for_rows = rotated.shape[1] > n
        if for_rows:
            weighted = torch.cholesky_solve(weighted, factor)
        for some in target_parts(rotated.shape[1]):
            errors = weighted @ rotated[:, some]
            if not for_rows:
                errors = torch.cholesky_solve(errors, factor)
            yield part, some, errors.masked_fill_((failed != 0)[:, None, None], torch.nan)


def penalty_bytes(n_train: int, n_held_out: int, n_targets: int) -> int:
    """What the errors on an inner fold take, for each penalty."""
    return 8 * n_held_out * (2 * n_train + 2 * n_held_out + 6 * n_targets)


def mean_eigenvalue(inner: Tensor) -> float:
    """The mean eigenvalue of a Gram matrix: the natural unit of a penalty."""
    return float(inner.trace() / inner.shape[0])
