"""Ridge regression from a Gram matrix alone (the dual form).

One eigendecomposition of the training Gram matrix serves every penalty and every target:
(K + alpha I)^-1 Y = V (l + alpha)^-1 V^T Y.
"""

import torch
from torch import Tensor


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
    values, vectors = torch.linalg.eigh(inner)
    mean = responses.mean(0)
    rotated = vectors.T @ (responses - mean)
    shrunk = rotated / (values.clamp(min=0)[:, None] + alphas[:, None, None])
    predictions: Tensor = mean + (cross @ vectors) @ shrunk
    return predictions


def mean_eigenvalue(inner: Tensor) -> float:
    """The mean eigenvalue of a Gram matrix: the natural unit of a penalty."""
    return float(inner.trace() / inner.shape[0])
