"""Accumulation: the Gram matrices of several layers, filled while batches of stimuli pass by."""

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_eval.footprint import Slice
from zoo_eval.numerics.accumulate import (
    FLOAT64_COLUMNS,
    Moments,
    cross_products,
    moments,
    restore_offset_,
)
from zoo_eval.numerics.sketch import CountSketch


@dataclass(frozen=True, eq=False)
class Products:
    """Of a batch at some features: with the held stimuli, float64 (row, held), and its moments.

    Those are None for a batch that has passed by before.
    """

    with_held: Tensor
    moments: Moments | None


class HeldFeatures:
    """Some features of one layer: those of a few stimuli are held, all are multiplied with them.

    Nothing is kept on a call but the held features, so that a batch may be repeated.
    """

    def __init__(
        self, part: Slice, offset: Tensor, n_held: int, sketch: CountSketch | None
    ) -> None:
        self.part = part
        self.offset = offset
        self.sketch = sketch
        width = part.n_features if sketch is None else sketch.n_dims
        self._held = torch.empty(n_held, width, device=offset.device)
        self._no_offset = torch.zeros(0 if sketch is None else width, device=offset.device)

    def products(self, activation: Tensor, first: int, *, with_moments: bool) -> Products:
        """Products of a batch's activations (row, ...) whose first row is the `first` to pass by."""
        values = activation.flatten(1)[:, self.part.start : self.part.stop]
        code, offset = values, self.offset
        if self.sketch is not None:
            code, offset = self.sketch(values, self.offset), self._no_offset
        kept = self._held[first : first + len(activation)]
        torch.sub(code[: len(kept)], offset, out=kept)
        seen = self._held[: first + len(activation)]
        return Products(
            cross_products(code, offset, seen),
            moments(values, self.offset) if with_moments else None,
        )


class Accumulation:
    """A layer's Gram matrix and row sums, put together from products."""

    def __init__(self, n_stimuli: int) -> None:
        self.gram = torch.zeros(n_stimuli, n_stimuli, dtype=torch.float64)
        self.row_sums = torch.zeros(n_stimuli, dtype=torch.float64)
        self._along_offset = torch.zeros(n_stimuli, dtype=torch.float64)
        self._squared_offset = 0.0

    def begin(self, offset: Tensor) -> None:
        """Counts the offset of some features, float32 (feature,): once, before their products."""
        for start in range(0, len(offset), FLOAT64_COLUMNS):
            some = offset[start : start + FLOAT64_COLUMNS].double()
            self._squared_offset += float(some @ some)
            self.row_sums += float(some.sum())

    def add(self, rows: slice, held_from: int, products: Products) -> None:
        """Adds a batch's products with the stimuli from `held_from` on."""
        with_held = products.with_held.cpu()
        self.gram[rows, held_from : held_from + with_held.shape[1]] += with_held
        if products.moments is not None:
            self.row_sums[rows] += products.moments.sums.cpu()
            self._along_offset[rows] += products.moments.along_offset.cpu()

    def finish(self) -> None:
        """Makes the Gram matrix whole: nothing is added afterwards."""
        restore_offset_(self.gram, self._along_offset, self._squared_offset)
