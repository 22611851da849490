"""What the released code of Linsley et al. 2023 does to activation maps and ceilings, one by one.

Each is a defect or a choice of serre-lab/neural_harmonizer, made anew from what that code does.
"""

import torch
from torch import Tensor

from zoo_eval.numerics.correlation import pearson

# Layers of more features than this are averaged.
MOST_FEATURES = 600
GROUP_SIZES = (3, 4)
# Interpolated layers are filled by this many features at a time, each time one further.
FILLED = 3


class NotDivisible(ValueError):
    """A layer's features make no groups; the released code leaves the layer out without a word."""


def group_size(n_features: int) -> int:
    """How many adjacent features are averaged: 1 up to 600, and else 3, or 4 where 3 does not divide them.

    Raises:
        NotDivisible: neither divides their number.
    """
    if n_features <= MOST_FEATURES:
        return 1
    for size in GROUP_SIZES:
        if n_features % size == 0:
            return size
    raise NotDivisible(
        f"its {n_features} features are more than {MOST_FEATURES} and divide neither by 3 nor by 4: the "
        "released code leaves such a layer out; do so, or set another protocol"
    )


def averaged_features(maps: Tensor) -> Tensor:
    """Maps (image, row, column, feature) with adjacent features averaged (see `group_size`)."""
    size = group_size(maps.shape[-1])
    return maps.reshape(*maps.shape[:-1], -1, size).mean(-1)


def last_feature_zeroed(maps: Tensor, n_rows: int) -> Tensor:
    """Maps on the grid (image, row, column, feature) without the last feature, where rows were interpolated.

    Three features at a time are filled in, from each of the first n - 3 on: the last one stays zero,
    and all of three or fewer. `n_rows` is how many rows the activation had; block means are whole.
    """
    if n_rows > maps.shape[1]:
        return maps
    n = maps.shape[-1]
    kept = torch.zeros(n, dtype=maps.dtype, device=maps.device)
    kept[: max(0, n - 1) if n > FILLED else 0] = 1
    return maps * kept


def image_rescaled(maps: Tensor) -> Tensor:
    """Each image's maps brought to 0 to 1 by their own least and largest value, over all features.

    An image of one value is 0 / 0 there, and left at 0 here.
    """
    flat = maps.flatten(1)
    low = flat.amin(1)[:, None, None, None]
    spread = flat.amax(1)[:, None, None, None] - low
    return torch.where(spread > 0, (maps - low) / torch.where(spread > 0, spread, 1), 0)


def channel_pairs(maps: Tensor, *, by_rows: bool) -> Tensor:
    """Correlations between the channels of one image's maps (row, column, channel), (channel, channel).

    Over all positions; or, as released, over the columns of each row, and then the mean of the rows,
    NaN where a row of either channel is constant.
    """
    n = maps.shape[-1]
    rows = maps if by_rows else maps.reshape(1, -1, n)
    found = [pearson(rows, rows[..., [channel]].expand_as(rows)).mean(0) for channel in range(n)]
    return torch.stack(found)


def highest_pair(pairs: Tensor, *, skips_last: bool) -> float:
    """The largest correlation (channel, channel) of two channels, NaN where none is defined.

    With `skips_last`, as released: the last channel is compared with none, and what is not compared
    counts as 0, so that the result is never negative.
    """
    n = len(pairs)
    used = n - 1 if skips_last else n
    above = pairs[:used, :used][torch.triu(torch.ones(used, used, dtype=torch.bool), 1)]
    above = above[~above.isnan()]
    if skips_last:
        return float(above.amax().clamp(min=0)) if len(above) else 0.0
    return float(above.amax()) if len(above) else float("nan")


def slipped_scale(maps: Tensor, low: float, high: float) -> Tensor:
    """X - low / (high - low), which was meant to be (x - low) / (high - low)."""
    return maps - low / (high - low) if high > low else maps
