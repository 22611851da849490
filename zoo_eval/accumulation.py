"""Accumulation: the Gram matrices of several layers, filled while batches of stimuli pass by."""

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_eval.footprint import READ_ROWS, Slice
from zoo_eval.numerics.accumulate import (
    FLOAT64_COLUMNS,
    Moments,
    cross_products,
    moments,
    restore_offset_,
)
from zoo_eval.numerics.precision import bfloat16_products
from zoo_eval.numerics.sketch import Codes, CountSketch
from zoo_eval.scratch import Matrix


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

    def __init__(self, part: Slice, offset: Tensor, n_held: int) -> None:
        self.part = part
        self.offset = offset
        self._held = torch.empty(n_held, part.n_features, device=offset.device)

    def products(self, activation: Tensor, first: int, *, with_moments: bool) -> Products:
        """Products of a batch's activations (row, ...) whose first row is the `first` to pass by."""
        values = activation.flatten(1)[:, self.part.start : self.part.stop]
        kept = self._held[first : first + len(values)]
        torch.sub(values[: len(kept)], self.offset, out=kept)
        seen = self._held[: first + len(values)]
        return Products(
            cross_products(values, self.offset, seen),
            moments(values, self.offset) if with_moments else None,
        )


@dataclass(frozen=True, eq=False)
class Coder:
    """One layer's features minus an offset (feature,), sketched where there is a sketch."""

    offset: Tensor
    sketch: CountSketch | None

    def __call__(self, activation: Tensor) -> Codes:
        """Codes of a batch's activations (row, ...); a row's do not depend on the other rows."""
        values = activation.flatten(1)
        if self.sketch is not None:
            return self.sketch(values, self.offset)
        return Codes(values - self.offset, moments(values, self.offset))


class Accumulation:
    """A layer's Gram matrix, on disk, and row sums, put together from products."""

    def __init__(self, gram: Matrix) -> None:
        self.gram = gram
        self.row_sums = torch.zeros(gram.n_rows, dtype=torch.float64)
        self._along_offset = torch.zeros(gram.n_rows, dtype=torch.float64)
        self._squared_offset = 0.0

    def begin(self, offset: Tensor) -> None:
        """Counts the offset of some features, float32 (feature,): once, before their products."""
        for start in range(0, len(offset), FLOAT64_COLUMNS):
            some = offset[start : start + FLOAT64_COLUMNS].double()
            self._squared_offset += float(some @ some)
            self.row_sums += float(some.sum())

    def count(self, first: int, found: Moments) -> None:
        """Adds the moments of a batch at some features; its first row is the `first`."""
        rows = slice(first, first + len(found.sums))
        self.row_sums[rows] += found.sums.cpu()
        self._along_offset[rows] += found.along_offset.cpu()

    def add(self, first: int, held_from: int, products: Products) -> None:
        """Adds a batch's products with the stimuli from `held_from` on; its first row is the `first`."""
        with_held = products.with_held.cpu()
        rows = self.gram.read(first, first + len(with_held))
        rows[:, held_from : held_from + with_held.shape[1]] += with_held
        self.gram.write(first, rows)
        if products.moments is not None:
            self.count(first, products.moments)

    def multiply(self, codes: Matrix, n_held: int, device: torch.device) -> None:
        """Adds all products of codes (stimulus, dimension), of which `n_held` are held at a time."""
        part, n = Slice("", 0, codes.n_columns), codes.n_rows
        no_offset = torch.zeros(part.n_features, device=device)
        held = HeldFeatures(part, no_offset, n_held)
        with bfloat16_products() if codes.dtype == torch.bfloat16 else nullcontext():
            for start in range(0, n, n_held):
                for first in range(start, n, READ_ROWS):
                    # Without a name, these rows are gone before the next are read.
                    self.add(
                        first,
                        start,
                        held.products(
                            codes.read(first, min(first + READ_ROWS, n)).to(device).float(),
                            first - start,
                            with_moments=False,
                        ),
                    )

    def finish(self) -> float:
        """Makes the Gram matrix whole, after which nothing is added; the sum of its entries."""
        whole = self.gram.read(0, self.gram.n_rows)
        restore_offset_(whole, self._along_offset, self._squared_offset)
        self.gram.write(0, whole)
        return float(whole.sum())
