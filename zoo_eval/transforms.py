"""Transform: a model's own resize, crop and normalisation, differentiable, from [0, 1] pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from zoo_eval.networks.anatomy import Size
from zoo_eval.stimuli.stimulus_set import Pixels


@dataclass(frozen=True)
class Transform:
    """Shorter side to `resize_px`, centre crop to `input_px`, then (x - mean) / std per channel.

    With `squash` both sides become `resize_px`, whatever the image's proportions. With a `fill`
    colour the longer side does, and a border of that colour is added before the crop. With
    `input_width_px` the input is no square: it has `input_px` rows and this many columns, to
    which the image is squashed.
    """

    input_px: int
    resize_px: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    squash: bool = False
    fill: tuple[float, float, float] | None = None
    input_width_px: int | None = None

    def __post_init__(self) -> None:
        if self.input_width_px is not None and not (
            self.squash and self.resize_px == self.input_px
        ):
            raise ValueError("an input that is not square is squashed to, not cropped from")

    @property
    def size(self) -> Size:
        """Rows and columns of what the model sees."""
        return self.input_px, self.input_width_px or self.input_px

    @property
    def key(self) -> dict[str, Any]:
        known = {k: v for k, v in vars(self).items() if v is not None}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in known.items()}

    def at(self, canvas_px: int) -> "Transform":
        """A square canvas, the same for every model, instead of its own view of an image."""
        return replace(
            self,
            input_px=canvas_px,
            resize_px=canvas_px,
            interpolation="bicubic",
            squash=False,
            fill=None,
            input_width_px=None,
        )

    def view(self, pixels: Tensor) -> Tensor:
        """What the model sees: pixels (image, RGB, row, column) in [0, 1] -> the same at `size`."""
        size = self._resized(*pixels.shape[-2:])
        if size != tuple(pixels.shape[-2:]):
            pixels = functional.interpolate(
                pixels, size=size, mode=self.interpolation, antialias=True, align_corners=False
            ).clamp(0, 1)
        if self.fill is not None:
            pixels = self._bordered(pixels, self.fill)
        (height, width), (rows, columns) = pixels.shape[-2:], self.size
        top, left = round((height - rows) / 2), round((width - columns) / 2)
        return pixels[..., top : top + rows, left : left + columns]

    def _bordered(self, pixels: Tensor, fill: tuple[float, float, float]) -> Tensor:
        height, width = pixels.shape[-2:]
        above, left = max(0, self.input_px - height), max(0, self.input_px - width)
        border = pixels.new_tensor(fill)[:, None, None].expand(
            *pixels.shape[:-2], height + above, width + left
        )
        placed = border.clone()
        placed[..., above // 2 : above // 2 + height, left // 2 : left // 2 + width] = pixels
        return placed

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        if self.input_width_px is not None:
            return self.size
        if self.squash:
            return self.resize_px, self.resize_px
        if self.fill is not None:
            ratio = max(height, width) / self.resize_px
            return round(height / ratio), round(width / ratio)
        shorter = min(height, width)
        # Whole numbers only: in floating point 480 / 611 * 611 falls short of 480.
        return self.resize_px * height // shorter, self.resize_px * width // shorter

    def view_images(self, images: Sequence[Pixels], device: torch.device) -> Tensor:
        """Decoded images of any size -> (image, RGB, row, column) float32 in [0, 1] at `size`."""
        return torch.cat(
            [
                self.view(torch.tensor(i, device=device).permute(2, 0, 1)[None].float() / 255)
                for i in images
            ]
        )

    def normalise(self, view: Tensor) -> Tensor:
        mean = view.new_tensor(self.mean)[:, None, None]
        std = view.new_tensor(self.std)[:, None, None]
        return (view - mean) / std
