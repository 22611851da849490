"""Loading: the stimulus sets, recordings and human maps that a sweep names, each read once."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

import torch

from zoo_eval.catalog import ModelCard
from zoo_eval.errors import BadInput, Refusal, nearest
from zoo_eval.importance.maps import ImportanceMaps
from zoo_eval.inputs import Inputs
from zoo_eval.models.blueprint import blueprint, transform_of
from zoo_eval.models.open_model import open_model
from zoo_eval.recordings.recording import Pending, Recording
from zoo_eval.representations.grams import NonFinite
from zoo_eval.representations.representations import Representations
from zoo_eval.stimuli.stimulus_set import LayerIdentity, StimulusSet
from zoo_eval.store import Store
from zoo_eval.sweep.cards import Roster
from zoo_eval.sweep.file import Sweep
from zoo_eval.transforms import Transform

PLANTING_BYTES = 2**31
# What becomes of images while inputs are read. `undecoded`: none is decoded, or `NotKnown` is raised;
# `streamed`: those whose set's digest is not known yet are decoded and let go, which suits a plan;
# `kept`: these stay in memory; `held`: all are decoded and stay.
Pictures = Literal["undecoded", "streamed", "kept", "held"]


class NotKnown(Exception):
    """A stimulus set's digest is not known, and cannot be without decoding its images."""


def read_inputs(sweep: Sweep, roster: Roster, pictures: Pictures) -> Inputs:
    """Everything that a sweep is applied to; planted recordings are not made yet (see `made`).

    Raises:
        BadInput: a path, image, label, response or map is wrong, or a name unknown.
        NotKnown: images were to be left undecoded, and one would have to be decoded.
    """
    return _Reader(sweep, roster, pictures).all()


def described(inputs: Inputs) -> Inputs:
    """The same without images: what a plan needs, and small to send to another process."""
    stimuli = {name: one.described() for name, one in inputs.stimuli.items()}
    return replace(inputs, stimuli=stimuli)


def held(inputs: Inputs, digests: Mapping[str, str]) -> Inputs:
    """The same with all images in memory, for a run that was planned with these digests of sets.

    Raises:
        BadInput: an image changed since.
    """
    stimuli = {name: one.held() for name, one in inputs.stimuli.items()}
    for name, digest in digests.items():
        if stimuli[name].digest != digest:
            raise BadInput(
                f"stimuli {name!r} changed while the sweep was planned; run the same command again"
            )
    return replace(inputs, stimuli=stimuli)


def digests(inputs: Inputs) -> dict[str, str]:
    """The digests of the stimulus sets by name."""
    return {name: one.digest for name, one in inputs.stimuli.items()}


def made(
    inputs: Inputs, names: Collection[str], roster: Roster, store: Store
) -> dict[str, Recording]:
    """Those of the named recordings that were only planned yet, by name.

    One that was made before is kept in the store, under its digest.

    Raises:
        BadInput: the model cannot be opened, or its layer cannot give the recording.
    """
    return {
        name: _made(recording, pending, inputs, roster, store)
        for name, recording in inputs.recordings.items()
        if name in names and (pending := recording.pending) is not None
    }


def _made(
    recording: Recording, pending: Pending, inputs: Inputs, roster: Roster, store: Store
) -> Recording:
    kept = store.read_input(pending.digest)
    if kept is not None:
        return pending.kept(kept)
    try:
        model = open_model(_card(pending.model, roster), torch.device("cpu"))
        representations = Representations(model, PLANTING_BYTES)
        shown = inputs.stimulus_set(recording.stimuli)
        gram = representations.grams(shown, [pending.layer])[pending.layer]
    except Refusal as error:
        raise BadInput(f"recording {recording.name!r} cannot be planted: {error}") from error
    if isinstance(gram, NonFinite):
        raise BadInput(
            f"recording {recording.name!r} cannot be planted: {gram}; choose another layer"
        )
    found = pending.made(gram.gram.numpy())
    store.write_input(pending.digest, pending.table(found))
    return found


@dataclass
class _Reader:
    """What sections ask for while they are read (`Sweepmates`); nothing is read twice."""

    sweep: Sweep
    roster: Roster
    pictures: Pictures
    sets: dict[str, StimulusSet] = field(default_factory=dict)
    maps: dict[str, tuple[ImportanceMaps, StimulusSet | None]] = field(default_factory=dict)
    being_read: list[str] = field(default_factory=list)

    def all(self) -> Inputs:
        stimuli = {name: self.stimuli(name) for name in self.sweep.stimuli}
        importance = {name: self._maps(name)[0] for name in self.sweep.importance}
        recordings = {
            name: section.read(name, self) for name, section in self.sweep.recordings.items()
        }
        hangs_on_all = any(one.compares_views for one in self.sweep.evaluations)
        compared = tuple(_transforms(self.roster.cards)) if hangs_on_all else ()
        return Inputs(stimuli, recordings, importance, compared)

    def stimuli(self, name: str) -> StimulusSet:
        if name not in self.sweep.stimuli:
            raise BadInput(f"unknown stimuli {name!r}; {nearest(name, self.sweep.stimuli)}")
        if name not in self.sets:
            if name in self.being_read:
                way = " -> ".join([*self.being_read, name])
                raise BadInput(f"stimuli {name!r} are made of themselves ({way}); name others")
            self.being_read.append(name)
            self.sets[name] = self._pictured(self.sweep.stimuli[name].read(name, self))
            self.being_read.pop()
        return self.sets[name]

    def _pictured(self, stimuli: StimulusSet) -> StimulusSet:
        """The set as its images are wanted; its digest is known then, and that each can be decoded."""
        is_known = stimuli.has_known_digest
        if self.pictures == "undecoded" and not is_known:
            raise NotKnown(stimuli.name)
        if self.pictures == "held" or (self.pictures == "kept" and not is_known):
            return stimuli.held()
        _ = stimuli.digest
        return stimuli

    def images_with(self, importance: str) -> StimulusSet:
        bringing = [name for name, one in self.sweep.importance.items() if one.brings_images]
        if importance not in bringing:
            raise BadInput(
                f"no importance {importance!r} that comes with images; "
                f"{nearest(importance, bringing)}"
            )
        images = self._maps(importance)[1]
        assert images is not None, importance
        return images

    def is_whole(self, stimuli: str) -> bool:
        return self.sweep.stimuli[stimuli].is_whole

    def layer(self, model: str, layer: str) -> LayerIdentity:
        card = _card(model, self.roster)
        plan = blueprint(card)
        plan.layers([layer])
        return LayerIdentity(plan.weights_digest, plan.transform.key)

    def _maps(self, name: str) -> tuple[ImportanceMaps, StimulusSet | None]:
        if name not in self.maps:
            self.maps[name] = self.sweep.importance[name].read(name, self)
        return self.maps[name]


def _transforms(cards: Iterable[ModelCard]) -> Iterator[Transform]:
    """Those of the models that can be used, each once."""
    found: dict[Transform, None] = {}
    for card in cards:
        # Why one cannot be used is said when its trials are planned.
        with suppress(Refusal):
            found[transform_of(card)] = None
    yield from found


def _card(model: str, roster: Roster) -> ModelCard:
    by_name = {card.name: card for card in roster.cards}
    if model not in by_name:
        raise BadInput(f"model {model!r} is not in the sweep; {nearest(model, by_name)}")
    return by_name[model]
