"""Blueprint: what is known of a card before it is opened: the identity of its weights, its shape."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from zoo_eval.catalog import ModelCard, names_fitting
from zoo_eval.digests import DIGEST_CHARACTERS, digest, file_digest
from zoo_eval.errors import Refusal, Unreachable, nearest
from zoo_eval.models import grading
from zoo_eval.networks import measuring, tokens
from zoo_eval.networks.anatomy import POOLED, Anatomy, Pooled, Size, shipped
from zoo_eval.networks.runs import Layer
from zoo_eval.networks.tracing import trace
from zoo_eval.paths import cache_folder, write_whole
from zoo_eval.sources.registry import source_of
from zoo_eval.sources.source import INITIAL_SEED, Source
from zoo_eval.transforms import Transform
from zoo_eval.weights import checkpoints, fitting, urls

LOGITS = "logits"
# What is no module's output: no name of a network's own, and without tokens.
UNNAMED = (POOLED, LOGITS)
# Every so manieth block, `blocks/2`.
THINNED = re.compile(r"blocks/([2-9]|[1-9]\d+)")


class NoSuchLayer(Refusal):
    """A pattern that fits none of a model's layers, which are `known`."""

    def __init__(self, pattern: str, known: Sequence[str]) -> None:
        super().__init__(f"layer {pattern!r} is not in the model; {nearest(pattern, known)}")
        self.known = known


READ_BYTES = 2**24


