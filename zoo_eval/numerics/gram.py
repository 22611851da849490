"""Gram matrices: centring by training rows, and what follows from the spectrum."""

import torch
from torch import Tensor


def centred_blocks(gram: Tensor, train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """The Gram blocks of features centred by their mean over the training rows.

    With F the features and m the mean of F[train], returns
    (F[train] - m)(F[train] - m)^T and (F[test] - m)(F[train] - m)^T, from K = F F^T alone.

    Args:
        gram: K, float64 (row, row).
        train: training rows.
        test: test rows.

    Returns:
        (train, train) and (test, train).
    """
    inner = gram[train][:, train]
    cross = gram[test][:, train]
    column = inner.mean(0)
    total = column.mean()
    return (
        inner - column - column[:, None] + total,
        cross - cross.mean(1, keepdim=True) - column + total,
    )


def effective_dim(gram: Tensor) -> float:
    """Participation ratio (sum l)^2 / sum l^2 of the centred features' variances l.

    Needs no eigenvalues: sum l is the trace and sum l^2 the squared Frobenius norm of the centred
    Gram matrix (row, row). NaN for constant features.
    """
    rows = torch.arange(gram.shape[0], device=gram.device)
    centred, _ = centred_blocks(gram, rows, rows)
    return float(centred.trace() ** 2 / centred.square().sum())
