"""Roster: the model cards of a sweep, the catalogue's and its own, with their facts."""

from collections.abc import Sequence
from pathlib import Path

from zoo_eval import paths
from zoo_eval.catalog import Catalog, Edits, ModelCard
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.sources import registry
from zoo_eval.sweep import facts
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep.facts import Sheet
from zoo_eval.sweep.file import LocalModel, Sweep, is_url
from zoo_eval.transforms import Transform

LOCAL = "local/"
FACTORY = "factory/"


def cards(sweep: Sweep, home: Path) -> list[ModelCard]:
    """The model cards of a sweep: the catalogue's and its own, included and not excluded.

    Raises:
        BadInput: a pattern fits no model.
    """
    catalog = Catalog([*own_cards(sweep, home), *registry.cards(sweep.models.include)])
    chosen = catalog.select(sweep.models.include, sweep.models.exclude)
    sheets = fact_sheets(sweep, home)
    chosen = [with_facts(card, sheets) for card in chosen]
    if sweep.models.weights == "untrained":
        chosen = [card if card.source == "local" else card.untrained() for card in chosen]
    return chosen


def own_cards(sweep: Sweep, home: Path) -> list[ModelCard]:
    """The cards of a sweep's own models and of its card files, whose paths start from their folder.

    Raises:
        BadInput: a card file is absent or wrong.
    """
    own = [local_card(model, home) for model in sweep.models.local]
    for text in sweep.models.cards:
        path = paths.resolve(text, home)
        own += [local_card(model, path.parent) for model in sweep_file.read_cards(path)]
    return own


def fact_sheets(sweep: Sweep, home: Path) -> list[Sheet]:
    """The sweep's files of facts.

    Raises:
        BadInput: one is absent or wrong.
    """
    return [facts.read(paths.resolve(text, home)) for text in sweep.models.facts]


def with_facts(card: ModelCard, sheets: Sequence[Sheet]) -> ModelCard:
    """The card with what the sheets say of it; what makes it unusable is said when it is used."""
    try:
        return facts.joined(
            card,
            sheets,
            lambda: registry.source_of(card.architecture).transform(card.architecture, None),
        )
    except Refusal:
        return card


def selected(sweep: Sweep, home: Path, only: str | None) -> list[ModelCard]:
    """The sweep's cards, narrowed to one pattern where the command line gives it.

    Raises:
        BadInput: the pattern fits no model of the sweep.
    """
    chosen = cards(sweep, home)
    return Catalog(chosen).select([only]) if only else chosen


def local_card(model: LocalModel, home: Path) -> ModelCard:
    """The card of an own model; files that are not there make it unavailable, not an error."""
    architecture = model.architecture or FACTORY + str(model.factory)
    unavailable = None
    files: dict[str, Path | None] = {}
    url = model.checkpoint if is_url(model.checkpoint) else None
    for key in ("checkpoint", "reference_logits"):
        text = None if key == "checkpoint" and url else getattr(model, key)
        try:
            files[key] = None if text is None else paths.resolve(text, home)
        except BadInput as error:
            unavailable = f"{key} of {LOCAL}{model.name}: {error}"
    try:
        family = registry.source_of(architecture).family(architecture)
    except Refusal as error:
        family, unavailable = "", str(error)
    return ModelCard(
        name=LOCAL + model.name,
        source="local",
        architecture=architecture,
        weights=model.weights,
        checkpoint=files.get("checkpoint"),
        url=url,
        sha256=model.sha256,
        transform=Transform(**model.transform.model_dump()) if model.transform else None,
        keys=tuple(model.keys.items()) if isinstance(model.keys, dict) else model.keys,
        edits=Edits(**model.edits.model_dump()),
        reference_logits=files.get("reference_logits"),
        published_top1=model.published_top1,
        family=family,
        pretraining=model.pretraining,
        objective=model.objective,
        harmonized_from=model.harmonized_from,
        year=model.year,
        licence=model.licence,
        unavailable=unavailable,
    )
