"""OpenModel: weights on one device; [0, 1] pixels in, the model's own transform inside."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor, nn

from zoo_eval import grading
from zoo_eval.catalog import ModelCard
from zoo_eval.digests import digest, file_digest, seed_from
from zoo_eval.errors import Refusal, nearest
from zoo_eval.sources import checkpoints, key_mappings, timm
from zoo_eval.stimuli import Pixels
from zoo_eval.transforms import Transform

LOGITS = "logits"
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Blueprint:
    """What is known of a card before it is opened: the identity of its weights, and its shape."""

    weights_digest: str
    transform: Transform
    blocks: tuple[str, ...]
    modules: tuple[str, ...]
    n_params: int
    n_classes: int

    def layers(self, wanted: str | Sequence[str]) -> tuple[str, ...]:
        """Layer names, in network order: `blocks`, `logits`, or patterns over module names.

        Raises:
            Refusal: a pattern fits no module.
        """
        if wanted == "blocks":
            return self.blocks
        patterns = [wanted] if isinstance(wanted, str) else list(wanted)
        known = [*self.modules, LOGITS]
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in known):
                raise Refusal(f"layer {pattern!r} is not in the model; {nearest(pattern, known)}")
        return tuple(n for n in known if any(fnmatchcase(n, p) for p in patterns))

    def layer_index(self, layer: str) -> int:
        """The position of the layer's last module among the network's modules, in network order."""
        within = (i for i, m in enumerate(self.modules) if m == layer or m.startswith(layer + "."))
        return len(self.modules) if layer == LOGITS else max(within)

    def depth(self, layer: str) -> float:
        """The layer's position as a share: 1 for the logits."""
        return self.layer_index(layer) / len(self.modules)


@cache
def blueprint(card: ModelCard) -> Blueprint:
    """Facts of a card without its weights in memory.

    Raises:
        Refusal: unknown architecture, weights that are absent or do not fit, edits out of range.
    """
    if card.unavailable:
        raise Refusal(card.unavailable)
    skeleton = timm.skeleton(card.architecture)
    grading.check(card.edits)
    info = getattr(skeleton, "feature_info", [])
    blocks = tuple(entry["module"] for entry in info)
    return Blueprint(
        weights_digest=_weights_digest(card, skeleton),
        transform=timm.transform(card.architecture, card.edits.input_px),
        blocks=blocks or (LOGITS,),
        modules=tuple(name for name, _ in skeleton.named_modules() if name),
        n_params=sum(p.numel() for p in skeleton.parameters()),
        n_classes=int(getattr(skeleton, "num_classes", 0)),
    )


def _weights_digest(card: ModelCard, skeleton: nn.Module) -> str:
    if card.weights == "untrained":
        return digest({"untrained": card.architecture, "seed": timm.INITIAL_SEED})
    if card.checkpoint is None:
        return timm.hub_file(card.architecture).digest
    state = key_mappings.apply(checkpoints.read(card.checkpoint), card.keys, skeleton)
    checkpoints.check(state, skeleton, card.checkpoint)
    base = file_digest(card.checkpoint)
    if card.keys is None and not card.edits.of_weights:
        return base
    return digest({"file": base, "keys": card.keys, "edits": card.edits.of_weights})


def _network(card: ModelCard, weights_digest: str) -> nn.Module:
    if card.weights == "untrained":
        return timm.initial(card.architecture)
    if card.checkpoint is None:
        return timm.pretrained(card.architecture)
    net = timm.initial(card.architecture)
    state = key_mappings.apply(checkpoints.read(card.checkpoint), card.keys, net)
    checkpoints.check(state, net, card.checkpoint)
    net.load_state_dict(state, strict=True)
    grading.grade(net, card.edits, seed=seed_from(weights_digest))
    return net


class OpenModel:
    """A model in evaluation mode with frozen weights on one device.

    Pixels are (image, RGB, row, column) in [0, 1]; gradients flow to them. `n_passes` counts image
    passes, forward and backward.
    """

    def __init__(
        self, card: ModelCard, plan: Blueprint, net: nn.Module, device: torch.device
    ) -> None:
        self.card = card
        self.blueprint = plan
        self.transform = plan.transform
        self.device = device
        self.net = net.eval().requires_grad_(False).to(device)
        self.batch_size = 32
        self.n_passes = 0

    def __call__(self, pixels: Tensor) -> Tensor:
        """Logits (image, class) of pixels of any size, through the model's own resize and crop."""
        return self.logits(self.transform.view(pixels))

    def logits(self, view: Tensor) -> Tensor:
        """Logits (image, class) of what the model sees: pixels already at its input size."""
        self.n_passes += len(view)
        logits: Tensor = self.net(self.transform.normalise(view))
        if logits.requires_grad:
            logits.register_hook(self._count_backward)  # type: ignore[no-untyped-call]  # torch
        return logits

    def _count_backward(self, gradient: Tensor) -> None:
        self.n_passes += len(gradient)

    def view(self, images: Sequence[Pixels]) -> Tensor:
        """Decoded images (row, column, RGB) of any size -> what the model sees, in [0, 1]."""
        return self.transform.view_images(images, self.device)

    @torch.no_grad()
    def predict(self, images: Sequence[Pixels]) -> Tensor:
        """Logits (image, class) of decoded images, on the CPU, batch by batch."""
        batches = self.in_batches(images, lambda batch: self.logits(self.view(batch)).cpu())
        return torch.cat(list(batches))

    def in_batches(self, images: Sequence[S], work: Callable[[Sequence[S]], T]) -> Iterator[T]:
        """`work` on each batch of images (or of their row numbers), in order; a batch that exhausts GPU memory is halved.

        Raises:
            torch.OutOfMemoryError: a single image is too much.
        """
        start = 0
        while start < len(images):
            batch = images[start : start + self.batch_size]
            result = None
            try:
                result = work(batch)
            except torch.OutOfMemoryError:
                if self.batch_size == 1:
                    raise
            # Outside the handler, whose traceback would keep the tensors alive.
            if result is None:
                self.batch_size //= 2
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
            else:
                start += len(batch)
                yield result


def open_model(card: ModelCard, device: torch.device) -> OpenModel:
    """The card's model, loaded.

    Raises:
        Refusal: its weights are absent, damaged or do not fit.
    """
    plan = blueprint(card)
    return OpenModel(card, plan, _network(card, plan.weights_digest), device)
