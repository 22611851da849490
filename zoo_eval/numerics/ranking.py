"""Ranking: the order of many values, made once and reused for every comparison of ranks."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Ranking:
    """Where each value stands among all of them.

    `order` (value,) lists the positions of the values from the smallest on, ties by position;
    `group_sizes` (group,) says how many values are equal, in that order; None without ties.
    """

    order: Tensor
    group_sizes: Tensor | None

    @cached_property
    def lowest(self) -> Tensor:
        """The number of smaller values (value,), int32 where that is wide enough."""
        n_values = len(self.order)
        dtype = torch.int32 if n_values <= torch.iinfo(torch.int32).max else torch.int64
        place = torch.arange(n_values, dtype=dtype, device=self.order.device)
        if self.group_sizes is not None:
            place = (self.group_sizes.cumsum(0) - self.group_sizes).to(dtype)
            place = place.repeat_interleave(self.group_sizes)
        return torch.empty_like(place).scatter_(0, self.order, place)

    @cached_property
    def n_tied_pairs(self) -> int:
        """How many pairs of values are equal."""
        return 0 if self.group_sizes is None else n_pairs_within(self.group_sizes)

    def mean_ranks(self) -> Tensor:
        """Ranks from 0 on, ties averaged, float64 (value,)."""
        ranks = self.lowest.double()
        if self.n_tied_pairs:
            ranks += (self.lowest.bincount()[self.lowest] - 1) / 2
        return ranks


def ranking(values: Tensor, extremes: tuple[float, float] | None = None) -> Ranking:
    """The ranking of float64 values (value,), all finite; the order is a stable argsort.

    `extremes` are the smallest and the largest value, where they are known.

    On a CPU it sorts one integer per value, a bucket (of 2^40 and more equal ones between the
    smallest value and the largest) beside the value's position, which takes a fifth of the time of
    sorting indices. Values that share a bucket are looked at again.
    """
    order, later = _on_device(values) if values.is_cuda else _by_buckets(values, extremes)
    if not len(later):
        return Ranking(order, None)
    starts = torch.ones_like(order, dtype=torch.bool)
    starts[later] = False
    ends = torch.cat([starts.nonzero()[:, 0], later.new_tensor([len(values)])])
    return Ranking(order, ends.diff())


def n_pairs_within(sizes: Tensor) -> int:
    """How many pairs lie inside groups of these sizes (group,)."""
    return int((sizes * (sizes - 1) // 2).sum())


def _on_device(values: Tensor) -> tuple[Tensor, Tensor]:
    """The order, and the places in it whose value equals the one before."""
    in_order, order = values.sort(stable=True)
    return order, (in_order[1:] == in_order[:-1]).nonzero()[:, 0] + 1


def _by_buckets(values: Tensor, extremes: tuple[float, float] | None) -> tuple[Tensor, Tensor]:
    """The same as `_on_device`."""
    n_position_bits = max(1, (len(values) - 1).bit_length())
    low, high = extremes or (float(end) for end in values.aminmax())
    per_unit = 2.0 ** (62 - n_position_bits) / (high - low) if high > low else 0.0
    if not 0 < per_unit < torch.inf:
        return _on_device(values)
    # Subtracting, scaling and cutting off keep the order in floating point too.
    scaled = values - low
    keys = scaled.mul_(per_unit).long()
    keys <<= n_position_bits
    keys |= torch.arange(len(values))
    in_order = keys.numpy()
    in_order.sort()
    shares = (in_order[1:] ^ in_order[:-1]) < 1 << n_position_bits
    later = torch.from_numpy(np.flatnonzero(shares)) + 1
    order = keys.bitwise_and_((1 << n_position_bits) - 1)
    if not len(later):
        return order, later
    is_crowded = torch.zeros_like(order, dtype=torch.bool)
    is_crowded[later] = is_crowded[later - 1] = True
    crowded = is_crowded.nonzero()[:, 0]
    theirs = order[crowded]
    order[crowded] = theirs[values[theirs].argsort(stable=True)]
    return order, later[values[order[later]] == values[order[later - 1]]]
