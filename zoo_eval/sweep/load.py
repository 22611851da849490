"""Loading: the stimulus sets, recordings and human maps that a sweep names, each read once."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, Protocol, TypeVar

import pyarrow as pa
import torch
from torch import Tensor

from zoo_eval.catalog import ModelCard
from zoo_eval.errors import BadInput, Refusal, StoreError, WrongSweep, nearest, one_line
from zoo_eval.evaluations.evaluation import EvaluationSection
from zoo_eval.importance.maps import ImportanceMaps, ImportanceSection
from zoo_eval.inputs import Inputs
from zoo_eval.models.blueprint import blueprint, transform_of
from zoo_eval.models.open_model import OpenModel, open_model
from zoo_eval.numerics.spatial import on_grid
from zoo_eval.queries import connection
from zoo_eval.recordings.recording import Pending, Recording, RecordingSection
from zoo_eval.representations.grams import NonFinite
from zoo_eval.representations.position_maps import MapsRequest, PositionMaps, layouts
from zoo_eval.representations.representations import Representations
from zoo_eval.stimuli import degrees
from zoo_eval.stimuli.identities import Identity
from zoo_eval.stimuli.stimulus_set import LayerIdentity, StimuliSection, StimulusSet
from zoo_eval.store import Store
from zoo_eval.sweep.cards import Roster
from zoo_eval.sweep.faults import PASSING, fault_of, refused
from zoo_eval.sweep.file import ComputeSection
from zoo_eval.sweep.patience import WAITS_S, Patience
from zoo_eval.transforms import Transform
from zoo_eval.views.kept import ViewFolder
from zoo_eval.views.views import NO_FOLDER

T = TypeVar("T")
PLANTING_BYTES = 2**31
# What becomes of images while inputs are read. `undecoded`: none is decoded, or `NotKnown` is raised;
# `streamed`: those whose set's digest is not known yet are decoded, one after another, and let go.
Pictures = Literal["undecoded", "streamed"]


class Naming(Protocol):
    """What names inputs in its sections: a sweep, or what a network is trained by."""

    @property
    def stimuli(self) -> Mapping[str, StimuliSection]: ...

    @property
    def recordings(self) -> Mapping[str, RecordingSection]: ...

    @property
    def importance(self) -> Mapping[str, ImportanceSection]: ...

    @property
    def evaluations(self) -> Sequence[EvaluationSection]: ...

    @property
    def run(self) -> ComputeSection: ...


class NotKnown(Exception):
    """A stimulus set's digest is not known, and cannot be without decoding its images."""


def read_inputs(
    sweep: Naming, roster: Roster, pictures: Pictures, patience: Patience | None = None
) -> Inputs:
    """Everything that a sweep is applied to; planted recordings are not made yet (see `made`).

    What cannot be read is noted with its reason, whatever that is, and the rest is read; what is away
    is waited for with `patience`, if any.

    Raises:
        BadInput: a name is unknown, or nothing that the evaluations name can be read.
        NotKnown: images were to be left undecoded, and one would have to be decoded.
    """
    return _Reader(sweep, roster, pictures, patience or Patience()).all()


def described(inputs: Inputs) -> Inputs:
    """The same without images: what a plan needs, and small to send to another process."""
    stimuli = {name: one.described() for name, one in inputs.stimuli.items()}
    return replace(inputs, stimuli=stimuli)


def as_planned(inputs: Inputs, planned: Mapping[str, Identity]) -> Inputs:
    """The same under the identities that a run was planned with: an image that changed since is refused.

    Raises:
        BadInput: a set has other ids, labels or groups than it was planned with.
    """
    for name, identity in planned.items():
        # One that can be read no longer is refused alone.
        if name in inputs.stimuli and inputs.stimuli[name].described_by != identity.described:
            raise BadInput(
                f"stimuli {name!r} changed while the sweep was planned; run the same command again"
            )
    stimuli = {
        name: replace(one, known=planned.get(name, one.known))
        for name, one in inputs.stimuli.items()
    }
    return replace(inputs, stimuli=stimuli)


def identities(inputs: Inputs) -> dict[str, Identity]:
    """Those of the stimulus sets by name."""
    return {name: one.identity for name, one in inputs.stimuli.items()}


