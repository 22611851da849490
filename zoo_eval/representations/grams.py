"""Gram matrices of layers as values: one with its row sums, or why there is none."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from zoo_eval.representations.scratch import Matrix
from zoo_eval.representations.units import Units


class NonFinite(ArithmeticError):
    """A layer's activations are NaN or infinite."""


@dataclass(frozen=True, eq=False)
class LayerGram:
    """One layer over a stimulus set: its features F, (stimulus, feature), as K = F F^T.

    `gram` is float64 (stimulus, stimulus), `row_sums` are F 1, float64 (stimulus,), and `shape` is
    that of one stimulus's activation. `sketch` is None where K is exact; else K is estimated
    without bias from that many dimensions, the row sums being exact all the same. `units` are some
    of the features themselves, for a readout that asks for them.
    """

    gram: Tensor
    row_sums: Tensor
    shape: tuple[int, ...]
    sketch: int | None = None
    units: Units | None = None

    def on(self, device: torch.device) -> "LayerGram":
        """With the Gram matrix there."""
        return replace(self, gram=self.gram.to(device))

    @property
    def n_features(self) -> int:
        return int(torch.Size(self.shape).numel())


@dataclass(frozen=True, eq=False)
class Kept:
    """A `LayerGram` whose Gram matrix is on disk."""

    gram: Matrix
    row_sums: Tensor
    shape: tuple[int, ...]
    sketch: int | None

    def read(self) -> LayerGram:
        whole = self.gram.read(0, self.gram.n_rows)
        return LayerGram(whole, self.row_sums, self.shape, self.sketch)


class Grams(Mapping[str, LayerGram | NonFinite]):
    """Gram matrices by layer: each is read from the disk when it is asked for, and not kept.

    A layer with NaN or infinite activations has that error in its place.
    """

    def __init__(self, found: Mapping[str, Kept | NonFinite]) -> None:
        self._found = found

    def __getitem__(self, layer: str) -> LayerGram | NonFinite:
        found = self._found[layer]
        return found if isinstance(found, NonFinite) else found.read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)
