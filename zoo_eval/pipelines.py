"""Pipelines: preprocessing written for torchvision, timm or open_clip, read as a Transform that gives its bits."""

from collections.abc import Iterator
from typing import Any

import torch

from zoo_eval.transforms import INTERPOLATIONS, WITH_GRADIENT, Transform

LIBRARIES = ("torchvision", "timm", "open_clip")
# Decoded images are RGB already.
TO_RGB = ("MaybeConvertMode", "RGB", "Identity")
TO_FLOAT = ("ToTensor", "MaybeToTensor", "ConvertImageDtype", "ToDtype")
TO_TENSOR = ("PILToTensor", "MaybePILToTensor", "ToImage")
TO_BORDER = ("ResizeKeepRatio", "CenterCropOrPad")


class NotReadable(ValueError):
    """A pipeline with a step, or an order of steps, that no Transform stands for; it says which."""


def read(pipeline: Any) -> Transform:
    """The Transform whose view and normalisation are those of a pipeline, bit for bit.

    Args:
        pipeline: a preset of torchvision (`weights.transforms()`), or a `Compose` (also one of
            torchvision's version 2) of a resize, a centre crop, a conversion to a float tensor and
            a normalisation. Where the conversion comes first, tensors are resized.

    Raises:
        NotReadable: it has another step, or lacks a size.
    """
    found = _Steps()
    for step in _flat(pipeline):
        if type(step).__module__.partition(".")[0] not in LIBRARIES:
            raise NotReadable(f"step {type(step).__name__} is own code")
        found.add(step)
    return found.transform()


def _flat(pipeline: Any) -> Iterator[Any]:
    # By its name: what applies its steps at random has `transforms` as well.
    if type(pipeline).__name__ == "Compose":
        for step in pipeline.transforms:
            yield from _flat(step)
    else:
        yield pipeline


class _Steps:
    """What the steps so far say, and what an image is after them."""

    def __init__(self) -> None:
        self.image = "pil"
        self.resized: str | None = None
        self.resize: tuple[int, int] | int | None = None
        self.crop: tuple[int, int] | None = None
        self.interpolation = ""
        self.fill: tuple[float, float, float] | None = None
        self.colours: dict[str, tuple[float, float, float]] = {}
        self.borders = False

    def add(self, step: Any) -> None:
        kind = type(step).__name__
        if self.colours:
            raise NotReadable(f"step {kind} comes after the normalisation")
        if kind == "ImageClassification":
            self._resize(step.resize_size, step)
            self._crop(step.crop_size)
            self._normalise(step)
        elif kind == "Resize":
            if step.max_size is not None or step.size is None:
                raise NotReadable("step Resize has a `max_size`")
            self._resize(step.size, step)
        elif kind == "CenterCrop":
            self._crop(step.size)
        elif kind in TO_BORDER:
            self._border(step)
        elif kind in TO_FLOAT:
            self._to_float(step)
        elif kind in TO_TENSOR:
            self.image = "uint8 tensor"
        elif kind == "Normalize":
            if self.image != "float32":
                raise NotReadable("step Normalize comes before a conversion to a float tensor")
            self._normalise(step)
        elif kind not in TO_RGB:
            raise NotReadable(f"step {kind} has no counterpart")

    def _resize(self, size: Any, step: Any) -> None:
        if self.resize is not None or self.crop is not None:
            raise NotReadable("a resize comes after another, or after a crop")
        if self.image == "uint8 tensor" or (self.image == "float32" and not step.antialias):
            raise NotReadable("a resize of a uint8 tensor, or without antialiasing")
        sides = (size,) if isinstance(size, int) else tuple(size)
        self.resize = sides[0] if len(sides) == 1 else (sides[0], sides[1])
        self.resized = "uint8" if self.image == "pil" else "float32"
        self.interpolation = _interpolation(step)

    def _crop(self, size: Any) -> None:
        if self.crop is not None:
            raise NotReadable("a crop comes after another")
        sides = (size,) if isinstance(size, int) else tuple(size)
        self.crop = (sides[0], sides[-1])

    def _to_float(self, step: Any) -> None:
        from_pil = type(step).__name__ in ("ToTensor", "MaybeToTensor")
        if from_pil:
            readable = self.image == "pil"
        else:
            readable = self.image == "uint8 tensor" and step.dtype == torch.float32
        if not readable or not getattr(step, "scale", True):
            raise NotReadable(f"step {type(step).__name__} does not make [0, 1] of 8 bits here")
        self.image = "float32"

    def _border(self, step: Any) -> None:
        """Of timm and open_clip: the longer side is resized to, and what is short is filled."""
        if type(step).__name__ == "CenterCropOrPad":
            fill = getattr(step, "fill", 0)
            colour = (fill,) * 3 if isinstance(fill, int) else tuple(fill)
            self.fill = (colour[0] / 255, colour[1] / 255, colour[2] / 255)
            self._crop(step.size)
            return
        if step.longest != 1 or step.size[0] != step.size[1] or self.image != "pil":
            raise NotReadable("step ResizeKeepRatio resizes the shorter side, or to no square")
        self.borders, self.resize, self.resized = True, step.size[0], "uint8"
        self.interpolation = _interpolation(step)

    def _normalise(self, step: Any) -> None:
        self.colours = {"mean": _three(step.mean), "std": _three(step.std)}

    def transform(self) -> Transform:
        if self.resize is None:
            raise NotReadable("it has no resize")
        if self.borders != (self.fill is not None):
            raise NotReadable("step ResizeKeepRatio and step CenterCropOrPad go together")
        if not self.colours:
            if self.image != "float32":
                raise NotReadable("it ends without a float tensor")
            self.colours = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
        squash = isinstance(self.resize, tuple)
        rows, columns = self.resize if isinstance(self.resize, tuple) else (self.resize,) * 2
        if self.crop is None and not squash:
            raise NotReadable("it has no crop, so images keep their proportions")
        seen = self.crop or (rows, columns)
        if (rows != columns or seen[0] != seen[1]) and seen != (rows, columns):
            raise NotReadable("it crops to, or from, what is no square")
        if max(seen[0] - rows, seen[1] - columns) > 0 and not self.borders:
            raise NotReadable("its crop is larger than what is resized to")
        if self.resized == "float32" and self.interpolation not in WITH_GRADIENT:
            raise NotReadable(f"it resizes a tensor by {self.interpolation!r}")
        try:
            return Transform(
                input_px=seen[0],
                resize_px=rows,
                interpolation=self.interpolation,  # type: ignore[arg-type]  # _interpolation
                mean=self.colours["mean"],
                std=self.colours["std"],
                squash=squash,
                fill=self.fill,
                input_width_px=seen[1] if seen[1] != seen[0] else None,
                resized=self.resized,  # type: ignore[arg-type]  # one of the two
            )
        except ValueError as error:
            raise NotReadable(str(error)) from error


def _interpolation(step: Any) -> str:
    name = str(getattr(step.interpolation, "value", step.interpolation)).replace("-exact", "")
    if name not in INTERPOLATIONS:
        raise NotReadable(f"step {type(step).__name__} has interpolation {name!r}")
    return name


def _three(values: Any) -> tuple[float, float, float]:
    if isinstance(values, torch.Tensor):
        # The shortest number that rounds to it: what was written before it became a tensor.
        values = [float(str(one)) for one in values.numpy()]
    try:
        red, green, blue = values
    except ValueError as error:
        raise NotReadable("step Normalize has not three channels") from error
    return float(red), float(green), float(blue)
