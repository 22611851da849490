"""Pearson correlation, column by column."""

import torch
from torch import Tensor


def pearson(predicted: Tensor, observed: Tensor) -> Tensor:
    """Pearson r over the rows (second to last axis) for every column.

    Args:
        predicted: (..., row, target).
        observed: (row, target).

    Returns:
        (..., target); NaN where either side is constant.
    """
    x = predicted - predicted.mean(-2, keepdim=True)
    y = observed - observed.mean(-2, keepdim=True)
    norms = _lengths(x) * _lengths(y)
    flat = constant(predicted) | constant(observed)
    # In place: what is as large as the predictions costs as much to come by as to compute.
    r: Tensor = x.mul_(y).sum(-2) / norms.masked_fill(flat, torch.nan)
    return r.clamp(-1, 1)


def _lengths(values: Tensor) -> Tensor:
    # What PyTorch has for it takes five times as long along any axis but the last.
    lengths: Tensor = values.square().sum(-2).sqrt_()
    return lengths


def constant(values: Tensor) -> Tensor:
    """Which columns (..., target) of (..., row, target) hold one value only."""
    return values.amax(-2) == values.amin(-2)


def deviations(values: Tensor) -> Tensor:
    """Each column of (..., row, target) minus its mean; those of a constant are no rounding but zero."""
    return (values - values.mean(-2, keepdim=True)).masked_fill(constant(values)[..., None, :], 0)


def median_defined(r: Tensor) -> float | None:
    """The median of the values that are not NaN (mean of the middle two); None without any."""
    defined = r[~r.isnan()]
    return float(defined.quantile(0.5)) if len(defined) else None
