"""Partial least squares from a Gram matrix alone (kernel NIPALS, Rosipal & Trejo 2001).

The same as scikit-learn's PLSRegression(scale=False) run to convergence: its weight vector is
w = X^T u with u = Y c, where c is the leading eigenvector of Y^T K Y, so its score t = X w is K u
made orthogonal to the scores before. Only Y needs deflation, and K Y once.
"""

import torch
from torch import Tensor

# Relative to the Gram matrix: far above float64 rounding even when the mean was 10^3 times the
# spread before centring (10^-11), far below a real layer's fiftieth component (10^-4).
ROUNDING = 1e-9


class TooManyComponents(ValueError):
    """More PLS components were asked for than the training rows support."""


def predict_path(inner: Tensor, cross: Tensor, responses: Tensor, n_components: int) -> Tensor:
    """Predictions for the test rows with 1, 2, ... n_components components.

    Args:
        inner: Gram matrix of the centred training features, float64 (train, train).
        cross: Gram block of test and training features, float64 (test, train).
        responses: training responses, float64 (train, target); centred here.
        n_components: length of the path.

    Returns:
        Predictions (component, test, target). Once the responses are explained exactly, or the
        features are used up (fewer of them than components), the path stays where it is.

    Raises:
        TooManyComponents: n_components is not below the number of training rows.
    """
    n_train = responses.shape[0]
    if n_components >= n_train:
        raise TooManyComponents(
            f"{n_components} PLS components need more than {n_components} training rows, "
            f"got {n_train}"
        )
    mean = responses.mean(0)
    residual = responses - mean
    gram_residual = inner @ residual
    covariance = residual.T @ gram_residual
    scale = covariance.diagonal().sum()
    size = inner.norm()
    directions: list[Tensor] = []
    scores: list[Tensor] = []
    prediction = mean.expand(cross.shape[0], -1).clone()
    path = []
    for _ in range(n_components):
        values, vectors = torch.linalg.eigh(covariance)
        if values[-1] <= 1e-24 * scale:
            path.append(prediction)
            continue
        direction = residual @ vectors[:, -1]
        score = _orthogonal(gram_residual @ vectors[:, -1], scores)
        norm = score.norm()
        # What is left of the features is rounding: a score made of it would predict anything.
        if norm <= ROUNDING * size * direction.norm():
            path.append(prediction)
            continue
        score, direction = score / norm, direction / norm
        loading = residual.T @ score
        gram_score = inner @ score
        along = residual.T @ gram_score
        residual = residual - score[:, None] * loading
        gram_residual = gram_residual - gram_score[:, None] * loading
        covariance = (
            covariance
            - loading[:, None] * along
            - along[:, None] * loading
            + (score @ gram_score) * loading[:, None] * loading
        )
        covariance = (covariance + covariance.T) / 2
        directions.append(direction)
        scores.append(score)
        prediction = mean + _fitted(inner, cross, responses - mean, directions, scores)
        path.append(prediction)
    return torch.stack(path)


def _orthogonal(vector: Tensor, scores: list[Tensor]) -> Tensor:
    if not scores:
        return vector
    basis = torch.stack(scores, 1)
    # Twice, because one pass of Gram-Schmidt loses orthogonality when little of the vector is left.
    for _ in range(2):
        vector = vector - basis @ (basis.T @ vector)
    return vector


def _fitted(
    inner: Tensor, cross: Tensor, responses: Tensor, directions: list[Tensor], scores: list[Tensor]
) -> Tensor:
    """Test predictions K_* U (T^T K U)^-1 T^T Y; T has orthonormal columns, T^T K U is triangular."""
    u, t = torch.stack(directions, 1), torch.stack(scores, 1)
    mixing = (t.T @ (inner @ u)).triu()
    coefficients: Tensor = torch.linalg.solve_triangular(mixing, t.T @ responses, upper=True)
    return cross @ (u @ coefficients)
