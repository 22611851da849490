"""Maps over positions: activations brought to a recording's grid, and maps compared.

Resampling is separable: a matrix for the rows, another for the columns.
"""

from itertools import pairwise

import torch
from torch import Tensor

from zoo_eval.numerics.correlation import constant, pearson
from zoo_eval.numerics.ranking import ranking

# Fewer positions have no ranks worth comparing.
FEWEST_POSITIONS = 3
DOWN_SAMPLING = 4
# Of a map's spread: values closer than that are tied. Interpolation repeats values beyond the outermost
# centres, which products then round apart.
TIED = 1e-9


def edges(size: int, wanted: int) -> list[int]:
    """Where `wanted` blocks of `size` positions begin, and the last ends: sizes differ by one at most."""
    return [place * size // wanted for place in range(wanted + 1)]


def block_means(size: int, wanted: int) -> Tensor:
    """Means of contiguous blocks that use every position once, float64 (wanted, size).

    Raises:
        ValueError: more blocks than positions.
    """
    if wanted > size:
        raise ValueError(f"{size} positions have no {wanted} blocks")
    weights = torch.zeros(wanted, size, dtype=torch.float64)
    places = edges(size, wanted)
    for block, (start, stop) in enumerate(pairwise(places)):
        weights[block, start:stop] = 1 / (stop - start)
    return weights


def bilinear(size: int, wanted: int) -> Tensor:
    """Linear interpolation between the centres of positions, not antialiased, float64 (wanted, size).

    Half-pixel centres: place i of `wanted` lies at (i + 1/2) size / wanted - 1/2; beyond the outermost
    centres their values go on.
    """
    weights = torch.zeros(wanted, size, dtype=torch.float64)
    for place in range(wanted):
        at = min(max((place + 0.5) * size / wanted - 0.5, 0.0), size - 1.0)
        below = min(int(at), max(size - 2, 0))
        weights[place, below] += 1 - (at - below)
        if size > 1:
            weights[place, below + 1] += at - below
    return weights


def to_grid(size: int, wanted: int) -> Tensor:
    """Bilinear where there are fewer positions than wanted, means of blocks where there are more."""
    return bilinear(size, wanted) if size <= wanted else block_means(size, wanted)


def on_grid(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Activation maps at a recording's positions.

    Args:
        maps: (image, row, column, feature).
        grid: rows and columns wanted.

    Returns:
        float64 (image, grid row, grid column, feature).
    """
    rows = to_grid(maps.shape[1], grid[0]).to(maps.device)
    columns = to_grid(maps.shape[2], grid[1]).to(maps.device)
    return torch.einsum("ar,irck,bc->iabk", rows, maps.double(), columns)


def quarter(maps: Tensor) -> Tensor | None:
    """Maps (map, row, column) after down-sampling by 4: means of size // 4 blocks along each axis.

    Where 4 does not divide an axis, every position is still used once, and blocks differ by one: 17
    make 4 blocks of 4, 4, 4 and 5. None where an axis has fewer than 4.
    """
    shape = [size // DOWN_SAMPLING for size in maps.shape[1:]]
    if min(shape) < 1:
        return None
    rows, columns = (block_means(size, n) for size, n in zip(maps.shape[1:], shape, strict=True))
    return torch.einsum("ar,mrc,bc->mab", rows.to(maps), maps, columns.to(maps))


def quarter_sampled(maps: Tensor) -> Tensor | None:
    """The same by sampling, bilinear and not antialiased: the released code's, which skips positions."""
    shape = [size // DOWN_SAMPLING for size in maps.shape[1:]]
    if min(shape) < 1:
        return None
    rows, columns = (bilinear(size, n) for size, n in zip(maps.shape[1:], shape, strict=True))
    return torch.einsum("ar,mrc,bc->mab", rows.to(maps), maps, columns.to(maps))


def map_spearman(predicted: Tensor | None, observed: Tensor | None) -> float | None:
    """Spearman's rho over the positions of two maps (row, column); None where undefined.

    Ties are averaged; values that are apart by rounding alone are tied.
    """
    if predicted is None or observed is None or predicted.numel() < FEWEST_POSITIONS:
        return None
    both = [one.double().reshape(-1, 1) for one in (predicted, observed)]
    if any(bool(constant(one).any()) or not one.isfinite().all() for one in both):
        return None
    first, second = (ranking(_tied(one[:, 0])).mean_ranks()[:, None] for one in both)
    return float(pearson(first, second))


def _tied(values: Tensor) -> Tensor:
    """Values (value,), of each run of those that are tied the smallest in the place of all."""
    in_order, order = values.sort()
    begins = torch.ones_like(order, dtype=torch.bool)
    begins[1:] = in_order.diff() > TIED * (in_order[-1] - in_order[0])
    smallest = in_order[begins][begins.cumsum(0) - 1]
    return torch.empty_like(values).scatter_(0, order, smallest)
