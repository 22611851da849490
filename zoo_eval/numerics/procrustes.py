"""Procrustes and nuclear-norm similarity of two feature sets, from their Gram matrices alone.

With X and Y features centred over the stimuli, the best orthogonal map of Y onto X leaves
||X||^2 + ||Y||^2 - 2 ||X^T Y||_*, the nuclear norm being the sum of singular values (Schönemann
1966; Williams et al. 2021). X X^T = A A^T and Y Y^T = B B^T give ||X^T Y||_* = ||A^T B||_*.
"""

from math import sqrt

import torch
from torch import Tensor

from zoo_eval.numerics.gram import centred

# Relative to the largest eigenvalue. Below it an eigenvalue of a Gram matrix is rounding; kept,
# thousands of them would add their square roots to a nuclear norm.
ROUNDING = 1e-13


def factor(gram: Tensor) -> Tensor:
    """A matrix A (stimulus, rank) with A A^T the centred Gram matrix: the principal scores.

    Null components are left out, so that a singular Gram matrix is as good as any. Computed once
    per layer or recording, it serves all comparisons.

    Args:
        gram: F F^T, float64 (stimulus, stimulus).

    Raises:
        ValueError: an eigenvalue is clearly negative, so that this is no Gram matrix.
    """
    values, vectors = torch.linalg.eigh(centred(gram))
    # What centring takes away leaves rounding of its own size behind.
    smallest = ROUNDING * max(float(values[-1]), float(gram.diagonal().mean()))
    if values[0] < -1e6 * smallest:
        raise ValueError(f"no Gram matrix: eigenvalues from {values[0]:.3g} to {values[-1]:.3g}")
    kept = values > smallest
    scores: Tensor = vectors[:, kept] * values[kept].sqrt()
    return scores


def nuclear_norm(x: Tensor, y: Tensor) -> float:
    """||X^T Y||_*, the sum of singular values, of two factors (stimulus, rank)."""
    return float(torch.linalg.svdvals(x.T @ y).sum())


def procrustes_distance(x: Tensor, y: Tensor) -> float:
    """The smallest ||X - Y Q|| over orthogonal Q, of two factors, in the features' unit."""
    squares = float(x.square().sum() + y.square().sum())
    return sqrt(max(0.0, squares - 2 * nuclear_norm(x, y)))


def shape_similarity(x: Tensor, y: Tensor) -> float:
    """||X^T Y||_* / (||X|| ||Y||) of two factors, from 0 to 1.

    1 where one feature set is the other rotated, moved and scaled; its arc cosine is the angular
    shape metric. NaN where either is constant over the stimuli.
    """
    norms = float(x.norm() * y.norm())
    return min(1.0, nuclear_norm(x, y) / norms) if norms else float("nan")
