"""Representations of one open model: Gram matrices and features, computed once and shared."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zoo_eval import tokens
from zoo_eval.activations import one_per_image
from zoo_eval.errors import Refusal
from zoo_eval.models import LOGITS, OpenModel
from zoo_eval.stimuli import Pixels, StimulusSet

FLOAT32_BYTES = 4
# Wide enough for fast float64 products, narrow enough that the float64 copy stays small.
PRODUCT_COLUMNS = 8192


class NonFinite(ArithmeticError):
    """A layer's activations are NaN or infinite."""


@dataclass(frozen=True, eq=False)
class LayerGram:
    """One layer over a stimulus set: K = F F^T, float64 (stimulus, stimulus), and F's shape."""

    gram: Tensor
    shape: tuple[int, ...]

    @property
    def n_features(self) -> int:
        return int(torch.Size(self.shape).numel())


@dataclass(frozen=True)
class Slice:
    """Some of a layer's flattened features."""

    layer: str
    start: int
    stop: int


def passes(n_features: dict[str, int], n_stimuli: int, budget_bytes: int) -> list[list[Slice]]:
    """Which features to hold in which forward pass, so that no pass holds more than the budget.

    Layers are taken in order and cut where a pass is full: the number of passes is the least
    there can be, ceil(feature bytes / budget), up to rounding to whole features.

    Raises:
        Refusal: the budget does not hold a single feature of all stimuli.
    """
    capacity = budget_bytes // (n_stimuli * FLOAT32_BYTES)
    if capacity < 1:
        raise Refusal(
            f"memory_budget of {budget_bytes} bytes holds no feature of {n_stimuli} stimuli; raise it"
        )
    plan: list[list[Slice]] = [[]]
    room = capacity
    for layer, n in n_features.items():
        start = 0
        while start < n:
            if room == 0:
                plan.append([])
                room = capacity
            stop = min(n, start + room)
            plan[-1].append(Slice(layer, start, stop))
            room -= stop - start
            start = stop
    return plan


class Representations:
    """The layers of one open model, each Gram matrix computed once per stimulus set."""

    def __init__(self, model: OpenModel, budget_bytes: int) -> None:
        self.model = model
        self.budget_bytes = budget_bytes
        self._grams: dict[tuple[str, str], LayerGram | NonFinite] = {}

    def grams(
        self, stimuli: StimulusSet, layers: Sequence[str]
    ) -> dict[str, LayerGram | NonFinite]:
        """Gram matrices by layer; a layer with NaN or infinite activations gives that error."""
        missing = [layer for layer in layers if (stimuli.digest, layer) not in self._grams]
        if missing:
            for layer, gram in self._compute(stimuli, missing).items():
                self._grams[stimuli.digest, layer] = gram
        return {layer: self._grams[stimuli.digest, layer] for layer in layers}

    def features(self, stimuli: StimulusSet, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Each batch's features by layer, float32 (stimulus, feature) on the CPU, in order."""
        return self.model.in_batches(stimuli.images, lambda batch: self._forward(batch, layers))

    def shapes(self, stimuli: StimulusSet, layers: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """The shape of one image's activation, by layer."""
        captured = self._captured(stimuli.images[:1], layers)
        return {layer: tuple(captured[layer].shape[1:]) for layer in layers}

    def _compute(
        self, stimuli: StimulusSet, layers: Sequence[str]
    ) -> dict[str, LayerGram | NonFinite]:
        shapes = self.shapes(stimuli, layers)
        sizes = {layer: int(torch.Size(shape).numel()) for layer, shape in shapes.items()}
        n = len(stimuli)
        grams = {layer: torch.zeros(n, n, dtype=torch.float64) for layer in layers}
        for held in passes(sizes, n, self.budget_bytes):
            features = {part: torch.empty(n, part.stop - part.start) for part in held}
            self._fill(stimuli, features)
            for part, block in features.items():
                _accumulate(grams[part.layer], block)
        return {
            layer: LayerGram(grams[layer], shapes[layer])
            if grams[layer].isfinite().all()
            else NonFinite(f"layer {layer} of {self.model.card.name} has non-finite activations")
            for layer in layers
        }

    def _fill(self, stimuli: StimulusSet, held: dict[Slice, Tensor]) -> None:
        layers = list(dict.fromkeys(part.layer for part in held))
        filled = 0
        for batch in self.features(stimuli, layers):
            size = len(batch[layers[0]])
            for part, block in held.items():
                block[filled : filled + size] = batch[part.layer][:, part.start : part.stop]
            filled += size

    def _forward(self, images: Sequence[Pixels], layers: Sequence[str]) -> dict[str, Tensor]:
        captured = self._captured(images, layers)
        return {layer: values.flatten(1).float().cpu() for layer, values in captured.items()}

    @torch.no_grad()
    def _captured(self, images: Sequence[Pixels], layers: Sequence[str]) -> dict[str, Tensor]:
        captured: dict[str, Tensor] = {}
        hooked = [name for name in layers if name != LOGITS]
        with _hooks(self.model.net, hooked, len(images), captured):
            logits = self.model.logits(self.model.view(images))
        if LOGITS in layers:
            captured[LOGITS] = logits
        return captured


@contextmanager
def _hooks(
    net: nn.Module, layers: Sequence[str], n_images: int, captured: dict[str, Tensor]
) -> Iterator[None]:
    """Copies the layers' outputs, or the tokens wanted of them, into `captured` in the block."""
    prefix, _ = tokens.n_prefix(net)

    def copying(layer: str) -> Callable[[nn.Module, Any, Any], None]:
        kind = tokens.split(layer)[1]

        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            found = one_per_image(output, n_images)
            if found is None:
                shape = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
                raise Refusal(
                    f"layer {layer!r} returns {shape} for {n_images} images, not one tensor with "
                    "a row per image; choose a module inside or around it"
                )
            # A copy: the next module may work in place on this very tensor.
            captured[layer] = tokens.chosen(found.detach(), kind, prefix).clone()

        return hook

    handles = [
        net.get_submodule(tokens.split(layer)[0]).register_forward_hook(copying(layer))
        for layer in layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _accumulate(gram: Tensor, features: Tensor) -> None:
    """Adds F F^T to the Gram matrix (stimulus, stimulus), in float64, some columns at a time."""
    for start in range(0, features.shape[1], PRODUCT_COLUMNS):
        block = features[:, start : start + PRODUCT_COLUMNS].double()
        gram.addmm_(block, block.T)
