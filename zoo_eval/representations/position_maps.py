"""Maps of a network's layers at the positions of a recording's grid, kept on disk until they are read."""

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_eval.errors import Refusal
from zoo_eval.models.blueprint import UNNAMED, Blueprint
from zoo_eval.models.open_model import OpenModel
from zoo_eval.networks import tokens
from zoo_eval.networks.positions import Layout, layout
from zoo_eval.representations.capture import Capture
from zoo_eval.representations.footprint import FLOAT32_BYTES, FLOAT64_BYTES, HEAP, Need
from zoo_eval.representations.grams import NonFinite
from zoo_eval.representations.scratch import Matrix, Scratch, check_room
from zoo_eval.stimuli.stimulus_set import StimulusSet
from zoo_eval.transforms import Transform
from zoo_eval.units import size_text
from zoo_eval.views.views import Views

Grid = tuple[int, int]
# Of an image's activation in float64, at most at once: itself, with features averaged, and resampled along
# an axis.
COPIES = 3
# From maps (image, row, column, feature) to those at the grid's positions.
OnGrid = Callable[[Tensor], Tensor]
# From what the model sees to what it is shown.
Shown = Callable[[Tensor], Tensor]


def layouts(plan: Blueprint, layers: Sequence[str]) -> dict[str, Layout]:
    """Those of the layers that have positions, known before the model is opened.

    Raises:
        Refusal: none has; why the first has not.
    """
    found: dict[str, Layout] = {}
    misfits = []
    prefix = tokens.n_prefix(plan.outline)[0]
    for layer in layers:
        try:
            known = () if layer in UNNAMED else plan.captured.get(tokens.split(layer)[0], ())
            shape = known[1:]
            found[layer] = layout(layer, shape, plan.transform.size, prefix)
        except Refusal as error:
            misfits.append(error)
    if not found:
        raise misfits[0] if misfits else Refusal("there are no layers")
    return found


@dataclass(frozen=True)
class MapsRequest:
    """Maps of layers of these layouts, of so many images, at a grid; `after_bytes` of work on one layer's."""

    layouts: Mapping[str, Layout]
    n_images: int
    grid: Grid
    after_bytes: int = 0

    @property
    def most_features(self) -> int:
        return max(one.n_features for one in self.layouts.values())

    @property
    def _peak_bytes(self) -> int:
        """A layer's maps, and the work on them; or one image's activation in float64, resampled in turn."""
        layer = FLOAT32_BYTES * self.n_images * math.prod(self.grid) * self.most_features
        image = max(one.n_numbers for one in self.layouts.values())
        return math.ceil(HEAP * (layer + max(self.after_bytes, COPIES * FLOAT64_BYTES * image)))

    def within(self, budget_bytes: int) -> Need:
        """What they take.

        Raises:
            Refusal: more than the budget.
        """
        if (peak := self._peak_bytes) > budget_bytes:
            raise Refusal(
                f"maps of {self.n_images} images at {self.grid[0]} x {self.grid[1]} positions of up to "
                f"{self.most_features} features take {size_text(peak)} at once with the fits, "
                f"more than memory_budget of {size_text(budget_bytes)}; raise it, or name fewer layers"
            )
        return Need(peak, self.n_images)


@dataclass(frozen=True, eq=False)
class PositionMaps:
    """Shows images to an open model, and keeps its layers' maps at a grid's positions.

    transform: how images become what it sees; on_grid: what becomes of a layer's maps.
    shown: what is done to what it sees besides.
    """

    model: OpenModel
    transform: Transform
    on_grid: OnGrid
    shown: Shown | None = None

    def of(self, stimuli: StimulusSet, found: Mapping[str, Layout]) -> dict[str, "KeptMaps"]:
        """By layer, of the images in their order.

        Raises:
            Refusal: a layer is not one tensor per image, or the disk has no room.
        """
        showing = self.showing(stimuli, found)
        while True:
            try:
                next(showing)
            except StopIteration as end:
                kept: dict[str, KeptMaps] = end.value
                return kept

    def showing(
        self, stimuli: StimulusSet, found: Mapping[str, Layout]
    ) -> Generator[None, None, dict[str, "KeptMaps"]]:
        """Does the work of `of`, batch by batch, and returns what that gives."""
        n_images = len(stimuli)
        kept: dict[str, KeptMaps] = {}
        scratch = Scratch()
        views = Views(stimuli, self.transform, self.model.device, self.model.folder)
        capture = Capture(self.model)

        def work(numbers: Sequence[int]) -> bool:
            def receive(layer: str, activation: Tensor) -> None:
                # One image at a time: all of a batch in float64 would be twice the activation.
                seen = found[layer].maps(activation)
                maps = torch.cat([self.on_grid(one[None]).float() for one in seen])
                if layer not in kept:
                    n_numbers = maps[0].numel()
                    check_room(FLOAT32_BYTES * n_images * n_numbers)
                    matrix = scratch.matrix(n_images, n_numbers, torch.float32)
                    kept[layer] = KeptMaps(matrix, tuple(maps.shape[1:]))
                kept[layer].matrix.write(numbers[0], maps.flatten(1))

            view = views[numbers]
            capture.show(view if self.shown is None else self.shown(view), list(found), receive)
            return True

        for _ in self.model.in_batches(range(n_images), work):
            yield
        return kept


@dataclass(frozen=True, eq=False)
class KeptMaps:
    """One layer's maps on disk."""

    matrix: Matrix
    shape: tuple[int, ...]

    def read(self, where: str) -> Tensor | NonFinite:
        """float32 (image, row, column, feature); the caller's own. `where` names the layer.

        One with NaN or infinite activations has that error in its place.
        """
        maps = self.matrix.read(0, self.matrix.n_rows).reshape(-1, *self.shape)
        if not maps.sum(dtype=torch.float64).isfinite():
            return NonFinite(f"{where} has non-finite activations")
        return maps
