"""OpenModel: weights on one device; [0, 1] pixels in, the model's own transform inside."""

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from zoo_eval import grading, heap, measuring, tokens
from zoo_eval.anatomy import Anatomy, Size
from zoo_eval.catalog import ModelCard
from zoo_eval.digests import DIGEST_CHARACTERS, digest, file_digest, seed_from
from zoo_eval.errors import Refusal, nearest
from zoo_eval.sources import INITIAL_SEED, checkpoints, key_mappings, urls
from zoo_eval.sources.registry import source_of
from zoo_eval.stimuli import Pixels
from zoo_eval.transforms import Transform

LOGITS = "logits"
READ_BYTES = 2**24
LARGEST_ON_GPU = 128
# Larger batches are no faster there.
LARGEST_ON_CPU = 32
CPU_ROOM_BYTES = 2**33
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Blueprint:
    """What is known of a card before it is opened: the identity of its weights, and its shape."""

    architecture: str
    weights_digest: str
    transform: Transform
    anatomy: Anatomy

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the network's modules, in network order."""
        return measuring.module_names(self.outline)

    @property
    def captured(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes (image, ...) of what modules return for two images, where it is one tensor."""
        return _captured(self.architecture, self.transform.size)

    @property
    def outline(self) -> nn.Module:
        return source_of(self.architecture).outline(self.architecture)

    def layers(self, wanted: str | Sequence[str]) -> tuple[str, ...]:
        """Layer names, in network order: `blocks`, `all`, `logits`, or patterns over module names.

        Each may end in `:cls` or `:mean`, and so do the names it stands for.

        Raises:
            Refusal: a pattern fits no module, or only modules that cannot be captured.
        """
        patterns = [wanted] if isinstance(wanted, str) else list(wanted)
        found = dict.fromkeys(layer for pattern in patterns for layer in self._fitting(pattern))
        return tuple(sorted(found, key=self.layer_index))

    def _fitting(self, pattern: str) -> list[str]:
        named, kind = tokens.split(pattern)
        if named == LOGITS and kind is None:
            return [LOGITS]
        if named == "blocks":
            fitting = [block.name for block in self.anatomy.blocks] or [LOGITS]
        elif named == "all":
            fitting = [*self.captured, LOGITS]
        else:
            fitting = self._named(named)
        if kind is None:
            return fitting
        layers = [f"{name}:{kind}" for name in fitting if name != LOGITS]
        for layer in layers:
            tokens.check(layer, self.captured.get(tokens.split(layer)[0]), self.outline)
        return layers

    def _named(self, pattern: str) -> list[str]:
        known = [*self.modules, LOGITS]
        fitting = fnmatch.filter(known, pattern)
        if not fitting:
            raise Refusal(f"layer {pattern!r} is not in the model; {nearest(pattern, known)}")
        captured = [name for name in fitting if name == LOGITS or name in self.captured]
        if not captured:
            raise Refusal(
                f"layer {fitting[0]!r} cannot be captured: it does not run, or returns no tensor "
                "with one row per image; choose a module inside or around it"
            )
        return captured

    def layer_index(self, layer: str) -> int:
        """The position of the layer's last module among the network's modules, in network order."""
        name = tokens.split(layer)[0]
        if name == LOGITS:
            return self.anatomy.n_modules
        places = {block.name: block.place for block in self.anatomy.blocks}
        return places[name] if name in places else measuring.position(name, self.modules)

    def depth(self, layer: str) -> float:
        """The layer's position as a share: 1 for the logits."""
        return self.layer_index(layer) / self.anatomy.n_modules


@cache
def _captured(architecture: str, size: Size) -> Mapping[str, tuple[int, ...]]:
    return measuring.captured(source_of(architecture).outline(architecture), size)


@cache
def blueprint(card: ModelCard, known_digest: str | None = None) -> Blueprint:
    """Facts of a card without its weights in memory.

    Where `known_digest` is given, nobody is asked for the identity of the weights.

    Raises:
        Refusal: unknown architecture, weights that are absent or do not fit, edits out of range.
    """
    if card.unavailable:
        raise Refusal(card.unavailable)
    source = source_of(card.architecture)
    grading.check(card.edits)
    transform = card.transform or source.transform(card.architecture, card.edits.input_px)
    return Blueprint(
        architecture=card.architecture,
        weights_digest=known_digest or weights_digest(card),
        transform=transform,
        anatomy=measuring.of(source, card.architecture, transform.size),
    )


def is_hosted(card: ModelCard) -> bool:
    """Whether only a host elsewhere can tell which weights the card means."""
    own = card.weights == "untrained" or card.checkpoint is not None or card.sha256 is not None
    return not (own or card.unavailable or card.architecture.startswith("factory/"))


def revision(card: ModelCard) -> str | None:
    """The hub's revision of a hosted model's weights; None for others.

    Raises:
        Refusal: the hub cannot be reached.
    """
    return source_of(card.architecture).revision(card.architecture) if is_hosted(card) else None


def weights_digest(card: ModelCard) -> str:
    """The identity of a card's weights as evaluated: file, key mapping, edits, own code.

    Raises:
        Refusal: unknown architecture, weights that are absent or do not fit.
    """
    source = source_of(card.architecture)
    identity: dict[str, Any] = {"keys": card.keys, "edits": card.edits.of_weights}
    code = source.code_digest(card.architecture)
    if code is not None:
        identity["code"] = code
    if card.weights == "untrained":
        base = digest({"untrained": card.architecture, "seed": INITIAL_SEED})
    elif card.sha256 is not None:
        base = card.sha256[:DIGEST_CHARACTERS]
    elif card.checkpoint is None:
        base = source.weights_digest(card.architecture)
    else:
        skeleton = source.skeleton(card.architecture)
        state = key_mappings.apply(checkpoints.read(card.checkpoint), card.keys, skeleton)
        checkpoints.check(state, skeleton, card.checkpoint)
        base = file_digest(card.checkpoint)
    return digest({"file": base, **identity}) if any(identity.values()) else base


def _network(card: ModelCard, weights_digest: str) -> nn.Module:
    source = source_of(card.architecture)
    trained = card.weights != "untrained"
    if trained and card.checkpoint is None and card.url is None:
        net = source.pretrained(card.architecture)
    else:
        net = source.initial(card.architecture)
    if trained and (checkpoint := _own_checkpoint(card)) is not None:
        state = key_mappings.apply(checkpoints.read(checkpoint), card.keys, net)
        checkpoints.check(state, net, checkpoint)
        net.load_state_dict(state, strict=True)
    grading.grade(net, card.edits, seed=seed_from(weights_digest))
    return source.classifier(net, card.architecture, weights_digest if trained else None)


def _own_checkpoint(card: ModelCard) -> Path | None:
    if card.url is not None and card.sha256 is not None:
        return urls.download(card.url, card.sha256)
    return card.checkpoint


def fetch(card: ModelCard) -> None:
    """Brings the file of a card's weights into this machine's cache and into its memory.

    Raises:
        Refusal: it cannot be reached.
    """
    if card.weights == "untrained" or card.unavailable:
        return
    path = _own_checkpoint(card) or source_of(card.architecture).fetch(card.architecture)
    if path is None:
        return
    # Read once, a file stays in the system's memory for as long as there is room.
    with path.open("rb") as file:
        while file.read(READ_BYTES):
            pass


def first_batch(activation_bytes: int, device: torch.device) -> int:
    """How many images at a time, to begin with: those whose activations fit, gradients included.

    Half of a GPU's free memory is left for what is not known, half of `CPU_ROOM_BYTES` likewise.
    """
    if device.type == "cuda":
        room, most = torch.cuda.mem_get_info(device)[0], LARGEST_ON_GPU
    else:
        room, most = CPU_ROOM_BYTES, LARGEST_ON_CPU
    return max(1, min(most, room // 2 // max(1, activation_bytes)))


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
        self.batch_size = first_batch(plan.anatomy.activation_bytes, device)
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
    """The card's model, loaded. On a CPU, the process keeps freed memory from then on (see `heap`).

    Raises:
        Refusal: its weights are absent, damaged or do not fit.
    """
    if device.type == "cpu":
        heap.keep_freed()
    plan = blueprint(card)
    return OpenModel(card, plan, _network(card, plan.weights_digest), device)
