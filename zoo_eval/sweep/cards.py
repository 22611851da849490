"""Cards: the models of a sweep, the catalogue's and its own, with the facts that its files say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from zoo_eval.catalog import Catalog, Edits, ModelCard
from zoo_eval.errors import BadInput, one_line, refusal_of
from zoo_eval.paths import SweepPath
from zoo_eval.section import Section
from zoo_eval.sources import registry
from zoo_eval.sweep import facts, toml
from zoo_eval.sweep.facts import Sheet
from zoo_eval.sweep.faults import PASSING, fault_of
from zoo_eval.transforms import Interpolation, Transform

LOCAL = "local/"
FACTORY = "factory/"
Three = tuple[float, float, float]


class EditsSection(Section):
    """How a graded model differs from its checkpoint."""

    prune: float = 0.0
    noise: float = 0.0
    bits: int | None = None
    input_px: int | None = None


class TransformSection(Section):
    """An own model's preprocessing: resize, centre crop, then (x - mean) / std.

    `interpolation` is the architecture's own where it is left out, and bilinear (torchvision's
    default) for a factory.
    """

    input_px: Annotated[int, Field(ge=1)]
    resize_px: Annotated[int, Field(ge=1)]
    mean: Three
    std: Three
    interpolation: Interpolation | None = None
    squash: bool = False
    resized: Literal["uint8", "float32"] = "uint8"

    @model_validator(mode="after")
    def _crop_fits(self) -> "TransformSection":
        if self.resize_px < self.input_px:
            raise ValueError("resize_px is smaller than input_px: there is nothing to crop")
        # What a Transform refuses, it refuses here, with the line of the file.
        self.of(None)
        return self

    def of(self, architecture: str | None) -> Transform:
        """The transform of an own model of this architecture (None: of own code).

        Raises:
            Refusal: the interpolation is left out, and the architecture is unknown.
        """
        given = self.model_dump()
        if given["interpolation"] is None:
            given["interpolation"] = "bilinear"
            if architecture is not None:
                own = registry.source_of(architecture).transform(architecture, None)
                given["interpolation"] = own.interpolation
        return Transform(**given)


class ModelSection(Section):
    """Base of what describes one model of the user's own."""

    name: Annotated[str, Field(min_length=1)]

    def card(self) -> ModelCard:
        """Its card; files that are not there make it unavailable, not an error."""
        raise NotImplementedError


class LocalModelSection(ModelSection):
    """An own model: an architecture with a checkpoint, or untrained; or a function that builds it."""

    architecture: str | None = None
    factory: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] | None = None
    transform: TransformSection | None = None
    weights: Literal["pretrained", "untrained"] = "pretrained"
    checkpoint: SweepPath | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    keys: str | dict[str, str] | None = None
    weights_key: Annotated[str, Field(min_length=1)] | None = None
    ignore: tuple[str, ...] = ()
    edits: EditsSection = EditsSection()
    reference_logits: SweepPath | None = None
    published_top1: Annotated[float, Field(gt=0, lt=1)] | None = None
    pretraining: str | None = None
    objective: str | None = None
    harmonized_from: str | None = None
    year: int | None = None
    licence: str | None = None

    @model_validator(mode="after")
    def _weights_are_one(self) -> "LocalModelSection":
        if self.weights == "untrained" and self.checkpoint is not None:
            raise ValueError("an untrained model has no checkpoint; remove one of the two")
        if (self.architecture is None) == (self.factory is None):
            raise ValueError("give `architecture` or `factory`, one of the two")
        if (self.sha256 is not None) != (self.url is not None):
            raise ValueError("`sha256` goes with a `checkpoint` that is an address, and only there")
        if self.checkpoint is None and (self.weights_key is not None or self.ignore):
            raise ValueError("`weights_key` and `ignore` go with a `checkpoint`; add it")
        if self.transform is not None and self.edits.input_px is not None:
            raise ValueError("`transform` says the input size; remove `input_px`")
        return self

    @property
    def url(self) -> str | None:
        """The address of the checkpoint, where it is one."""
        return self.checkpoint.text if self.checkpoint and self.checkpoint.is_url else None

    def card(self) -> ModelCard:
        architecture = self.architecture or FACTORY + str(self.factory)
        files, unavailable = self._files()
        family, transform, is_away = "", None, False
        try:
            family = registry.source_of(architecture).family(architecture)
            if self.transform is not None:
                transform = self.transform.of(self.architecture)
        # Whatever a source raises of one model is that one's refusal.
        except Exception as error:  # noqa: BLE001
            is_away = unavailable is None and fault_of(error) in PASSING
            unavailable = str(refusal_of(error, LOCAL + self.name))
        return ModelCard(
            name=LOCAL + self.name,
            source="local",
            architecture=architecture,
            weights=self.weights,
            checkpoint=files.get("checkpoint"),
            url=self.url,
            sha256=self.sha256,
            transform=transform,
            keys=tuple(self.keys.items()) if isinstance(self.keys, dict) else self.keys,
            weights_key=self.weights_key,
            ignore=self.ignore,
            edits=Edits(**self.edits.model_dump()),
            reference_logits=files.get("reference_logits"),
            published_top1=self.published_top1,
            family=family,
            pretraining=self.pretraining,
            objective=self.objective,
            harmonized_from=self.harmonized_from,
            year=self.year,
            licence=self.licence,
            unavailable=unavailable,
            is_away=is_away,
        )

    def _files(self) -> tuple[dict[str, Path], str | None]:
        """The card's files by key, and what is wrong with one of them."""
        found: dict[str, Path] = {}
        fault = None
        named = {"checkpoint": self.checkpoint, "reference_logits": self.reference_logits}
        for key, path in named.items():
            if path is None or path.is_url:
                continue
            try:
                found[key] = path.resolve()
            except BadInput as error:
                fault = f"{key} of {LOCAL}{self.name}: {error}"
        return found, fault


