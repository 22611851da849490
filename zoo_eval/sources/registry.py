"""The sources by name: what stands before an architecture's first slash."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from zoo_eval.catalog import ModelCard
from zoo_eval.digests import digest, file_digest
from zoo_eval.errors import BadInput, Refusal, Unreachable, nearest, one_line
from zoo_eval.networks.anatomy import Anatomy, Key, shipped
from zoo_eval.paths import cache_folder, write_whole
from zoo_eval.sources.places import Place, place_of, places

if TYPE_CHECKING:
    from zoo_eval.sources.source import Source

# The sweep file's own models have no source: their architectures do.
LOCAL = "local"
FACTORY = "factory"
# A repository is named after a colon: hf-hub:OWNER/NAME.
HF_HUB = "hf-hub"
WILD = re.compile(r"[*?[]")
# An installed package offers models by entry points of this group: NAME = "module:function".
ENTRY_POINTS = "zoo_eval.models"
CARD_FACTS = (
    "name",
    "source",
    "architecture",
    "published_top1",
    "family",
    "pretraining",
    "licence",
)


@dataclass(frozen=True)
class Listed:
    """A card with the key of its anatomy; without one where it cannot be used, or is own code."""

    card: ModelCard
    library: str = ""
    key: Key | None = None

    @property
    def anatomy(self) -> Anatomy | None:
        """What is known of its shape without building it."""
        return shipped(self.library).get(self.key) if self.key else None


def source_of(architecture: str) -> Source:
    """The source that defines an architecture.

    Raises:
        Refusal: no source of that name, or one that cannot be had.
    """
    name = _named(architecture)
    if name not in places():
        raise Refusal(
            f"unknown architecture {architecture!r}: it starts with no source; "
            f"{nearest(name, _listed_first())}"
        )
    try:
        return cast("Source", place_of(name).load())
    except BadInput as error:
        raise Refusal(str(error)) from error


def _listed_first() -> list[str]:
    """The names of the sources, those of libraries first."""
    return sorted(places(), key=lambda name: (places()[name][0].distribution is None, name))


def _named(text: str) -> str:
    """The source that an architecture or a pattern begins with."""
    before, colon, _ = text.partition(":")
    return HF_HUB if colon and before == HF_HUB else text.partition("/")[0]


def cards(patterns: Sequence[str]) -> list[ModelCard]:
    """The cards of the sources that patterns of model names may mean.

    Raises:
        BadInput: a pattern over the hub's repositories, which nobody lists.
    """
    return [_with_family(listed.card) for listed in listed_cards(patterns)]


def _with_family(card: ModelCard) -> ModelCard:
    if card.source != HF_HUB:
        return card
    try:
        return replace(card, family=source_of(card.architecture).family(card.architecture))
    except Unreachable as error:
        # Asked again when it is planned it may answer, and nobody would know the family.
        return replace(card, unavailable=str(error), is_away=True)
    except Exception:  # noqa: BLE001
        # Said when it is used.
        return card


def listed_cards(patterns: Sequence[str]) -> list[Listed]:
    """The same with the keys of their anatomies; no library is imported for it twice a version.

    Raises:
        BadInput: a pattern over the hub's repositories, which nobody lists.
    """
    named = {_named(pattern) for pattern in patterns}
    everything = bool(named - set(places()) - {LOCAL})
    found: list[Listed] = []
    for name in _listed_first():
        if everything or name in named:
            found += _listed(name, asked_for=name in named)
    repositories = (pattern for pattern in patterns if _named(pattern) == HF_HUB)
    return found + [Listed(_repository(name)) for name in dict.fromkeys(repositories)]


def _listed(name: str, *, asked_for: bool) -> list[Listed]:
    """A source's cards; what a package offers and cannot be had is left out unless asked for."""
    if name == FACTORY:
        return [Listed(_entry_point(point)) for point in metadata.entry_points(group=ENTRY_POINTS)]
    if name == HF_HUB:
        return []
    try:
        place = place_of(name)
        if place.distribution is not None:
            return _library(place)
        return [Listed(card) for card in _offered(place)]
    except BadInput:
        if asked_for:
            raise
        return []


def _offered(place: Place) -> list[ModelCard]:
    try:
        return list(place.load().cards())
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(
            f"model source {place.name!r} of {place.by}: it cannot list its models "
            f"({one_line(error)}); mend or remove it"
        ) from error


def _repository(name: str) -> ModelCard:
    if WILD.search(name):
        raise BadInput(
            f"{name!r}: the hub's repositories are not listed; name each, {HF_HUB}:OWNER/NAME"
        )
    return ModelCard(name, HF_HUB, name)


def _entry_point(point: metadata.EntryPoint) -> ModelCard:
    package = point.dist.name if point.dist else "unknown"
    return ModelCard(f"{package}/{point.name}", FACTORY, f"{FACTORY}/{point.value}")


def _library(place: Place) -> list[Listed]:
    """A library's cards: read from the cache folder, or made and kept there."""
    assert place.distribution is not None, place.name
    assert place.file is not None, place.name
    version = metadata.version(place.distribution)
    identity = digest([version, CARD_FACTS, file_digest(place.file), file_digest(Path(__file__))])
    kept = cache_folder("cards") / f"{place.name}-{identity}.json"
    if not kept.is_file():
        source = cast("Source", place.load())
        rows = [_described(source, card) for card in source.cards()]
        write_whole(kept, json.dumps(rows))
    return [
        Listed(ModelCard(**dict(zip(CARD_FACTS, facts))), library, _key(key) if key else None)
        for facts, library, key in json.loads(kept.read_text())
    ]


def _described(source: Source, card: ModelCard) -> tuple[list[object], str, Key | None]:
    facts = [getattr(card, fact) for fact in CARD_FACTS]
    try:
        variant = source.variant(card.architecture)
        size = source.transform(card.architecture, None).size
    except Exception:  # noqa: BLE001 - said when it is used
        return facts, "", None
    assert variant is not None, card.architecture
    return facts, variant.library, (variant.architecture, size, variant.n_classes)


def _key(written: list[Any]) -> Key:
    architecture, (rows, columns), n_classes = written
    return architecture, (rows, columns), n_classes
