"""Capture: stimuli are shown to an open model, and its layers' activations handed on."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from zoo_eval.errors import Refusal
from zoo_eval.models.blueprint import LOGITS, UNNAMED
from zoo_eval.models.open_model import REDUCED, OpenModel
from zoo_eval.networks import tokens
from zoo_eval.networks.activations import one_per_image, vector_per_image
from zoo_eval.networks.anatomy import POOLED, Pooled
from zoo_eval.numerics import precision
from zoo_eval.numerics.precision import FLOAT32
from zoo_eval.stimuli.stimulus_set import StimulusSet

T = TypeVar("T")
# Gets a layer and a batch's activations (image, ...), which are valid during the call only.
Receiver = Callable[[str, Tensor], None]
# Gets the number of the batch's first stimulus besides, and leaves something of them.
Reduction = Callable[[str, Tensor, int], T]


@dataclass(frozen=True, eq=False)
class Capture:
    """The activations of an open model's layers, as they pass by.

    Layers are names of modules, `pooled` or `logits`; each must be one tensor per image.
    """

    model: OpenModel

    @torch.no_grad()
    def show(self, view: Tensor, layers: Sequence[str], receive: Receiver) -> None:
        """Shows a batch (image, RGB, row, column), as the model sees it, to the network.

        `receive` gets each layer and its activations.

        Raises:
            Refusal: a layer is not one tensor per image.
        """
        hooked = [name for name in layers if name not in UNNAMED]
        pooled = self.model.blueprint.anatomy.pooled if POOLED in layers else None
        net, n_images = self.model.net, len(view)
        handed = receive if self.model.numerics == FLOAT32 else self._exactly(receive)
        with _hooks(net, hooked, n_images, handed), _pooled(net, pooled, n_images, handed):
            logits = self.model.logits(view)
        if LOGITS in layers:
            receive(LOGITS, logits)

    def _exactly(self, receive: Receiver) -> Receiver:
        """Whatever the network runs by, what becomes of its activations is exact."""

        def handed(layer: str, activation: Tensor) -> None:
            with precision.exact(self.model.device):
                receive(layer, activation.float() if activation.dtype in REDUCED else activation)

        return handed

    def reduced(
        self, stimuli: StimulusSet, layers: Sequence[str], reduce: Reduction[T], *, start: int = 0
    ) -> Iterator[tuple[int, dict[str, T]]]:
        """Shows the stimuli from `start` on: each batch's first row, and by layer what is left of it.

        A batch that was too large is shown again in parts, and reduced again.
        """
        views = self.model.views(stimuli)

        def work(rows: Sequence[int]) -> tuple[int, dict[str, T]]:
            found: dict[str, T] = {}

            def receive(layer: str, activation: Tensor) -> None:
                found[layer] = reduce(layer, activation, rows[0])

            self.show(views[rows], layers, receive)
            return rows[0], found

        return self.model.in_batches(range(start, len(stimuli)), work)

    def features(self, stimuli: StimulusSet, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Each batch's features by layer, float32 (stimulus, feature) on the CPU, in order."""
        for _, found in self.reduced(stimuli, layers, _copied):
            yield {layer: found[layer] for layer in layers}

    def shapes(self, stimuli: StimulusSet, layers: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """The shape of one image's activation, by layer: that of the first image."""
        found: dict[str, tuple[int, ...]] = {}

        def note(layer: str, activation: Tensor) -> None:
            found[layer] = tuple(activation.shape[1:])

        self.show(self.model.views(stimuli).alone(0), layers, note)
        return {layer: found[layer] for layer in layers}


def _copied(_layer: str, activation: Tensor, _row: int) -> Tensor:
    # A copy: the next module may work in place on this very tensor.
    return activation.clone().flatten(1).float().cpu()


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


@contextmanager
def _pooled(
    net: nn.Module, pooled: Pooled | None, n_images: int, receive: Receiver
) -> Iterator[None]:
    """Passes what the classifier reads to `receive` in the block, (image, feature)."""
    if pooled is None:
        yield
        return

    def take(value: Any) -> None:
        found = vector_per_image(value, n_images)
        if found is None:
            raise Refusal(
                f"layer {POOLED!r}: what the classifier reads is no vector per image here; "
                "choose a module inside the network"
            )
        receive(POOLED, found.detach())

    module = net.get_submodule(pooled.module)
    if pooled.end == "input":
        handle = module.register_forward_pre_hook(lambda _module, given: take(given))
    else:
        handle = module.register_forward_hook(lambda _module, _given, output: take(output))
    try:
        yield
    finally:
        handle.remove()
