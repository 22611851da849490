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

# Wide enough for fast products: an entry's error is below 1e-6 |D_i| |D_j| (2e-7 in practice; tested).
PRODUCT_COLUMNS = 8192
# A feature that holds a larger share of their squares, as far as a few stimuli spread over the rest
# show, is multiplied in float64: what is added to its product in float32 would be rounded to its size.
LARGE_SHARE, SHOWING_ROWS = 1 / 256, 8
# As many have that share at most, of `PRODUCT_COLUMNS`; most layers have none.
MOST_LARGE = 256
# Up to so many, features are multiplied in float64,
FEW = 8192
# so many columns at a time, for the float64 copies are to stay small.
FLOAT64_COLUMNS = 1024
# Of many features, sums over so many are float32, and the sum of those is float64: as fast as the
# memory is read, where all of it in float64 takes twice as long. Errors are below 1e-7 |D| |a|, and
# of sums 1e-7 |D| sqrt(features) (1e-9 in practice; tested).
SUMMED_COLUMNS = 256
# Of a Gram matrix, copied across the diagonal at a time.
MIRRORED_ROWS = 128


@dataclass(frozen=True, eq=False)
class Moments:
    """Of some stimuli's D, float64 (stimulus,): products with the offset, and sums over features."""

    along_offset: Tensor
    sums: Tensor


def cross_products(features: Tensor, offset: Tensor | None, others: Tensor) -> Tensor:
    """(F - offset) others^T, float64 (row, other row).

    Up to `FEW` features are multiplied in float64. Beyond, products over `PRODUCT_COLUMNS` of them
    are float32, but for those of the largest features, and their sum is float64.

    Args:
        features: F, float32 (row, feature).
        offset: float32 (feature,); none for features that are without it already.
        others: float32 (other row, feature), without the offset.
    """
    few = features.shape[1] <= FEW
    dtype, width = (torch.float64, FLOAT64_COLUMNS) if few else (torch.float32, PRODUCT_COLUMNS)
    shape = len(features), len(others)
    total = torch.zeros(shape, dtype=torch.float64, device=features.device)
    for columns, deviations in _deviations(features, offset, width):
        theirs = others[:, columns]
        if not few and len(large := _large(deviations)):
            total += deviations[:, large].double() @ theirs[:, large].double().T
            if offset is None:
                deviations = deviations.clone()
            deviations[:, large] = 0
        total += deviations.to(dtype) @ theirs.to(dtype).T
    return total


def _large(deviations: Tensor) -> Tensor:
    """The features of (stimulus, feature) that would drown the others' products, by position."""
    squares = deviations[:: -(-len(deviations) // SHOWING_ROWS)].square().sum(0)
    limit = LARGE_SHARE * squares.sum()
    # Two numbers tell sooner than a search that there is none.
    if not squares.amax() > limit:
        return squares.new_empty(0, dtype=torch.long)
    return (squares > limit).nonzero()[:, 0]


def moments(features: Tensor, offset: Tensor, kept: Tensor | None = None) -> Moments:
    """Of D = F - offset, float32 (stimulus, feature) and (feature,): products with it, and sums.

    Up to `FEW` features are summed in float64, more as `add_moments_` does. The D of the first
    stimuli is put in `kept`, as many as that has rows: while it is at hand.
    """
    few = features.shape[1] <= FEW
    total = no_moments(features)
    for columns, deviations in _deviations(
        features, offset, FLOAT64_COLUMNS if few else PRODUCT_COLUMNS
    ):
        if kept is not None:
            kept[:, columns] = deviations[: len(kept)]
        if few:
            _add_moments_in_float64_(total, deviations, offset[columns])
        else:
            add_moments_(total, deviations, offset[columns])
    return total


def no_moments(features: Tensor) -> Moments:
    """Zeros for features (stimulus, feature), to be added to."""
    zeros = torch.zeros(2, len(features), dtype=torch.float64, device=features.device)
    return Moments(zeros[0], zeros[1])


def add_moments_(total: Moments, deviations: Tensor, offset: Tensor) -> None:
    """Adds those of some features' D, float32 (stimulus, feature), which is overwritten."""
    n_parts = len(offset) // SUMMED_COLUMNS
    whole = n_parts * SUMMED_COLUMNS
    if whole < len(offset):
        _add_moments_in_float64_(total, deviations[:, whole:], offset[whole:])
    parts = deviations[:, :whole].view(len(deviations), n_parts, SUMMED_COLUMNS)
    total.sums.add_(parts.sum(2).sum(1, dtype=torch.float64))
    parts *= offset[:whole].view(n_parts, SUMMED_COLUMNS)
    total.along_offset.add_(parts.sum(2).sum(1, dtype=torch.float64))


def _add_moments_in_float64_(total: Moments, deviations: Tensor, offset: Tensor) -> None:
    precise = deviations.double()
    total.sums.add_(precise.sum(1))
    total.along_offset.add_(precise @ offset.double())


def _deviations(
    features: Tensor, offset: Tensor | None, width: int
) -> Iterator[tuple[slice, Tensor]]:
    """F - offset in float32, so many columns at a time: a copy of all would take much memory."""
    for start in range(0, features.shape[1], width):
        columns = slice(start, start + width)
        some = features[:, columns]
        yield columns, some if offset is None else some - offset[columns]


def restore_offset_(gram: Tensor, along_offset: Tensor, squared_offset: float) -> None:
    """Turns D D^T, of which the lower triangle is filled, into F F^T, in place.

    Args:
        gram: float64 (stimulus, stimulus); what is above its diagonal is overwritten.
        along_offset: u = D a, float64 (stimulus,).
        squared_offset: a.a.
    """
    gram += along_offset[:, None]
    gram += along_offset + squared_offset
    # Some rows at a time: a transposed copy of the whole would double the memory.
    for start in range(0, len(gram), MIRRORED_ROWS):
        rows = slice(start, start + MIRRORED_ROWS)
        gram[:start, rows] = gram[rows, :start].T
        square = gram[rows, rows]
        square.copy_(square.tril() + square.tril(-1).T)
