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

BITS = 64
# Numbers that a CPU works on at a time: they stay in its cache, which makes sketches several times
# faster than working on a whole batch.
IN_CACHE = 2**15


@dataclass(frozen=True, eq=False)
class CountSketch:
    """A linear map from `len(signs)` features to `n_dims` dimensions."""

    n_dims: int
    # float32 (feature,), +1 or -1
    signs: Tensor
    # One for each block of `n_dims` features.
    shifts: tuple[int, ...]

    def __call__(self, features: Tensor, offset: Tensor) -> Tensor:
        """Sketches, float32 (row, dimension), of features (row, feature) minus offset (feature,).

        A row's sketch does not depend on the other rows, to the last bit.
        """
        shape = len(features), self.n_dims
        sketched = torch.zeros(shape, dtype=torch.float32, device=features.device)
        n_rows = max(1, len(features) if features.is_cuda else IN_CACHE // self.n_dims)
        parts = zip(torch.split(sketched, n_rows), torch.split(features, n_rows), strict=True)
        for place, some in parts:
            self._add(place, some, offset)
        return sketched

    def _add(self, sketched: Tensor, features: Tensor, offset: Tensor) -> None:
        """Adds the sketches of features minus offset to what is there."""
        n_features = features.shape[1]
        for block, shift in enumerate(self.shifts):
            start = block * self.n_dims
            stop = min(start + self.n_dims, n_features)
            # The block's first features go to the dimensions from `shift` on, the rest around.
            turn = min(start + self.n_dims - shift, stop)
            for first, last, to in ((start, turn, shift), (turn, stop, 0)):
                place = sketched[:, to : to + last - first]
                deviations = features[:, first:last] - offset[first:last]
                place.addcmul_(deviations, self.signs[first:last])


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
