"""Blueprint: what is known of a card before it is opened: the identity of its weights, its shape."""

import fnmatch
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from zoo_eval.catalog import ModelCard
from zoo_eval.digests import DIGEST_CHARACTERS, digest, file_digest
from zoo_eval.errors import Refusal, nearest
from zoo_eval.models import grading
from zoo_eval.networks import measuring, tokens
from zoo_eval.networks.anatomy import Anatomy, Block, Size, shipped
from zoo_eval.paths import cache_folder, write_whole
from zoo_eval.sources.registry import source_of
from zoo_eval.sources.source import INITIAL_SEED, Source
from zoo_eval.transforms import Transform
from zoo_eval.weights import checkpoints, key_mappings, urls

LOGITS = "logits"
READ_BYTES = 2**24


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


def transform_of(card: ModelCard) -> Transform:
    """The card's own transform, or its source's.

    Raises:
        Refusal: it cannot be used, or its source has none of that input size.
    """
    if card.unavailable:
        raise Refusal(card.unavailable)
    source = source_of(card.architecture)
    return card.transform or source.transform(card.architecture, card.edits.input_px)


@cache
def blueprint(card: ModelCard, known_digest: str | None = None) -> Blueprint:
    """Facts of a card without its weights in memory.

    Where `known_digest` is given, nobody is asked for the identity of the weights.

    Raises:
        Refusal: unknown architecture, weights that are absent or do not fit, edits out of range.
    """
    if card.unavailable:
        raise Refusal(card.unavailable)
    grading.check(card.edits)
    transform = transform_of(card)
    return Blueprint(
        architecture=card.architecture,
        weights_digest=known_digest or weights_digest(card),
        transform=transform,
        anatomy=anatomy_of(source_of(card.architecture), card.architecture, transform.size),
    )


def is_hosted(card: ModelCard) -> bool:
    """Whether only a host elsewhere can tell which weights the card means."""
    own = card.weights == "untrained" or card.checkpoint is not None or card.sha256 is not None
    made_here = card.live is not None or card.architecture.startswith("factory/")
    return not (own or card.unavailable or made_here)


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


def anatomy_of(source: Source, architecture: str, size: Size) -> Anatomy:
    """The anatomy of an architecture at one input size: shipped, kept in the cache, or measured.

    Raises:
        Refusal: no such architecture, or it cannot be built or run on this input size.
    """
    variant = source.variant(architecture)
    if variant is None:
        return _measured(source, architecture, size)
    key = (variant.architecture, size, variant.n_classes)
    if (known := shipped(variant.library).get(key)) is not None:
        return known
    # What another version has kept may lack what this one knows.
    known_facts = [[field.name for field in fields(Anatomy)], Block._fields]
    kept = cache_folder("anatomies") / variant.library / f"{digest([*key, *known_facts])}.json"
    if kept.is_file():
        return Anatomy.from_json(json.loads(kept.read_text()))
    found = _measured(source, architecture, size)
    write_whole(kept, json.dumps(asdict(found)))
    return found


def _measured(source: Source, architecture: str, size: Size) -> Anatomy:
    try:
        return measuring.measure(source.outline(architecture), size)
    except Refusal as error:
        raise Refusal(f"{architecture} cannot be used: {error}; leave it out") from error


def own_checkpoint(card: ModelCard) -> Path | None:
    """The file of the card's own weights, downloaded once where it has an address; None elsewhere."""
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
    path = own_checkpoint(card) or source_of(card.architecture).fetch(card.architecture)
    if path is None:
        return
    # Read once, a file stays in the system's memory for as long as there is room.
    with path.open("rb") as file:
        while file.read(READ_BYTES):
            pass
