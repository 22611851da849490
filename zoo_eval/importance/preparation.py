"""Preparation: from a raw human map to the map that is compared, with its parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from zoo_eval.errors import BadInput

Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Blur:
    """A Gaussian blur at a reduced size: `kernel_px` and `sigma_px` count pixels of that size."""

    at_px: int = 64
    kernel_px: int = 10
    sigma_px: float = 10.0


@dataclass(frozen=True)
class Preparation:
    """How a raw map becomes a square of `canvas_px`: blur (or none), resize, centre crop, [0, 1].

    Raises:
        BadInput: a size below one pixel.
    """

    canvas_px: int = 224
    blur: Blur | None = Blur()

    def __post_init__(self) -> None:
        sizes = [self.canvas_px]
        if self.blur is not None:
            sizes += [self.blur.at_px, self.blur.kernel_px]
        if min(sizes) < 1 or (self.blur is not None and not self.blur.sigma_px > 0):
            raise BadInput(f"preparation of maps: {self}: every size must be above 0; correct it")

    @property
    def key(self) -> dict[str, Any]:
        """The parameters, for digests and for the `parameters` of a trial."""
        blur = None if self.blur is None else dict(vars(self.blur))
        return {"canvas_px": self.canvas_px, "blur": blur}


# Fel et al. 2022: 64 px, kernel 10 x 10 with sigma 10, 224 px.
PUBLISHED = Preparation()
# For maps that were blurred before they were stored.
BLURRED_BEFORE = Preparation(blur=None)


def prepare(raw: Map, preparation: Preparation) -> Map:
    """The prepared map, float32 (row, column) of `canvas_px`, from 0 to 1; a constant map is all 0.

    Bilinear resizing with half-pixel centres and no antialiasing, then correlation with a
    normalised kernel inside a border of zeros, as in the released code. Of a map that is not
    square the shorter side is resized and the middle kept, which is what a model sees of its image
    on a common canvas.

    An even kernel has no middle pixel: that of the release covers 4 pixels before and 5 after, with
    its peak on the pixel itself vertically and one pixel later horizontally. Its border of zeros
    darkens the maps' edges. An odd `kernel_px` is symmetric.

    Args:
        raw: (row, column), finite, in any unit.
        preparation: sizes and blur.
    """
    side = preparation.canvas_px
    # Before the blur: its border of zeros would give a constant map a centre.
    if raw.min() == raw.max():
        return np.zeros((side, side), np.float32)
    # In [0, 1] before any sum, for maps in units that float32 cannot add up.
    values = torch.from_numpy(raw.astype(np.float64))
    values = ((values - values.min()) / (values.max() - values.min())).float()[None, None]
    if preparation.blur is not None:
        values = blurred(_resized(values, preparation.blur.at_px), preparation.blur)
    values = _centre(_resized(values, side), side)[0, 0]
    low, high = values.aminmax()
    if low == high:
        return np.zeros((side, side), np.float32)
    prepared: Map = ((values - low) / (high - low)).numpy()
    return prepared


def prepare_all(raw: Sequence[Map], preparation: Preparation) -> Map:
    """Prepared maps, float32 (stimulus, row, column)."""
    side = preparation.canvas_px
    prepared = np.empty((len(raw), side, side), np.float32)
    for index, one in enumerate(raw):
        prepared[index] = prepare(one, preparation)
    return prepared


def blurred(maps: Tensor, blur: Blur) -> Tensor:
    """Maps (map, 1, row, column) after correlation with the kernel, the same size."""
    kernel = gaussian_kernel(blur)
    before, after = (blur.kernel_px - 1) // 2, blur.kernel_px // 2
    return functional.conv2d(functional.pad(maps, (before, after, before, after)), kernel)


def gaussian_kernel(blur: Blur) -> Tensor:
    """The released kernel, float32 (1, 1, row, column), of sum 1.

    Columns stand for x from -floor(n/2) on, rows for y from floor((n-1)/2) down; x and y count
    pixels from the peak.
    """
    n = blur.kernel_px
    x = torch.arange(n, dtype=torch.float64) - n // 2
    y = (n - 1) // 2 - torch.arange(n, dtype=torch.float64)
    kernel = torch.exp(-(x[None, :] ** 2 + y[:, None] ** 2) / (2 * blur.sigma_px**2))
    return (kernel / kernel.sum()).float()[None, None]


def _resized(maps: Tensor, shorter_px: int) -> Tensor:
    height, width = maps.shape[-2:]
    shorter = min(height, width)
    size = (shorter_px * height // shorter, shorter_px * width // shorter)
    if size == (height, width):
        return maps
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def _centre(maps: Tensor, side: int) -> Tensor:
    height, width = maps.shape[-2:]
    top, left = round((height - side) / 2), round((width - side) / 2)
    return maps[..., top : top + side, left : left + side]
