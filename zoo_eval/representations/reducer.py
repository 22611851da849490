"""Reducer: Gram matrices of layers from what passes by, in the passes that were planned."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from zoo_eval.numerics import precision
from zoo_eval.numerics.products import FEW
from zoo_eval.numerics.sketch import count_sketch
from zoo_eval.representations.accumulation import Accumulation, Coder, HeldFeatures, Products
from zoo_eval.representations.capture import Capture
from zoo_eval.representations.footprint import Footprint, Slice
from zoo_eval.representations.grams import Kept, NonFinite
from zoo_eval.representations.scratch import Matrix, Scratch, check_room
from zoo_eval.stimuli.stimulus_set import StimulusSet

# Their mean activation is close to that of all stimuli: what products leave out, and add exactly.
N_REFERENCES = 4


@dataclass(frozen=True, eq=False)
class GramReducer:
    """What makes Gram matrices of a capture of these stimuli: as `plan` says, sketched by `seed`."""

    capture: Capture
    stimuli: StimulusSet
    plan: Footprint
    seed: int = 0

    def grams(
        self, shapes: Mapping[str, tuple[int, ...]]
    ) -> Generator[None, None, dict[str, Kept | NonFinite]]:
        """Gram matrices by layer, on disk; the layers have activations of these shapes.

        It yields after each batch, and returns them.

        Raises:
            Refusal: they do not fit on the disk, or a layer is not one tensor per image.
        """
        check_room(self.plan.disk_bytes)
        scratch, n = Scratch(), len(self.stimuli)
        totals = {layer: Accumulation(scratch.matrix(n, n, torch.float64)) for layer in shapes}
        if self.plan.request.sketch is None:
            yield from self._multiply(totals)
        else:
            coded = yield from self._coded(totals, self.plan.request.sketch)
            for layer, codes in coded.items():
                with precision.exact(self._device):
                    totals[layer].multiply(codes, self.plan.n_held, self._device)
        return {layer: self._kept(total, layer, shapes[layer]) for layer, total in totals.items()}

    @property
    def _device(self) -> torch.device:
        return self.capture.model.device

    def _kept(self, total: Accumulation, layer: str, shape: tuple[int, ...]) -> Kept | NonFinite:
        name = f"layer {layer} of {self.capture.model.card.name}"
        # Sums, for `isfinite` of all entries would take another Gram matrix of memory.
        whole_sum = total.finish()
        if not total.row_sums.sum().isfinite():
            return NonFinite(f"{name} has non-finite activations")
        if not isfinite(whole_sum):
            return NonFinite(f"{name} has activations whose products exceed float32")
        request = self.plan.request
        sketch = request.sketch if request.is_sketched(layer) else None
        return Kept(total.gram, total.row_sums, shape, sketch)

    def _multiply(self, totals: Mapping[str, Accumulation]) -> Iterator[None]:
        """Shows the stimuli in the planned passes, in each of which some are held."""
        for group in self.plan.groups:
            held = {}
            for part, offset in self._offsets(group).items():
                held[part.layer] = HeldFeatures(part, offset, self.plan.n_held)
                totals[part.layer].begin(offset)
            for start in self.plan.starts:
                for row, found in self._products(start, held):
                    for layer, products in found.items():
                        totals[layer].add(row, start, products)
                    yield
                with precision.exact(self._device):
                    for layer, one in held.items():
                        totals[layer].add_held(start, one)

    def _products(
        self, start: int, held: Mapping[str, HeldFeatures]
    ) -> Iterator[tuple[int, dict[str, Products]]]:
        """Products with the first stimuli from `start` on, which are held, of those after them."""

        def multiply(layer: str, activation: Tensor, row: int) -> Products:
            return held[layer].products(activation, row - start, with_moments=start == 0)

        return self.capture.reduced(self.stimuli, list(held), multiply, start=start)

    def _coded(
        self, totals: Mapping[str, Accumulation], sketch: int
    ) -> Generator[None, None, dict[str, Matrix]]:
        """Shows the stimuli once; what stands for them, (stimulus, dimension) by layer, on disk."""
        (group,), request, scratch = self.plan.groups, self.plan.request, Scratch()
        coders, codes = {}, {}
        for part, offset in self._offsets(group).items():
            layer, code = part.layer, None
            if request.is_sketched(layer):
                code = count_sketch(part.n_features, sketch, self.seed, self._device)
            coders[layer] = Coder(offset, code)
            n_dimensions = request.n_dimensions[layer]
            codes[layer] = scratch.matrix(len(self.stimuli), n_dimensions, request.kept_as(layer))
            totals[layer].begin(offset)
        batches = self.capture.reduced(
            self.stimuli, list(coders), lambda layer, activation, _row: coders[layer](activation)
        )
        for row, found in batches:
            for layer, one in found.items():
                codes[layer].write(row, one.codes)
                totals[layer].count(row, one.moments)
            yield
        return codes

    def _offsets(self, group: Sequence[Slice]) -> dict[Slice, Tensor]:
        """What products leave out: the mean over some stimuli, or zero where features are few."""
        request, stimuli = self.plan.request, self.stimuli
        offsets = {part: torch.zeros(part.n_features, device=self._device) for part in group}
        many = {
            part.layer: part
            for part in group
            if request.n_features[part.layer] > FEW or request.is_sketched(part.layer)
        }
        seen: dict[str, Tensor] = {}

        def copy(layer: str, activation: Tensor) -> None:
            part = many[layer]
            seen[layer] = activation.flatten(1)[0, part.start : part.stop].clone()

        # One at a time and spread over the set: the same whatever the batch size.
        n = min(N_REFERENCES, len(stimuli)) if many else 0
        views = self.capture.model.views(stimuli)
        for reference in range(n):
            view = views.alone(reference * len(stimuli) // n)
            self.capture.show(view, list(many), copy)
            for layer, part in many.items():
                offsets[part] += seen[layer] / n
        return offsets