def made(
    inputs: Inputs,
    names: Collection[str],
    roster: Roster,
    store: Store,
    folder: ViewFolder = NO_FOLDER,
) -> dict[str, Recording | Refusal]:
    """Those of the named recordings that were only planned yet, by name, or why one cannot be made.

    One that was made before is kept in the store, under its digest. What the network is shown for
    it is kept in `folder`. What is away meanwhile is waited for.

    Raises:
        StoreError: the store cannot be written.
    """
    found: dict[str, Recording | Refusal] = {}
    patience = Patience(WAITS_S)
    for name, recording in inputs.recordings.items():
        if name not in names or (pending := recording.pending) is None:
            continue
        try:
            kept = store.read_input(pending.digest)
            if kept is None:
                plant = partial(_planted, recording, pending, inputs, roster, folder)
                planted = patience.waited(f"recording {name!r}", plant)
                store.write_input(pending.digest, pending.table(planted))
            else:
                planted = pending.kept(kept)
            found[name] = planted
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001
            found[name] = refused(error, f"recording {name!r}")
    return found


def with_made(inputs: Inputs, made: Mapping[str, Recording | Refusal]) -> Inputs:
    """The inputs with recordings that were made since, or why they could not be."""
    recordings = {name: one for name, one in made.items() if not isinstance(one, Refusal)}
    reasons = {("recording", name): one for name, one in made.items() if isinstance(one, Refusal)}
    return replace(
        inputs,
        recordings={**inputs.recordings, **recordings},
        unreadable={**inputs.unreadable, **reasons},
    )


def _planted(
    recording: Recording, pending: Pending, inputs: Inputs, roster: Roster, folder: ViewFolder
) -> Recording:
    try:
        card = _card(pending.model, roster)
        model = open_model(card, torch.device("cpu"), folder=folder)
        shown = inputs.stimulus_set(recording.stimuli)
        of = _gram if pending.grid is None else _maps
        source = of(model, shown, pending)
    except Refusal as error:
        raise BadInput(f"recording {recording.name!r} cannot be planted: {error}") from error
    if isinstance(source, NonFinite):
        raise BadInput(
            f"recording {recording.name!r} cannot be planted: {source}; choose another layer"
        )
    return pending.made(source.double().numpy())


def _gram(model: OpenModel, shown: StimulusSet, pending: Pending) -> Tensor | NonFinite:
    """Of the planted layer (stimulus, stimulus)."""
    representations = Representations(model, PLANTING_BYTES)
    gram = representations.grams(shown, [pending.layer])[pending.layer]
    return gram if isinstance(gram, NonFinite) else gram.gram


def _maps(model: OpenModel, shown: StimulusSet, pending: Pending) -> Tensor | NonFinite:
    """Of the planted layer, at the grid's positions (stimulus, row, column, feature)."""
    layer, grid = pending.layer, pending.grid
    assert grid is not None
    found = layouts(model.blueprint, [layer])
    request = MapsRequest(found, len(shown), grid)
    request.within(PLANTING_BYTES)
    maps = PositionMaps(model, model.transform.squashed(), partial(on_grid, grid=grid))
    return maps.of(shown, found)[layer].read(f"layer {layer} of {model.card.name}")


