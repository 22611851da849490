"""Accumulation: the Gram matrices of several layers, filled while batches of stimuli pass by."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_eval.numerics.precision import bfloat16_products
from zoo_eval.numerics.products import (
    FLOAT64_COLUMNS,
    Moments,
    cross_products,
    moments,
    restore_offset_,
)
from zoo_eval.numerics.sketch import Codes, CountSketch
from zoo_eval.representations.footprint import HELD_ROWS, READ_ROWS, Slice
from zoo_eval.representations.scratch import Matrix


@dataclass(frozen=True, eq=False)
class Products:
    """Of a batch at some features: those of its rows but the first `n_held`, and all rows' moments.

    They are with the held stimuli, float64 (row, held), None where all rows are held themselves.
    Moments are None for a batch that has passed by before.
    """

    n_held: int
    with_held: Tensor | None
    moments: Moments | None


class HeldFeatures:
    """Some features of one layer: those of a few stimuli are held, all are multiplied with them.

    Stimuli that come after the held ones are multiplied as they pass by, the held ones with each
    other at the end, many rows at a time. Nothing is kept on a call but the held features, so that
    a batch may be repeated.
    """

    def __init__(self, part: Slice, offset: Tensor, n_held: int) -> None:
        self.part = part
        self.offset = offset
        self._held = torch.empty(n_held, part.n_features, device=offset.device)

    def products(self, activation: Tensor, first: int, *, with_moments: bool) -> Products:
        """Holds what there is room for of a batch (row, ...), and multiplies the rest.

        Its first row is the `first` to pass by.
        """
        values = activation.flatten(1)[:, self.part.start : self.part.stop]
        kept = self._held[first : first + len(values)]
        found = moments(values, self.offset, kept) if with_moments else None
        if not with_moments:
            torch.sub(values[: len(kept)], self.offset, out=kept)
        rest = values[len(kept) :]
        with_held = cross_products(rest, self.offset, self._held) if len(rest) else None
        return Products(len(kept), with_held, found)

    def among_held(self, n: int) -> Iterator[tuple[int, Tensor]]:
        """Products of the first `n` with each other, some rows at a time: float64 (row, held).

        With the number of the first of these rows; on and below the diagonal, at least.
        """
        n = min(n, len(self._held))
        for start in range(0, n, HELD_ROWS):
            stop = min(start + HELD_ROWS, n)
            yield start, cross_products(self._held[start:stop], None, self._held[:stop])


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
        if products.with_held is not None:
            self._add(first + products.n_held, held_from, products.with_held)
        if products.moments is not None:
            self.count(first, products.moments)

    def add_held(self, held_from: int, held: HeldFeatures) -> None:
        """Adds products of the held stimuli, those from `held_from` on, with each other."""
        for row, with_held in held.among_held(self.gram.n_rows - held_from):
            self._add(held_from + row, held_from, with_held)

    def _add(self, first: int, held_from: int, with_held: Tensor) -> None:
        rows = self.gram.read(first, first + len(with_held))
        rows[:, held_from : held_from + with_held.shape[1]] += with_held.cpu()
        self.gram.write(first, rows)

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
                self.add_held(start, held)

    def finish(self) -> float:
        """Makes the Gram matrix whole, after which nothing is added; the sum of its entries."""
        whole = self.gram.read(0, self.gram.n_rows)
        restore_offset_(whole, self._along_offset, self._squared_offset)
        self.gram.write(0, whole)
        return float(whole.sum())
