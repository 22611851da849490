"""Positions: where in a layer's activation are rows and columns of the image, and where features."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from torch import Tensor

from zoo_eval.errors import Refusal
from zoo_eval.networks import tokens
from zoo_eval.networks.anatomy import Size

Order = Literal["features_first", "features_last", "tokens"]


@dataclass(frozen=True)
class Layout:
    """A layer's activation as maps: of so many rows, columns and features.

    `order` says where features are, `n_prefix` how many tokens come before those of the image.
    """

    order: Order
    n_rows: int
    n_columns: int
    n_features: int
    n_prefix: int = 0

    @property
    def n_numbers(self) -> int:
        """Of one image's maps."""
        return self.n_rows * self.n_columns * self.n_features

    def maps(self, activation: Tensor) -> Tensor:
        """An activation (image, ...) as maps (image, row, column, feature), a view of it."""
        if self.order == "features_first":
            return activation.movedim(1, -1)
        if self.order == "features_last":
            return activation
        patches = activation[:, self.n_prefix : self.n_prefix + self.n_rows * self.n_columns]
        return patches.reshape(len(patches), self.n_rows, self.n_columns, -1)


def layout(layer: str, shape: Sequence[int], size: Size, n_prefix: int) -> Layout:
    """The layout of one image's activation.

    Of three axes, the two that are shaped as the input are rows and columns; where both pairs are,
    features come first. Of two, the first are tokens.

    Args:
        layer: its name, for messages.
        shape: of one image's activation.
        size: rows and columns of the network's input, in pixels.
        n_prefix: tokens before those of the image, such as the class token.

    Raises:
        Refusal: it has no positions, or none that are shaped as the input.
    """
    if tokens.split(layer)[1] is not None or len(shape) not in (2, 3):
        raise Refusal(
            f"layer {layer!r} gives {list(shape)} for an image and so has no maps over positions; "
            "choose one before the pooling"
        )
    found = _of_tokens(shape, size, n_prefix) if len(shape) == 2 else _of_maps(shape, size)
    if found is None:
        raise Refusal(
            f"layer {layer!r} gives {list(shape)} for an image, in which rows and columns of a "
            f"{size[0]} x {size[1]} input are not to be told; leave it out of `layers`"
        )
    return found


def _of_maps(shape: Sequence[int], size: Size) -> Layout | None:
    first, middle, last = shape
    if _fits(middle, last, size):
        return Layout("features_first", middle, last, first)
    if _fits(first, middle, size):
        return Layout("features_last", first, middle, last)
    return None


def _of_tokens(shape: Sequence[int], size: Size, n_prefix: int) -> Layout | None:
    n_tokens, n_features = shape
    # A class token may join later, as in CaiT.
    for before in dict.fromkeys((n_prefix, 0)):
        n = n_tokens - before
        if n < 1:
            continue
        n_rows = max(1, round(sqrt(n * size[0] / size[1])))
        if n % n_rows == 0 and _fits(n_rows, n // n_rows, size):
            return Layout("tokens", n_rows, n // n_rows, n_features, before)
    return None


def _fits(n_rows: int, n_columns: int, size: Size) -> bool:
    """Whether so many rows and columns cover the input by the same step, up to a padding of one."""
    rows, columns = size
    if rows == columns:
        return n_rows == n_columns
    return n_rows <= rows and n_columns <= columns and abs(n_columns - n_rows * columns / rows) <= 1
