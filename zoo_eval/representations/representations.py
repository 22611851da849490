"""Representations of one open model: Gram matrices and features, computed once and shared."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_eval.models.open_model import OpenModel
from zoo_eval.representations.capture import Capture
from zoo_eval.representations.footprint import Footprint, GramRequest, passes
from zoo_eval.representations.grams import Grams, Kept, NonFinite
from zoo_eval.representations.reducer import GramReducer
from zoo_eval.representations.units import KeptUnits, LayerUnits, drawn, keep_units
from zoo_eval.stimuli.stimulus_set import StimulusSet


@dataclass(frozen=True)
class _Wanted:
    """What a Gram matrix is determined by, besides the model."""

    stimuli_digest: str
    layer: str
    sketch: int | None
    seed: int | None


@dataclass(frozen=True)
class _Drawn:
    """What a draw of units is determined by, besides the model."""

    stimuli_digest: str
    layer: str
    n_units: int
    seed: int


def _wanted(
    stimuli: StimulusSet, layers: Sequence[str], sketch: int | None, seed: int
) -> dict[str, _Wanted]:
    own = None if sketch is None else seed
    return {layer: _Wanted(stimuli.digest, layer, sketch, own) for layer in layers}


class Representations:
    """The layers of one open model, each Gram matrix computed once per stimulus set.

    `budget_bytes` is what held features, working copies and a Gram matrix may take together while
    they are computed, on top of the network and its activations (see `footprint`).
    """

    def __init__(self, model: OpenModel, budget_bytes: int) -> None:
        self.model = model
        self.budget_bytes = budget_bytes
        self._capture = Capture(model)
        self._grams: dict[_Wanted, Kept | NonFinite] = {}
        self._units: dict[_Drawn, KeptUnits] = {}

    def grams(
        self,
        stimuli: StimulusSet,
        layers: Sequence[str],
        *,
        sketch: int | None = None,
        seed: int = 0,
    ) -> Grams:
        """Gram matrices by layer.

        Args:
            stimuli: any number of images.
            layers: names of modules, or `logits`.
            sketch: layers with more features than that are sketched to that many dimensions.
            seed: of the sketch, which is the same for every stimulus set and model with it.

        Raises:
            Refusal: they do not fit in the budget or on the disk, or a layer is not one tensor per
                image.
        """
        for _ in self.computing(stimuli, layers, sketch=sketch, seed=seed):
            pass
        wanted = _wanted(stimuli, layers, sketch, seed)
        return Grams({layer: self._grams[key] for layer, key in wanted.items()})

    def computing(
        self,
        stimuli: StimulusSet,
        layers: Sequence[str],
        *,
        sketch: int | None = None,
        seed: int = 0,
    ) -> Generator[None, None, None]:
        """Does the work of `grams`, batch by batch."""
        wanted = _wanted(stimuli, layers, sketch, seed)
        missing = [layer for layer, key in wanted.items() if key not in self._grams]
        if missing:
            shapes = self.shapes(stimuli, missing)
            plan = self.footprint(shapes, len(stimuli), sketch=sketch)
            found = yield from GramReducer(self._capture, stimuli, plan, seed).grams(shapes)
            self._grams |= {wanted[layer]: gram for layer, gram in found.items()}

    def units(
        self, stimuli: StimulusSet, layers: Sequence[str], *, n_units: int, seed: int
    ) -> LayerUnits:
        """A seeded draw of at most `n_units` features of each layer; the stimuli are shown once.

        Raises:
            Refusal: the disk has no room, or a layer is not one tensor per image.
        """
        for _ in self.drawing(stimuli, layers, n_units=n_units, seed=seed):
            pass
        wanted = {layer: _Drawn(stimuli.digest, layer, n_units, seed) for layer in layers}
        return LayerUnits({layer: self._units[key] for layer, key in wanted.items()})

    def drawing(
        self, stimuli: StimulusSet, layers: Sequence[str], *, n_units: int, seed: int
    ) -> Generator[None, None, None]:
        """Does the work of `units`, batch by batch."""
        wanted = {layer: _Drawn(stimuli.digest, layer, n_units, seed) for layer in layers}
        missing = [layer for layer, key in wanted.items() if key not in self._units]
        if missing:
            numbers = {
                layer: drawn(layer, torch.Size(shape).numel(), n_units, seed)
                for layer, shape in self.shapes(stimuli, missing).items()
            }
            found = yield from keep_units(self._capture, stimuli, numbers)
            self._units |= {wanted[layer]: kept for layer, kept in found.items()}

    def features(self, stimuli: StimulusSet, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Each batch's features by layer, float32 (stimulus, feature) on the CPU, in order."""
        return self._capture.features(stimuli, layers)

    def shapes(self, stimuli: StimulusSet, layers: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """The shape of one image's activation, by layer."""
        return self._capture.shapes(stimuli, layers)

    def footprint(
        self, shapes: Mapping[str, tuple[int, ...]], n_stimuli: int, *, sketch: int | None = None
    ) -> Footprint:
        """How the Gram matrices of layers with these shapes are computed, and what that takes.

        Raises:
            Refusal: they do not fit in the budget.
        """
        sizes = {layer: torch.Size(shape).numel() for layer, shape in shapes.items()}
        request = GramRequest(sizes, n_stimuli, self.model.batch_size, sketch)
        return passes(request, self._room_bytes())

    def _room_bytes(self) -> int:
        if self.model.device.type != "cuda":
            return self.budget_bytes
        # Half of what is free is left to the network's activations, as in `first_batch`.
        return min(self.budget_bytes, torch.cuda.mem_get_info(self.model.device)[0] // 2)
