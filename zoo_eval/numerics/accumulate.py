"""Products of float32 features, summed in float64, from which Gram matrices are put together.

Features F are split into an offset per feature and the rest, F = 1 a^T + D, so that

    F F^T = D D^T + u 1^T + 1 u^T + a.a,    u = D a.

Only D D^T, the costly term, is multiplied in float32, some columns at a time: where a is close to
the features' mean, its rounding is relative to the spread and not to the mean, which may be
thousands of times larger. The other terms are float64, and vanish when K is centred. Few features
are multiplied in float64 throughout, without an offset: it costs nothing, and their Gram matrix has
low rank, which rounding would hide.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

# Wide enough for fast products, narrow enough that float32 sums over them lose nothing that
# matters: an entry's error is below 1e-6 |D_i| |D_j| (2e-7 in practice; tested).
PRODUCT_COLUMNS = 8192
# Up to so many, features are multiplied in float64,
FEW = 8192
# so many columns at a time, for the float64 copies are to stay small.
FLOAT64_COLUMNS = 1024


@dataclass(frozen=True, eq=False)
class Moments:
    """Of some stimuli's D, float64 (stimulus,): products with the offset, and sums over features."""

    along_offset: Tensor
    sums: Tensor


def cross_products(features: Tensor, offset: Tensor, others: Tensor) -> Tensor:
    """(F - offset) others^T, float64 (row, other row).

    Up to `FEW` features are multiplied in float64. Beyond, products over `PRODUCT_COLUMNS` of them
    are float32 and their sum is float64.

    Args:
        features: F, float32 (row, feature).
        offset: float32 (feature,).
        others: float32 (other row, feature), without the offset.
    """
    few = features.shape[1] <= FEW
    dtype, width = (torch.float64, FLOAT64_COLUMNS) if few else (torch.float32, PRODUCT_COLUMNS)
    shape = len(features), len(others)
    total = torch.zeros(shape, dtype=torch.float64, device=features.device)
    for columns, deviations in _deviations(features, offset, width):
        total += deviations.to(dtype) @ others[:, columns].to(dtype).T
    return total


def moments(features: Tensor, offset: Tensor) -> Moments:
    """Of D = F - offset, float32 (stimulus, feature) and (feature,): products with it, and sums."""
    total = torch.zeros(len(features), 2, dtype=torch.float64, device=features.device)
    for columns, deviations in _deviations(features, offset, FLOAT64_COLUMNS):
        along = offset[columns].double()
        total += deviations.double() @ torch.stack([along, torch.ones_like(along)], 1)
    return Moments(total[:, 0], total[:, 1])


def _deviations(features: Tensor, offset: Tensor, width: int) -> Iterator[tuple[slice, Tensor]]:
    """F - offset in float32, so many columns at a time: a copy of all would take much memory."""
    for start in range(0, len(offset), width):
        columns = slice(start, start + width)
        yield columns, features[:, columns] - offset[columns]


def restore_offset_(gram: Tensor, along_offset: Tensor, squared_offset: float) -> None:
    """Turns D D^T, of which the lower triangle is filled, into F F^T, in place.

    Args:
        gram: float64 (stimulus, stimulus); what is above its diagonal is overwritten.
        along_offset: u = D a, float64 (stimulus,).
        squared_offset: a.a.
    """
    gram += along_offset[:, None]
    gram += along_offset + squared_offset
    # Row by row: a transposed copy of the whole would double the memory.
    for row in range(1, len(gram)):
        gram[:row, row] = gram[row, :row]