class ModelsSection(Section):
    """Which models of the catalogue, and own ones."""

    include: Annotated[tuple[str, ...], Field(min_length=1)]
    exclude: tuple[str, ...] = ()
    weights: Literal["pretrained", "untrained"] = "pretrained"
    local: tuple[LocalModelSection, ...] = ()
    cards: tuple[SweepPath, ...] = ()
    facts: tuple[SweepPath, ...] = ()

    def own(self) -> list[ModelCard]:
        """The cards of own models and of card files, whose paths start from their own folder.

        Raises:
            BadInput: a card file is absent or wrong.
        """
        found = [model.card() for model in self.local]
        for path in self.cards:
            file = path.resolve()
            found += [model.card() for model in toml.read(file, CardFile, file.parent).models]
        return found

    def sheets(self) -> list[Sheet]:
        """The files of facts.

        Raises:
            BadInput: one is absent or wrong.
        """
        return [facts.read(path.resolve()) for path in self.facts]


class CardFile(Section):
    """Own models in a file of their own, which several sweeps may name."""

    models: Annotated[tuple[LocalModelSection, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Roster:
    """The models of a sweep with their facts, and the files that say them: resolved once a run."""

    cards: tuple[ModelCard, ...]
    sheets: tuple[Sheet, ...]

    def narrowed(self, pattern: str | None) -> "Roster":
        """Only those models whose names fit a pattern; all without one.

        Raises:
            BadInput: the pattern fits no model of the sweep.
        """
        if pattern is None:
            return self
        return Roster(tuple(Catalog(self.cards).select([pattern])), self.sheets)

    def matched(self) -> list[str]:
        """How many of the models each file of facts knows, one line a file."""
        return [sheet.matched(self.cards) for sheet in self.sheets]


def roster(models: ModelsSection, live: Sequence[ModelCard] = ()) -> Roster:
    """The catalogue's models and own ones, included and not excluded, with their facts.

    `live` are cards that no file describes: of networks that exist as objects, or were harmonized.

    Raises:
        BadInput: a pattern fits no model; a card file or a file of facts is absent or wrong.
    """
    catalog = Catalog([*live, *models.own(), *registry.cards(models.include)])
    sheets = models.sheets()
    chosen = [with_facts(one, sheets) for one in catalog.select(models.include, models.exclude)]
    if models.weights == "untrained":
        chosen = [card if card.name.startswith(LOCAL) else card.untrained() for card in chosen]
    return Roster(tuple(chosen), tuple(sheets))


def with_facts(card: ModelCard, sheets: Sequence[Sheet]) -> ModelCard:
    """The card with what the sheets say of it; what makes it unusable is said when it is used.

    Without what may be had again it is unavailable, for its rows would lack what is known of it.
    """
    try:
        return facts.joined(
            card,
            sheets,
            lambda: registry.source_of(card.architecture).transform(card.architecture, None),
        )
    except Exception as error:  # noqa: BLE001
        if fault_of(error) not in PASSING or card.unavailable:
            return card
        return replace(card, unavailable=f"{card.name}: {one_line(error)}", is_away=True)
