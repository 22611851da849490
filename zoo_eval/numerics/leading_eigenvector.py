"""The leading eigenvectors of many symmetric matrices at once (Lanczos, Rayleigh and Ritz)."""

import torch
from torch import Tensor

from zoo_eval.numerics.threads import enough_for, threads

# Below this size LAPACK's full decomposition is as fast as anything.
SMALL = 24
FIRST_CHECK, CHECK_EVERY, STEPS, RESTARTS = 16, 8, 64, 3
# Of the eigenvalue. The eigenvector is then off by at most this over the relative gap.
RESIDUAL = 1e-13
# Relative gap below which the last digits are left to the full decomposition.
NEAR_EQUAL = 1e-6
# A share of a fixed vector in every start, so that no start is orthogonal to what is looked for.
STIR = 0.1


def leading(matrices: Tensor, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The largest eigenvalue of each matrix, its eigenvector, and a start for a similar matrix.

    Lanczos with full reorthogonalisation, all matrices in step, until ||M v - l v|| is below
    `RESIDUAL` times l. What does not get there, or has a second eigenvalue within `NEAR_EQUAL`,
    is decomposed in full: the vector is then as exact as the matrix allows.

    Args:
        matrices: positive semidefinite, float64 (matrix, row, row).
        start: a guess, such as the last result's start, float64 (matrix, row); any length.

    Returns:
        Eigenvalues (matrix,), unit eigenvectors (matrix, row), and the second Ritz vectors
        (matrix, row), which lead once a matrix has lost its leading direction.
    """
    if matrices.shape[-1] <= SMALL:
        return _in_full(matrices)
    stir = torch.sin(torch.arange(1.0, start.shape[-1] + 1, dtype=start.dtype, device=start.device))
    vectors = _unit(_unit(start) + STIR * _unit(stir))
    with threads(enough_for(matrices.numel())):
        for _ in range(RESTARTS):
            values, vectors, second, settled = _lanczos(matrices, vectors)
            if settled.all():
                return values, vectors, second
    rest = ~settled
    values, vectors, second = values.clone(), vectors.clone(), second.clone()
    values[rest], vectors[rest], second[rest] = _in_full(matrices[rest])
    return values, vectors, second


def _in_full(matrices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    values, vectors = torch.linalg.eigh(matrices)
    return values[:, -1], vectors[..., -1], vectors[..., -min(2, vectors.shape[-1])]


def _lanczos(matrices: Tensor, start: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values, vectors, second Ritz vectors, and which matrices are settled (matrix,)."""
    n_matrices, size, _ = matrices.shape
    steps = min(STEPS, size)
    basis = matrices.new_zeros(n_matrices, steps, size)
    products = torch.zeros_like(basis)
    vector = start[..., None]
    for step in range(steps):
        basis[:, step] = vector[..., 0]
        product = torch.bmm(matrices, vector)
        products[:, step] = product[..., 0]
        done = step + 1
        if done == steps or (done >= FIRST_CHECK and done % CHECK_EVERY == 0):
            *found, settled = _ritz(basis[:, :done], products[:, :done])
            if done == steps or settled.all():
                break
        known = basis[:, :done]
        # Twice, because one pass of Gram-Schmidt loses orthogonality when little is left.
        for _ in range(2):
            product = torch.baddbmm(product, known.mT, torch.bmm(known, product), alpha=-1)
        vector = _unit(product[..., 0])[..., None]
    values, vectors, second = found
    return values, vectors, second, settled


def _ritz(basis: Tensor, products: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    projected = torch.bmm(basis, products.mT)
    values, mixing = torch.linalg.eigh((projected + projected.mT) / 2)
    top = mixing[..., -2:].mT
    vectors = torch.bmm(top, basis)
    value = values[:, -1]
    residual = torch.bmm(top[:, 1:], products)[:, 0] - value[:, None] * vectors[:, 1]
    converged = residual.norm(dim=1) <= RESIDUAL * value
    apart = value - values[:, -2] >= NEAR_EQUAL * value
    return value, _unit(vectors[:, 1]), vectors[:, 0], converged & apart


def _unit(vectors: Tensor) -> Tensor:
    tiny = torch.finfo(vectors.dtype).tiny
    unit: Tensor = vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=tiny)
    return unit
