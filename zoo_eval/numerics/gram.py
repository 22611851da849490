"""Gram matrices: centring by training rows, and what follows from the spectrum."""

from torch import Tensor

# What is left of features by centring them, as a share, where they are constant up to rounding.
CONSTANT = 1e-13


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
    # Both are copies already.
    inner.sub_(column).sub_(column[:, None]).add_(total)
    cross.sub_(cross.mean(1, keepdim=True)).sub_(column).add_(total)
    return inner, cross


def centred(gram: Tensor) -> Tensor:
    """H K H, H centring: the Gram matrix of features centred by their mean over all rows (row, row)."""
    column = gram.mean(0)
    return (gram - column).sub_(column[:, None]).add_(column.mean())


def effective_dim(gram: Tensor) -> float:
    """Participation ratio (sum l)^2 / sum l^2 of the centred features' variances l.

    Needs no eigenvalues: sum l is the trace and sum l^2 the squared Frobenius norm of the centred
    Gram matrix (row, row). NaN for constant features.
    """
    products = centred(gram)
    return float(products.trace() ** 2 / products.square_().sum())