@dataclass
class _Reader:
    """What sections ask for while they are read (`Sweepmates`); nothing is read twice."""

    sweep: Naming
    roster: Roster
    pictures: Pictures
    patience: Patience
    sets: dict[str, StimulusSet] = field(default_factory=dict)
    maps: dict[str, tuple[ImportanceMaps, StimulusSet | None]] = field(default_factory=dict)
    heard: dict[str, Recording] = field(default_factory=dict)
    being_read: list[str] = field(default_factory=list)
    being_heard: list[str] = field(default_factory=list)
    unreadable: dict[tuple[str, str], Refusal] = field(default_factory=dict)

    def all(self) -> Inputs:
        stimuli = self._those_read("stimuli", self.sweep.stimuli, self.stimuli)
        importance = self._those_read(
            "importance", self.sweep.importance, lambda name: self._maps(name)[0]
        )
        recordings = self._those_read("recording", self.sweep.recordings, self.recording)
        if self.unreadable and not (recordings or importance or stimuli):
            raise BadInput(str(next(iter(self.unreadable.values()))))
        hangs_on_all = any(one.compares_views for one in self.sweep.evaluations)
        compared = self._compared() if hangs_on_all else ()
        return Inputs(stimuli, recordings, importance, compared, self.unreadable)

    def _those_read(
        self, kind: str, names: Iterable[str], read: Callable[[str], T]
    ) -> dict[str, T]:
        """What can be read of one kind by name; of the rest, why it cannot, whatever was raised."""
        found = {}
        for name in names:
            try:
                reading = partial(self._anew, read, name)
                found[name] = self.patience.waited(f"{kind} {name!r}", reading)
            except (WrongSweep, NotKnown):
                raise
            except Exception as error:  # noqa: BLE001
                self.unreadable[kind, name] = refused(error, f"{kind} {name!r}")
        return found

    def _anew(self, read: Callable[[str], T], name: str) -> T:
        """What is read, whatever was being read when something else went wrong."""
        self.being_read.clear()
        self.being_heard.clear()
        return read(name)

    def _compared(self) -> tuple[Transform, ...]:
        """The transforms of the models that can be used, each once.

        Raises:
            BadInput: one cannot be had now: without it, all other models' trials would be others.
        """
        found: dict[Transform, None] = {}
        for card in self.roster.cards:
            try:
                found[self.patience.waited(card.name, partial(transform_of, card))] = None
            except Exception as error:
                # Why one cannot be used is said when its trials are planned.
                if fault_of(error) in PASSING:
                    raise BadInput(
                        f"{one_line(error)}; an evaluation compares what all models see: run the same "
                        "command again"
                    ) from error
        return tuple(found)

    @property
    def memory_budget_bytes(self) -> int:
        return self.sweep.run.memory_budget_bytes

    def stimuli(self, name: str) -> StimulusSet:
        if name not in self.sweep.stimuli:
            raise WrongSweep(f"unknown stimuli {name!r}; {nearest(name, self.sweep.stimuli)}")
        if (reason := self.unreadable.get(("stimuli", name))) is not None:
            raise reason.with_traceback(None)
        if name not in self.sets:
            if name in self.being_read:
                way = " -> ".join([*self.being_read, name])
                raise WrongSweep(f"stimuli {name!r} are made of themselves ({way}); name others")
            self.being_read.append(name)
            section = self.sweep.stimuli[name]
            self.sets[name] = self._pictured(degrees.shown(section, section.read(name, self)))
            self.being_read.pop()
        return self.sets[name]

    def recording(self, name: str) -> Recording:
        if name not in self.sweep.recordings:
            raise WrongSweep(f"unknown recording {name!r}; {nearest(name, self.sweep.recordings)}")
        if (reason := self.unreadable.get(("recording", name))) is not None:
            raise reason.with_traceback(None)
        if name not in self.heard:
            if name in self.being_heard:
                way = " -> ".join([*self.being_heard, name])
                raise WrongSweep(f"recordings {name!r} are made of themselves ({way}); name others")
            self.being_heard.append(name)
            self.heard[name] = self.sweep.recordings[name].read(name, self)
            self.being_heard.pop()
        return self.heard[name]

    def _pictured(self, stimuli: StimulusSet) -> StimulusSet:
        """The set with its identity, which says that each image can be decoded."""
        if self.pictures == "undecoded" and not stimuli.has_known_digest:
            raise NotKnown(stimuli.name)
        return stimuli.identified()

    def images_with(self, importance: str) -> StimulusSet:
        bringing = [name for name, one in self.sweep.importance.items() if one.brings_images]
        if importance not in bringing:
            raise WrongSweep(
                f"no importance {importance!r} that comes with images; "
                f"{nearest(importance, bringing)}"
            )
        images = self._maps(importance)[1]
        assert images is not None, importance
        return images

    def is_whole(self, stimuli: str) -> bool:
        return self.sweep.stimuli[stimuli].is_whole

    def select(self, table: pa.Table, condition: str | None, option: str) -> pa.Table:
        return connection.select(table, condition, option)

    def layer(self, model: str, layer: str) -> LayerIdentity:
        card = _card(model, self.roster)
        plan = blueprint(card)
        plan.layers([layer])
        return LayerIdentity(plan.weights_digest, plan.transform.key)

    def _maps(self, name: str) -> tuple[ImportanceMaps, StimulusSet | None]:
        if (reason := self.unreadable.get(("importance", name))) is not None:
            raise reason.with_traceback(None)
        if name not in self.maps:
            self.maps[name] = self.sweep.importance[name].read(name, self)
        return self.maps[name]


def _card(model: str, roster: Roster) -> ModelCard:
    by_name = {card.name: card for card in roster.cards}
    if model not in by_name:
        raise WrongSweep(f"model {model!r} is not in the sweep; {nearest(model, by_name)}")
    return by_name[model]
