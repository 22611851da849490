"""Rotated units: all features of a layer, told by its Gram matrix, as few as there are stimuli.

A rotation of features changes neither their Gram matrix nor any sum of squares over them. So where
something predicts every unit of a layer by one linear smoother, or by directions that follow from inner
products, its squared errors summed over all units are those of any features with the same Gram matrix.
"""

import torch
from torch import Tensor

from zoo_eval.numerics.gram import CONSTANT, centred

# Of the largest variance: directions below it hold rounding, and no share of a sum.
SMALLEST = 1e-14


def rotated(gram: Tensor) -> Tensor | None:
    """Features with this Gram matrix, up to their mean: float64 (stimulus, direction); None if constant.

    Args:
        gram: K = F F^T, float64 (stimulus, stimulus), however centred.
    """
    products = centred(gram)
    if not products.trace() > CONSTANT * gram.trace():
        return None
    values, vectors = torch.linalg.eigh(products)
    kept = values > SMALLEST * values[-1]
    units: Tensor = vectors[:, kept] * values[kept].sqrt()
    return units


def variance_explained(predicted: Tensor, observed: Tensor, training_mean: Tensor) -> float:
    """1 - sum of squared errors / sum of squares about the training mean, each over all columns.

    So the training mean itself explains nothing, and less than that is negative. NaN where there is
    nothing to explain.

    Args:
        predicted: for untouched rows (row, direction).
        observed: what they are (row, direction).
        training_mean: of the rows that were trained on (direction,).
    """
    errors = (observed - predicted).square().sum()
    total = (observed - training_mean).square().sum()
    return float(1 - errors / total) if total > 0 else float("nan")
