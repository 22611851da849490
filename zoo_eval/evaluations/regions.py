"""Regions: which pixels of a common canvas count, where a model's own crop sees but some of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, reduce
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from zoo_eval.errors import Refusal
from zoo_eval.evaluations.evaluation import EvaluationSection
from zoo_eval.inputs import Inputs
from zoo_eval.transforms import Transform

Canvas = Literal["own"] | int
# What reaches the model; what reaches every model of the sweep; all of the canvas, as if a frame that
# no model sees said something of it.
RegionName = Literal["seen", "common", "defect_unseen_frame"]


@dataclass(frozen=True)
class Region:
    """Some rows and columns of a square canvas, each from the first to before the last."""

    canvas_px: int
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def n_pixels(self) -> int:
        return max(0, self.rows[1] - self.rows[0]) * max(0, self.columns[1] - self.columns[0])

    @property
    def left_out(self) -> float:
        """The share of the canvas that is outside."""
        return 1 - self.n_pixels / self.canvas_px**2

    @property
    def key(self) -> dict[str, Any]:
        return {"rows": list(self.rows), "columns": list(self.columns)}

    def __and__(self, other: "Region") -> "Region":
        rows, columns = (
            (max(one[0], two[0]), min(one[1], two[1]))
            for one, two in ((self.rows, other.rows), (self.columns, other.columns))
        )
        return Region(self.canvas_px, rows, columns)

    def of(self, values: Tensor) -> Tensor:
        """Values (..., row, column) on the canvas -> those of the region."""
        return values[..., slice(*self.rows), slice(*self.columns)]


def whole(canvas_px: int) -> Region:
    """All pixels of a canvas."""
    return Region(canvas_px, (0, canvas_px), (0, canvas_px))


@cache
def seen(transform: Transform, canvas_px: int) -> Region:
    """The pixels of a canvas that reach a model through its own resize and crop.

    Those which have a weight in a pixel that it sees: a resize, antialiased, mixes neighbours in.
    """
    pixels = torch.full((1, 3, canvas_px, canvas_px), 0.5, dtype=torch.float64, requires_grad=True)
    view = transform.view(pixels)
    # Weights of both signs may cancel in a plain sum.
    drawn = torch.rand(view.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((view * drawn).sum(), pixels)
    reached = (gradient != 0).any(1)[0]
    # A resize and a crop are of rows and of columns: what is reached is a rectangle.
    rows, columns = (reached.any(axis).nonzero()[:, 0].tolist() for axis in (1, 0))
    return Region(canvas_px, (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1))


def common(transforms: Iterable[Transform], canvas_px: int) -> Region:
    """The pixels of a canvas that reach every model.

    Raises:
        Refusal: there is none.
    """
    found = reduce(Region.__and__, (seen(one, canvas_px) for one in transforms), whole(canvas_px))
    if found.n_pixels == 0:
        raise Refusal(
            f"no pixel of a canvas of {canvas_px} px reaches every model of the sweep; leave out the "
            'model with the smallest crop, or set region = "seen"'
        )
    return found


def canvas_px(canvas: Canvas) -> int | None:
    """A canvas's side in pixels; None for the model's own view."""
    return None if canvas == "own" else canvas


def seen_by(transform: Transform, canvas: Canvas) -> Transform:
    """What brings an image to the pixels that are attributed: the model's own view, or a canvas."""
    return transform if canvas == "own" else transform.at(canvas)


@dataclass(frozen=True)
class Place:
    """Where attributions are compared with maps: what brings an image there, and which pixels count.

    `region` is None where the model sees every pixel. `unseen_share` of the pixels there do not reach
    the model, whether they count or not.
    """

    transform: Transform
    name: RegionName
    region: Region | None = None
    unseen_share: float = 0.0

    @classmethod
    def of(
        cls, own: Transform, canvas: Canvas, name: RegionName, compared: Iterable[Transform]
    ) -> "Place":
        """The place on a canvas for a model with its own transform, one of those compared.

        Raises:
            Refusal: no pixel counts, or the model's resize has no gradient.
        """
        if canvas == "own":
            return cls(own, name)
        reached = seen(own, canvas)
        if name == "defect_unseen_frame":
            counting = whole(canvas)
        else:
            counting = reached if name == "seen" else common(compared, canvas)
        return cls(own.at(canvas), name, counting, reached.left_out)

    @property
    def parameters(self) -> dict[str, Any]:
        """What a trial's parameters say of it: nothing where every pixel is seen."""
        if self.region is None:
            return {}
        return {"region": {self.name: self.region.key} if self.name == "common" else self.name}

    def counting(self, values: Tensor) -> Tensor:
        """Values (..., row, column) there -> those that count."""
        return values if self.region is None else self.region.of(values)


class PlacedSection(EvaluationSection):
    """Base of the evaluations that compare attributions with human maps, pixel by pixel."""

    canvas: Literal["own"] | Annotated[int, Field(ge=32)] = "own"
    region: RegionName = "seen"

    @model_validator(mode="after")
    def _region_is_of_a_canvas(self) -> Self:
        if self.region != "seen" and self.canvas == "own":
            raise ValueError(
                f'region = "{self.region}" is of a common canvas, and canvas = "own" has every pixel '
                "seen; set `canvas` to a side in pixels, or leave `region` out"
            )
        return self

    @property
    def compares_views(self) -> bool:
        return self.region == "common"

    def place(self, own: Transform, inputs: Inputs) -> Place:
        """Where a model with its own transform is compared with the maps.

        Raises:
            Refusal: no pixel counts, or the model's resize has no gradient.
        """
        return Place.of(own, self.canvas, self.region, inputs.compared)
