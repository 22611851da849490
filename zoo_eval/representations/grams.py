"""Representations of one open model: Gram matrices and features, computed once and shared."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from zoo_eval.errors import Refusal
from zoo_eval.models.blueprint import LOGITS, Blueprint
from zoo_eval.models.open_model import OpenModel
from zoo_eval.networks import tokens
from zoo_eval.networks.activations import one_per_image
from zoo_eval.numerics.products import FEW
from zoo_eval.numerics.sketch import count_sketch
from zoo_eval.representations.accumulation import Accumulation, Coder, HeldFeatures, Products
from zoo_eval.representations.footprint import Footprint, GramRequest, Slice, passes
from zoo_eval.representations.scratch import Matrix, Scratch, check_room
from zoo_eval.stimuli.stimulus_set import Pixels, StimulusSet

# Their mean activation is close to that of all stimuli: what products leave out, and add exactly.
N_REFERENCES = 4
Receiver = Callable[[str, Tensor], None]
T = TypeVar("T")


class NonFinite(ArithmeticError):
    """A layer's activations are NaN or infinite."""


@dataclass(frozen=True, eq=False)
class LayerGram:
    """One layer over a stimulus set: its features F, (stimulus, feature), as K = F F^T.

    `gram` is float64 (stimulus, stimulus), `row_sums` are F 1, float64 (stimulus,), and `shape` is
    that of one stimulus's activation. `sketch` is None where K is exact; else K is estimated
    without bias from that many dimensions, the row sums being exact all the same.
    """

    gram: Tensor
    row_sums: Tensor
    shape: tuple[int, ...]
    sketch: int | None = None

    def on(self, device: torch.device) -> "LayerGram":
        """With the Gram matrix there."""
        return replace(self, gram=self.gram.to(device))

    @property
    def n_features(self) -> int:
        return int(torch.Size(self.shape).numel())


def n_features(plan: Blueprint, layers: Sequence[str]) -> dict[str, int]:
    """Numbers of features by layer, known before the model is opened: what `passes` needs."""
    found = {block.name: block.n_features for block in plan.anatomy.blocks}
    found[LOGITS] = plan.anatomy.n_classes
    for layer in layers:
        if layer not in found:
            # Nothing is built for the blocks alone: plans are of thousands of models.
            module, kind = tokens.split(layer)
            prefix = tokens.n_prefix(plan.outline)[0] if kind else 0
            shown = torch.empty(plan.captured[module], device="meta")
            found[layer] = tokens.chosen(shown, kind, prefix)[0].numel()
    return {layer: found[layer] for layer in layers}


@dataclass(frozen=True, eq=False)
class _Kept:
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

    def __init__(self, found: Mapping[str, "_Kept | NonFinite"]) -> None:
        self._found = found

    def __getitem__(self, layer: str) -> LayerGram | NonFinite:
        found = self._found[layer]
        return found if isinstance(found, NonFinite) else found.read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


@dataclass(frozen=True)
class _Wanted:
    """What a Gram matrix is determined by, besides the model."""

    stimuli_digest: str
    layer: str
    sketch: int | None
    seed: int | None


