"""Sketches: features projected to fewer dimensions such that products keep their expectation.

A count sketch (Charikar, Chen & Farach-Colton 2002; Weinberger et al. 2009) adds every feature,
with a random sign, to one of d dimensions. Here features are cut into blocks of d, and block k goes
to the dimensions in order, turned by a random shift: two features of one block never collide, two
of different blocks do with probability 1/d and independent signs. So for sketches s(x), s(y)

    E[s(x).s(y)] = x.y,    Var[s(x).s(y)] <= (|x|^2 |y|^2 + (x.y)^2) / d,

as for the count sketch, but every step is one fused multiply-add over contiguous memory.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zoo_eval.numerics.products import Moments, add_moments_, no_moments

# What sketches are kept in: half the disk, and half the time to write them. An entry is rounded by
# 1/600 of itself on average, which adds a five-hundredth to a sketch's own error.
KEPT = torch.bfloat16
BITS = 64
# Numbers that a CPU works on at a time: they stay in its cache, and are enough for all its cores.
IN_CACHE = 2**19


@dataclass(frozen=True, eq=False)
class Codes:
    """What stands for some features, float32 (row, dimension), and those features' moments."""

    codes: Tensor
    moments: Moments


@dataclass(frozen=True, eq=False)
class CountSketch:
    """A linear map from `len(signs)` features to `n_dims` dimensions."""

    n_dims: int
    # float32 (feature,), +1 or -1
    signs: Tensor
    # One for each block of `n_dims` features.
    shifts: tuple[int, ...]

    def __call__(self, features: Tensor, offset: Tensor) -> Codes:
        """Sketches of features (row, feature) minus offset (feature,).

        A row's sketch does not depend on the other rows, to the last bit.
        """
        shape = len(features), self.n_dims
        sketched = torch.zeros(shape, dtype=torch.float32, device=features.device)
        total = no_moments(features)
        n_rows = max(1, len(features) if features.is_cuda else IN_CACHE // self.n_dims)
        for start in range(0, len(features), n_rows):
            rows = slice(start, start + n_rows)
            part = Moments(total.along_offset[rows], total.sums[rows])
            for block, shift in enumerate(self.shifts):
                columns = slice(block * self.n_dims, (block + 1) * self.n_dims)
                deviations = features[rows, columns] - offset[columns]
                _add_turned_(sketched[rows], deviations, self.signs[columns], shift)
                add_moments_(part, deviations, offset[columns])
        return Codes(sketched, total)


def _add_turned_(sketched: Tensor, block: Tensor, signs: Tensor, shift: int) -> None:
    """Adds a block of features with signs (feature,): the first to the dimensions from `shift` on, the rest around."""
    turn = min(sketched.shape[1] - shift, len(signs))
    sketched[:, shift : shift + turn].addcmul_(block[:, :turn], signs[:turn])
    sketched[:, : len(signs) - turn].addcmul_(block[:, turn:], signs[turn:])


def count_sketch(
    n_features: int, n_dims: int, seed: int, device: torch.device | None = None
) -> CountSketch:
    """The sketch that a seed stands for: the same on every device, for every batch and order."""
    raw = np.random.PCG64([seed, n_features, n_dims])
    n_blocks = -(-n_features // n_dims)
    shifts = tuple(int(draw) % n_dims for draw in raw.random_raw(n_blocks))
    # Raw bits: NumPy promises that these stay the same between its versions.
    words = raw.random_raw(-(-n_features // BITS)).astype("<u8")
    bits = np.unpackbits(words.view(np.uint8), count=n_features)
    signs = torch.from_numpy(bits.astype(np.float32)).mul_(2).sub_(1)
    return CountSketch(n_dims, signs.to(device), shifts)
