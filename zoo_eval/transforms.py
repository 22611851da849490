"""Transform: a model's own resize, crop and normalisation, bit for bit, and a differentiable one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from zoo_eval.errors import Refusal
from zoo_eval.networks.anatomy import Size
from zoo_eval.stimuli.stimulus_set import Pixels

Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
# One image as a model sees it: see `Transform.seen`.
Seen = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
# Those that PyTorch has for tensors, antialiased as Pillow's are.
WITH_GRADIENT: tuple[Interpolation, ...] = ("bilinear", "bicubic")


# More than any network takes; a mean or a deviation of pixels in [0, 1] is never larger than this.
MOST_PX = 2**14
MOST_COLOUR = 2.0


@dataclass(frozen=True)
class Transform:
    """Shorter side to `resize_px`, centre crop to `input_px`, then (x - mean) / std per channel.

    With `squash` both sides become `resize_px`, whatever the image's proportions. With a `fill`
    colour the longer side does, and a border of that colour is added before the crop. Where the
    image is `padded` it is resized to less than the crop, and a black border added. With
    `input_width_px` the input is no square: it has `input_px` rows and this many columns, to
    which the image is squashed.

    `resized` says what is resized: the 8 bits of a decoded image, by Pillow, as the libraries' own
    evaluation transforms do; or `float32`, a tensor, as a pipeline does that makes a tensor first.

    Raises:
        ValueError: an unknown interpolation, an input that is not square and not squashed to, a crop
            larger than what it is taken from, or a colour that is none of pixels in [0, 1].
    """

    input_px: int
    resize_px: int
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    squash: bool = False
    fill: tuple[float, float, float] | None = None
    input_width_px: int | None = None
    resized: Literal["uint8", "float32"] = "uint8"
    # None, not False: keys of transforms without it stay what they are.
    padded: Literal[True] | None = None

    def __post_init__(self) -> None:
        if self.interpolation not in INTERPOLATIONS:
            known = ", ".join(INTERPOLATIONS)
            raise ValueError(f"unknown interpolation {self.interpolation!r}; choose one of {known}")
        if self.resized == "float32" and self.interpolation not in WITH_GRADIENT:
            raise ValueError(f"a tensor is resized by one of {', '.join(WITH_GRADIENT)}")
        if self.input_width_px is not None and not (
            self.squash and self.resize_px == self.input_px
        ):
            raise ValueError("an input that is not square is squashed to, not cropped from")
        self._check_sizes()
        self._check_colours()

    def _check_sizes(self) -> None:
        sizes = {"input_px": self.input_px, "resize_px": self.resize_px}
        if self.input_width_px is not None:
            sizes["input_width_px"] = self.input_width_px
        for name, size in sizes.items():
            if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MOST_PX:
                raise ValueError(
                    f"{name} = {size!r}: expected a whole number of pixels, 1 to {MOST_PX}"
                )
        if self.resize_px < self.input_px and self.border is None:
            raise ValueError(
                f"resize_px = {self.resize_px} is smaller than input_px = {self.input_px}: there is "
                "nothing to crop; are they swapped? (input_px comes first)"
            )

    def _check_colours(self) -> None:
        colours = {"mean": self.mean, "std": self.std, "fill": self.fill}
        for name, values in colours.items():
            if values is not None and (len(values) != 3 or not np.isfinite(values).all()):
                raise ValueError(f"{name} = {values}: expected three numbers, red, green and blue")
        if min(self.std) <= 0:
            raise ValueError(f"std = {self.std}: expected three numbers above 0")
        if max(map(abs, self.mean)) > MOST_COLOUR or max(self.std) > MOST_COLOUR:
            raise ValueError(
                f"mean = {self.mean}, std = {self.std} are of 0 to 255, and pixels of 0 to 1; divide "
                "both by 255"
            )
        if self.fill is not None and not 0 <= min(self.fill) <= max(self.fill) <= 1:
            raise ValueError(f"fill = {self.fill}: expected a colour of 0 to 1; divide it by 255")

    @property
    def size(self) -> Size:
        """Rows and columns of what the model sees."""
        return self.input_px, self.input_width_px or self.input_px

    @property
    def border(self) -> tuple[float, float, float] | None:
        """The colour of what is added around an image smaller than the crop; None where nothing is."""
        return (0.0, 0.0, 0.0) if self.padded else self.fill

    @property
    def key(self) -> dict[str, Any]:
        known = {k: v for k, v in vars(self).items() if v is not None}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in known.items()}

    @property
    def view_key(self) -> dict[str, Any]:
        """What `seen` is determined by: all but the normalisation."""
        return {key: value for key, value in self.key.items() if key not in ("mean", "std")}

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
            resized="uint8",
            padded=None,
        )

    def squashed(self) -> "Transform":
        """The same input, to which an image is resized whole, whatever its proportions: no crop, no border."""
        return replace(self, resize_px=self.input_px, squash=True, fill=None, padded=None)

    def check_gradient(self) -> None:
        """Refuses an interpolation through which no gradient can be taken.

        Raises:
            Refusal: PyTorch has none of that name for tensors.
        """
        if self.interpolation not in WITH_GRADIENT:
            raise Refusal(
                f"PyTorch resizes no tensor by {self.interpolation!r}, so there is no gradient through "
                f'it; set canvas = "own", or choose one of {", ".join(WITH_GRADIENT)}'
            )

    def view_images(self, images: Sequence[Pixels], device: torch.device) -> Tensor:
        """Decoded images of any size -> what the model sees of them, before normalisation.

        The source's own evaluation transform, bit for bit from the decoded image on (to float32
        rounding where tensors are resized).

        Args:
            images: each uint8 (row, column, RGB).
            device: of what is returned.

        Returns:
            float32 (image, RGB, row, column) in [0, 1] at `size`; `float32` with `bicubic` may
            overshoot, as it does where it comes from.
        """
        return self.as_pixels([self.seen(one) for one in images], device)

    def seen(self, image: Pixels) -> Seen:
        """What the model sees of a decoded image, as small as it is exact.

        Returns:
            Its 8 bits, uint8 (row, column, RGB), see `levels`; where a tensor is resized, float32
            (RGB, row, column).
        """
        if self.resized == "float32":
            return self._cut(self._float(_unit(image)))[0].numpy()
        return self.levels(image)

    @property
    def unseen(self) -> Seen:
        """An array as `seen` gives one, of an image that nobody has seen yet."""
        rows, columns = self.size
        if self.resized == "float32":
            return np.zeros((3, rows, columns), np.float32)
        return np.zeros((rows, columns, 3), np.uint8)

    def as_pixels(self, seen: Sequence[Seen], device: torch.device) -> Tensor:
        """What `seen` gave of several images, as `view_images` gives it."""
        stack = torch.from_numpy(np.stack(seen))
        if device.type == "cuda":
            # From pinned memory a copy runs beside what the GPU computes.
            stack = stack.pin_memory()
        view = stack.to(device, non_blocking=True)
        if self.resized == "float32":
            return view
        # By a tensor: a GPU would multiply by the rounded inverse of a number.
        return view.permute(0, 3, 1, 2).contiguous().float() / view.new_tensor(255.0).float()

    def levels(self, image: Pixels) -> Pixels:
        """What the model sees of a decoded image, in its 8 bits: uint8 (row, column, RGB)."""
        height, width = self._resized(*image.shape[:2])
        if (height, width) != image.shape[:2]:
            resample = Image.Resampling[self.interpolation.upper()]
            image = np.asarray(Image.fromarray(image).resize((width, height), resample))
        if self.border is not None:
            above, left = self._margin(height, width)
            placed = np.empty((height + above, width + left, 3), np.uint8)
            placed[:] = [round(255 * value) for value in self.border]
            placed[above // 2 :, left // 2 :][:height, :width] = image
            image = placed
        rows, columns = self._window(*image.shape[:2])
        return image[rows, columns]

    def view(self, pixels: Tensor) -> Tensor:
        """The same of pixels (image, RGB, row, column) in [0, 1], with a gradient.

        A tensor is not rounded to 8 bits between and after the two passes of a resize, so that
        values differ from `view_images` by about a level (1 / 255) where anything is resized.

        Raises:
            Refusal: see `check_gradient`.
        """
        resized = self._float(pixels)
        return self._cut(resized if resized is pixels else resized.clamp(0, 1))

    def _float(self, pixels: Tensor) -> Tensor:
        size = self._resized(*pixels.shape[-2:])
        if size == tuple(pixels.shape[-2:]):
            return pixels
        self.check_gradient()
        return functional.interpolate(
            pixels, size=size, mode=self.interpolation, antialias=True, align_corners=False
        )

    def _cut(self, pixels: Tensor) -> Tensor:
        if self.border is not None:
            pixels = self._bordered(pixels, self.border)
        rows, columns = self._window(*pixels.shape[-2:])
        return pixels[..., rows, columns]

    def _bordered(self, pixels: Tensor, fill: tuple[float, float, float]) -> Tensor:
        height, width = pixels.shape[-2:]
        above, left = self._margin(height, width)
        border = pixels.new_tensor(fill)[:, None, None].expand(
            *pixels.shape[:-2], height + above, width + left
        )
        placed = border.clone()
        placed[..., above // 2 : above // 2 + height, left // 2 : left // 2 + width] = pixels
        return placed

    def _margin(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns that a border adds, above and below, left and right together."""
        return max(0, self.input_px - height), max(0, self.input_px - width)

    def _window(self, height: int, width: int) -> tuple[slice, slice]:
        """Which rows and columns the centre crop keeps."""
        rows, columns = self.size
        top, left = round((height - rows) / 2), round((width - columns) / 2)
        return slice(top, top + rows), slice(left, left + columns)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        if self.input_width_px is not None:
            return self.size
        if self.squash:
            return self.resize_px, self.resize_px
        if self.fill is not None:
            ratio = max(height / self.resize_px, width / self.resize_px)
            return round(height / ratio), round(width / ratio)
        shorter = min(height, width)
        # Whole numbers only: in floating point 480 / 611 * 611 falls short of 480.
        return self.resize_px * height // shorter, self.resize_px * width // shorter

    def normalise(self, view: Tensor) -> Tensor:
        mean = view.new_tensor(self.mean)[:, None, None]
        std = view.new_tensor(self.std)[:, None, None]
        return (view - mean) / std


def _unit(image: Pixels) -> Tensor:
    """A decoded image as float32 (1, RGB, row, column) in [0, 1]."""
    return torch.tensor(image).permute(2, 0, 1)[None].contiguous().float() / 255
