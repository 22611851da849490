"""Loading: the stimulus sets, recordings and human maps that a sweep file names."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from zoo_eval import paths
from zoo_eval.catalog import ModelCard
from zoo_eval.errors import BadInput, Refusal, nearest
from zoo_eval.importance.maps import ImportanceMaps
from zoo_eval.importance.sections import FolderImportance, OwnImages
from zoo_eval.inputs import AnyRecording, Inputs
from zoo_eval.models.blueprint import blueprint
from zoo_eval.models.open_model import open_model
from zoo_eval.recordings import ceiling_file, parquet, planted, rdm
from zoo_eval.recordings.recording import Recording
from zoo_eval.representations.grams import NonFinite, Representations
from zoo_eval.stimuli.crops import random_crops
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.stimuli.stimulus_set import StimulusSet
from zoo_eval.store import Store
from zoo_eval.sweep.cards import cards
from zoo_eval.sweep.file import (
    FolderStimuli,
    ImportanceStimuli,
    ParquetRecording,
    PlantedRecording,
    RdmRecording,
    Sweep,
)


def load_inputs(sweep: Sweep, home: Path, store: Store | None) -> Inputs:
    """Everything a sweep is applied to; a planted recording is kept in the store.

    Raises:
        BadInput: a path, image, label, response or map is wrong, or a name unknown.
    """
    with_images = {
        name: section.read(name, paths.resolve(section.path, home))
        for name, section in sweep.importance.items()
        if isinstance(section, OwnImages)
    }
    shown_to_people = {name: images for name, (images, _) in with_images.items()}
    sets: dict[str, StimulusSet] = {}
    for name in sweep.stimuli:
        _load_stimuli(name, sweep, home, sets, shown_to_people)
    inputs = Inputs(sets)
    importance = {name: maps for name, (_, maps) in with_images.items()}
    for name in [name for name in sweep.importance if name not in importance]:
        importance[name] = _load_maps(name, sweep, home, inputs)
    recordings: dict[str, AnyRecording] = {}
    for name, section in sweep.recordings.items():
        shown = inputs.stimulus_set(section.stimuli)
        if isinstance(section, PlantedRecording):
            recordings[name] = _plant(name, section, shown, cards(sweep, home), store)
        elif isinstance(section, RdmRecording):
            recordings[name] = rdm.read(
                name,
                paths.resolve(section.path, home),
                shown,
                section.variable,
                dissimilarity=section.dissimilarity,
            )
        else:
            recordings[name] = _responses(name, section, home, shown)
    return Inputs(sets, recordings, importance)


def _load_maps(name: str, sweep: Sweep, home: Path, inputs: Inputs) -> ImportanceMaps:
    """Maps that were made for a stimulus set of the sweep."""
    section = sweep.importance[name]
    assert not isinstance(section, OwnImages)
    photos = inputs.stimulus_set(section.stimuli)
    if not isinstance(section, FolderImportance):
        return section.read(name, photos)
    shown = sweep.stimuli[section.stimuli]
    narrowed = isinstance(shown, FolderStimuli) and (
        shown.include != ("*",) or shown.limit is not None
    )
    return section.read(name, paths.resolve(section.path, home), photos, exact=not narrowed)


def _responses(name: str, section: ParquetRecording, home: Path, shown: StimulusSet) -> Recording:
    recording = parquet.read(name, paths.resolve(section.path, home), shown)
    if section.ceilings is None:
        return recording
    path = paths.resolve(section.ceilings, home)
    found = ceiling_file.read(name, path, recording.target_ids, section.ceiling_scale)
    return replace(recording, file_ceilings=found)


def _load_stimuli(
    name: str,
    sweep: Sweep,
    home: Path,
    sets: dict[str, StimulusSet],
    shown_to_people: Mapping[str, StimulusSet],
) -> None:
    section = sweep.stimuli[name]
    if name in sets:
        return
    if isinstance(section, ImportanceStimuli):
        if section.importance not in shown_to_people:
            raise BadInput(
                f"stimuli {name!r}: no importance {section.importance!r} that comes with images; "
                f"{nearest(section.importance, shown_to_people)}"
            )
        sets[name] = replace(shown_to_people[section.importance], name=name)
        return
    if isinstance(section, FolderStimuli):
        sets[name] = read_folder(
            name,
            paths.resolve(section.path, home),
            include=section.include,
            labels=None if section.labels is None else paths.resolve(section.labels, home),
            label_pattern=section.label_pattern,
            limit=section.limit,
        )
        return
    for source in section.of:
        if not isinstance(sweep.stimuli.get(source), FolderStimuli):
            raise BadInput(
                f"stimuli {name!r}: `of` names {source!r}, which is no folder of images; "
                f"{nearest(source, sweep.stimuli)}"
            )
        _load_stimuli(source, sweep, home, sets, shown_to_people)
    sources = [sets[source] for source in section.of]
    sets[name] = random_crops(
        name, sources, n=section.n, size_px=section.size_px, seed=section.seed
    )


def _plant(
    name: str,
    section: PlantedRecording,
    shown: StimulusSet,
    available: Sequence[ModelCard],
    store: Store | None,
) -> Recording:
    by_name = {card.name: card for card in available}
    if section.model not in by_name:
        raise BadInput(
            f"recording {name!r} is planted in {section.model!r}, which is not in the sweep; "
            f"{nearest(section.model, by_name)}"
        )
    card = by_name[section.model]
    try:
        plan = blueprint(card)
        plan.layers([section.layer])
    except Refusal as error:
        raise BadInput(f"recording {name!r} cannot be planted: {error}") from error
    recipe = planted.Recipe(
        weights_digest=plan.weights_digest,
        transform=plan.transform.key,
        layer=section.layer,
        stimuli_digest=shown.digest,
        n_components=section.n_components,
        n_targets=section.n_targets,
        n_repetitions=section.n_repetitions,
        noise=section.noise,
        seed=section.seed,
    )
    kept = None if store is None else store.read_input(recipe.digest)
    if kept is not None:
        return planted.from_table(name, shown.name, kept, recipe)
    model = open_model(card, torch.device("cpu"))
    gram = Representations(model, budget_bytes=2**31).grams(shown, [section.layer])[section.layer]
    if isinstance(gram, NonFinite):
        raise BadInput(f"recording {name!r} cannot be planted: {gram}; choose another layer")
    recording = planted.plant(name, shown.name, gram.gram.numpy(), recipe)
    if store is not None:
        store.write_input(recipe.digest, planted.to_table(recording))
    return recording