class Representations:
    """The layers of one open model, each Gram matrix computed once per stimulus set.

    `budget_bytes` is what held features, working copies and a Gram matrix may take together while
    they are computed, on top of the network and its activations (see `footprint`).
    """

    def __init__(self, model: OpenModel, budget_bytes: int) -> None:
        self.model = model
        self.budget_bytes = budget_bytes
        self._grams: dict[_Wanted, _Kept | NonFinite] = {}

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
        wanted = {
            layer: _Wanted(stimuli.digest, layer, sketch, None if sketch is None else seed)
            for layer in layers
        }
        missing = [layer for layer, key in wanted.items() if key not in self._grams]
        if missing:
            for layer, gram in self._compute(stimuli, missing, sketch, seed).items():
                self._grams[wanted[layer]] = gram
        return Grams({layer: self._grams[key] for layer, key in wanted.items()})

    def features(self, stimuli: StimulusSet, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Each batch's features by layer, float32 (stimulus, feature) on the CPU, in order."""
        return self.model.in_batches(stimuli.images, lambda batch: self._copied(batch, layers))

    def shapes(self, stimuli: StimulusSet, layers: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """The shape of one image's activation, by layer."""
        found: dict[str, tuple[int, ...]] = {}

        def note(layer: str, activation: Tensor) -> None:
            found[layer] = tuple(activation.shape[1:])

        self._show(stimuli.images[:1], layers, note)
        return {layer: found[layer] for layer in layers}

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

    def _compute(
        self, stimuli: StimulusSet, layers: Sequence[str], sketch: int | None, seed: int
    ) -> dict[str, _Kept | NonFinite]:
        shapes, n = self.shapes(stimuli, layers), len(stimuli)
        plan = self.footprint(shapes, n, sketch=sketch)
        check_room(plan.disk_bytes)
        scratch = Scratch()
        totals = {layer: Accumulation(scratch.matrix(n, n, torch.float64)) for layer in shapes}
        if sketch is None:
            self._multiply(stimuli, plan, totals)
        else:
            for layer, codes in self._coded(stimuli, plan, totals, sketch, seed).items():
                totals[layer].multiply(codes, plan.n_held, self.model.device)
        return {
            layer: self._kept(total, layer, shapes[layer], plan.request)
            for layer, total in totals.items()
        }

    def _kept(
        self, total: Accumulation, layer: str, shape: tuple[int, ...], request: GramRequest
    ) -> _Kept | NonFinite:
        name = f"layer {layer} of {self.model.card.name}"
        # Sums, for `isfinite` of all entries would take another Gram matrix of memory.
        whole_sum = total.finish()
        if not total.row_sums.sum().isfinite():
            return NonFinite(f"{name} has non-finite activations")
        if not isfinite(whole_sum):
            return NonFinite(f"{name} has activations whose products exceed float32")
        sketch = request.sketch if request.is_sketched(layer) else None
        return _Kept(total.gram, total.row_sums, shape, sketch)

    def _multiply(
        self, stimuli: StimulusSet, plan: Footprint, totals: Mapping[str, Accumulation]
    ) -> None:
        """Shows the stimuli in the planned passes, in each of which some are held."""
        for group in plan.groups:
            held = {}
            for part, offset in self._offsets(stimuli, group, plan.request).items():
                held[part.layer] = HeldFeatures(part, offset, plan.n_held)
                totals[part.layer].begin(offset)
            for start in plan.starts:
                for row, found in self._products(stimuli, start, held):
                    for layer, products in found.items():
                        totals[layer].add(row, start, products)
                for layer, one in held.items():
                    totals[layer].add_held(start, one)

    def _products(
        self, stimuli: StimulusSet, start: int, held: Mapping[str, HeldFeatures]
    ) -> Iterator[tuple[int, dict[str, Products]]]:
        """Products with the first stimuli from `start` on, which are held, of those after them."""

        def multiply(layer: str, activation: Tensor, row: int) -> Products:
            return held[layer].products(activation, row - start, with_moments=start == 0)

        return self._reduced(stimuli, start, list(held), multiply)

    def _coded(
        self,
        stimuli: StimulusSet,
        plan: Footprint,
        totals: Mapping[str, Accumulation],
        sketch: int,
        seed: int,
    ) -> dict[str, Matrix]:
        """Shows the stimuli once; what stands for them, (stimulus, dimension) by layer, on disk."""
        (group,), scratch, coders, codes = plan.groups, Scratch(), {}, {}
        for part, offset in self._offsets(stimuli, group, plan.request).items():
            layer, code = part.layer, None
            if plan.request.is_sketched(layer):
                code = count_sketch(part.n_features, sketch, seed, self.model.device)
            coders[layer] = Coder(offset, code)
            n_dimensions = plan.request.n_dimensions[layer]
            codes[layer] = scratch.matrix(len(stimuli), n_dimensions, plan.request.kept_as(layer))
            totals[layer].begin(offset)
        batches = self._reduced(
            stimuli, 0, list(coders), lambda layer, activation, _row: coders[layer](activation)
        )
        for row, found in batches:
            for layer, one in found.items():
                codes[layer].write(row, one.codes)
                totals[layer].count(row, one.moments)
        return codes

    def _offsets(
        self, stimuli: StimulusSet, group: Sequence[Slice], request: GramRequest
    ) -> dict[Slice, Tensor]:
        """What products leave out: the mean over some stimuli, or zero where features are few."""
        offsets = {part: torch.zeros(part.n_features, device=self.model.device) for part in group}
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
        for reference in range(n):
            image = stimuli.images[reference * len(stimuli) // n]
            self._show([image], list(many), copy)
            for layer, part in many.items():
                offsets[part] += seen[layer] / n
        return offsets

    def _reduced(
        self,
        stimuli: StimulusSet,
        start: int,
        layers: Sequence[str],
        reduce: Callable[[str, Tensor, int], T],
    ) -> Iterator[tuple[int, dict[str, T]]]:
        """Shows the stimuli from `start` on: each batch's first row, and by layer what is left of it.

        `reduce` gets a layer, a batch's activations, and its first row: again, should the batch
        have been too large.
        """

        def work(rows: Sequence[int]) -> tuple[int, dict[str, T]]:
            found: dict[str, T] = {}

            def receive(layer: str, activation: Tensor) -> None:
                found[layer] = reduce(layer, activation, rows[0])

            self._show([stimuli.images[row] for row in rows], layers, receive)
            return rows[0], found

        return self.model.in_batches(range(start, len(stimuli)), work)

    def _copied(self, images: Sequence[Pixels], layers: Sequence[str]) -> dict[str, Tensor]:
        copies: dict[str, Tensor] = {}

        def copy(layer: str, activation: Tensor) -> None:
            # A copy: the next module may work in place on this very tensor.
            copies[layer] = activation.clone().flatten(1).float().cpu()

        self._show(images, layers, copy)
        return {layer: copies[layer] for layer in layers}

    @torch.no_grad()
    def _show(self, images: Sequence[Pixels], layers: Sequence[str], receive: Receiver) -> None:
        """Shows the images to the network; `receive` gets each layer and its activations."""
        hooked = [name for name in layers if name != LOGITS]
        with _hooks(self.model.net, hooked, len(images), receive):
            logits = self.model.logits(self.model.view(images))
        if LOGITS in layers:
            receive(LOGITS, logits)


@contextmanager
def _hooks(
    net: nn.Module, layers: Sequence[str], n_images: int, receive: Receiver
) -> Iterator[None]:
    """Passes the layers' outputs, or the tokens wanted of them, to `receive` in the block.

    They are only valid during that call: the next module may work in place on them.
    """
    prefix, _ = tokens.n_prefix(net)

    def receiving(layer: str) -> Callable[[nn.Module, Any, Any], None]:
        kind = tokens.split(layer)[1]

        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            found = one_per_image(output, n_images)
            if found is None:
                shape = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
                raise Refusal(
                    f"layer {layer!r} returns {shape} for {n_images} images, not one tensor with "
                    "a row per image; choose a module inside or around it"
                )
            receive(layer, tokens.chosen(found.detach(), kind, prefix))

        return hook

    handles = [
        net.get_submodule(tokens.split(layer)[0]).register_forward_hook(receiving(layer))
        for layer in layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