@dataclass(frozen=True)
class Blueprint:
    """What is known of a card before it is opened: the identity of its weights, and its shape.

    `weights_key` is where in its checkpoint they stand, where the file holds others too.
    """

    architecture: str
    weights_digest: str
    transform: Transform
    anatomy: Anatomy
    weights_key: str | None = None

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the network's modules, in network order."""
        return measuring.module_names(self.outline)

    @property
    def captured(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes (image, ...) of the layers but the logits, for two images."""
        return _captured(self.architecture, self.transform.size)

    @property
    def outline(self) -> nn.Module:
        return source_of(self.architecture).outline(self.architecture)

    def layers(self, wanted: str | Sequence[str]) -> tuple[str, ...]:
        """Layer names, in network order: of a named choice, or patterns over module names.

        Choices are `blocks`, `blocks/N` (every Nth, counted back from the last, and the pooled
        features), `stages`, `feature_info`, `all`; `pooled` and `logits` are layers. Each may end in
        `:cls` or `:mean`, and so do the names it stands for. Of several patterns some may fit
        nothing.

        Raises:
            Refusal: no pattern fits, or only modules that cannot be captured.
        """
        patterns = [wanted] if isinstance(wanted, str) else list(wanted)
        found: dict[str, None] = {}
        misfits: list[Refusal] = []
        for pattern in patterns:
            try:
                found |= dict.fromkeys(self.fitting(pattern))
            except Refusal as error:
                misfits.append(error)
        if misfits and not found:
            raise misfits[0]
        return tuple(sorted(found, key=self.layer_index))

    def fitting(self, pattern: str) -> list[str]:
        """The layers that one pattern means.

        Raises:
            Refusal: there are none.
        """
        named, kind = tokens.split(pattern)
        if named == LOGITS and kind is None:
            return [LOGITS]
        if named in UNNAMED and kind is None:
            return self._named(named)
        layers = self._of_choice(named)
        if layers is None:
            layers = self._named(named)
        if kind is None:
            return layers
        suffixed = [f"{name}:{kind}" for name in layers if name not in UNNAMED]
        for layer in suffixed:
            tokens.check(layer, self.captured.get(tokens.split(layer)[0]), self.outline)
        return suffixed

    def _of_choice(self, named: str) -> list[str] | None:
        """The layers of a named choice; None where it is none."""
        if named == "all":
            return [*self.captured, LOGITS]
        thinned = re.fullmatch(THINNED, named)
        choice = "blocks" if thinned else named
        if choice not in self.anatomy.named:
            return None
        layers = [layer.name for layer in self.anatomy.named[choice]]
        if thinned:
            layers = _every(int(thinned[1]), layers)
        if choice == "feature_info" and not layers:
            raise Refusal('the model has no `feature_info` of timm\'s; write "stages" or "blocks"')
        return layers or [LOGITS]

    def _named(self, pattern: str) -> list[str]:
        known = [*self.modules, *UNNAMED]
        fitting = names_fitting(pattern, known)
        if not fitting:
            raise NoSuchLayer(pattern, known)
        if fitting == [LOGITS]:
            return fitting
        captured = [name for name in fitting if name == LOGITS or name in self.captured]
        if fitting == [POOLED] and not captured:
            raise Refusal(
                "there are no `pooled` features: the classifier reads no vector per image; "
                'write "blocks"'
            )
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
        place = self.anatomy.places.get(name)
        return measuring.position(name, self.modules) if place is None else place

    def depth(self, layer: str) -> float:
        """The layer's position as a share: 1 for the logits."""
        return self.layer_index(layer) / self.anatomy.n_modules


def _every(n: int, layers: Sequence[str]) -> list[str]:
    """Every nth block, counted back from the last, and the pooled features."""
    blocks = [name for name in layers if name != POOLED]
    return [*blocks[::-1][::n][::-1], *(name for name in layers if name == POOLED)]


@cache
def _captured(architecture: str, size: Size) -> Mapping[str, tuple[int, ...]]:
    return trace(source_of(architecture).outline(architecture), size).captured


def refuse_unavailable(card: ModelCard) -> None:
    """Nothing, where a card can be opened.

    Raises:
        Refusal: it cannot, as whoever made the card found.
    """
    if card.unavailable:
        raise (Unreachable if card.is_away else Refusal)(card.unavailable)


def transform_of(card: ModelCard) -> Transform:
    """The card's own transform, or its source's.

    Raises:
        Refusal: it cannot be used, or its source has none of that input size.
    """
    refuse_unavailable(card)
    source = source_of(card.architecture)
    return card.transform or source.transform(card.architecture, card.edits.input_px)


@cache
def blueprint(card: ModelCard, known_digest: str | None = None) -> Blueprint:
    """Facts of a card without its weights in memory.

    Where `known_digest` is given, nobody is asked for the identity of the weights.

    Raises:
        Refusal: unknown architecture, weights that are absent or do not fit, edits out of range.
    """
    refuse_unavailable(card)
    grading.check(card.edits)
    transform = transform_of(card)
    digest_now, weights_key = (known_digest, None) if known_digest else identified(card)
    return Blueprint(
        architecture=card.architecture,
        weights_digest=digest_now,
        transform=transform,
        anatomy=anatomy_of(source_of(card.architecture), card.architecture, transform.size),
        weights_key=weights_key,
    )


def anatomy_of_card(card: ModelCard) -> Anatomy:
    """The anatomy of a card's network, whatever its weights.

    Raises:
        Refusal: it cannot be built, or run on the card's input size.
    """
    source = source_of(card.architecture)
    return anatomy_of(source, card.architecture, transform_of(card).size)


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
    """The identity of a card's weights as evaluated: file, key in it and mapping, edits, own code.

    Raises:
        Refusal: unknown architecture, weights that are absent or do not fit.
    """
    return identified(card)[0]


def identified(card: ModelCard) -> tuple[str, str | None]:
    """The identity of a card's weights, and where in its file they stand if others do too."""
    source = source_of(card.architecture)
    weights_key = None
    identity: dict[str, Any] = {"keys": card.keys, "edits": card.edits.of_weights}
    code = source.code_digest(card.architecture)
    if code is not None:
        identity["code"] = code
    if card.weights == "untrained":
        base = digest({"untrained": card.architecture, "seed": INITIAL_SEED})
    elif card.sha256 is not None:
        # The file comes later: what it holds is not known yet.
        urls.check(str(card.url), card.sha256)
        base, weights_key = card.sha256[:DIGEST_CHARACTERS], card.weights_key
        identity["weights_key"] = weights_key
    elif card.checkpoint is None:
        base = source.weights_digest(card.architecture)
    else:
        found = checkpoints.chosen(card.checkpoint, card.weights_key)
        skeleton = source.skeleton(card.architecture)
        fitting.fitted(found, skeleton, card.checkpoint, card.keys, card.ignore)
        base = file_digest(card.checkpoint)
        weights_key = found.told
        # Without it stands what the file's digest alone has always meant.
        identity["weights_key"] = found.key if found.key != found.plain else None
    known = {name: value for name, value in identity.items() if name != "weights_key" or value}
    return (digest({"file": base, **known}) if any(known.values()) else base), weights_key


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
    known_facts = [[field.name for field in fields(Anatomy)], Layer._fields, Pooled._fields]
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
