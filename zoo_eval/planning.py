"""Planning: from a sweep file to its inputs, its pending trials and its refusals; runs nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from zoo_eval import paths, stimuli
from zoo_eval.catalog import Catalog, Edits, ModelCard
from zoo_eval.errors import BadInput, Refusal, nearest
from zoo_eval.evaluations import Choices, Evaluation, Subject
from zoo_eval.evaluations.accuracy import Accuracy
from zoo_eval.evaluations.gate import Gate
from zoo_eval.inputs import Inputs
from zoo_eval.models import blueprint, open_model
from zoo_eval.recordings import Recording, parquet, planted
from zoo_eval.representations import NonFinite, Representations
from zoo_eval.sources import timm
from zoo_eval.stimuli import StimulusSet
from zoo_eval.store import Ledger, Store
from zoo_eval.sweep import (
    FolderStimuli,
    LocalModel,
    PlantedRecording,
    Sweep,
)
from zoo_eval.trial import Trial

LOCAL = "local/"


@dataclass(frozen=True)
class Group:
    """Trials of one evaluation that are run and committed together."""

    evaluation: Evaluation
    trials: tuple[Trial, ...]
    attempts: tuple[int, ...]
    n_passes: int


@dataclass(frozen=True)
class Order:
    """A model, opened once, and everything pending on it; or what needs no model."""

    subject: Subject
    groups: tuple[Group, ...]

    @property
    def name(self) -> str:
        return self.subject.card.name if self.subject.card else "(no model)"

    @property
    def n_trials(self) -> int:
        return sum(len(group.trials) for group in self.groups)

    @property
    def cost(self) -> int:
        """Image passes times parameters: comparable between orders, nothing more."""
        size = self.subject.blueprint.n_params if self.subject.blueprint else 1
        return size * sum(group.n_passes for group in self.groups)


@dataclass(frozen=True)
class Refused:
    """A trial that cannot be run, recorded under the digest of the request, and why."""

    trial: Trial
    reason: str


@dataclass
class Plan:
    """What a sweep wants, what the store has, and what is left to do."""

    wanted: int = 0
    done: int = 0
    failed_before: int = 0
    refused: list[Refused] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)

    @property
    def pending(self) -> int:
        return sum(order.n_trials for order in self.orders)

    @property
    def n_passes(self) -> int:
        return sum(group.n_passes for order in self.orders for group in order.groups)


def cards(sweep: Sweep, home: Path) -> list[ModelCard]:
    """The model cards of a sweep: the catalogue's and its own, included and not excluded.

    Raises:
        BadInput: a pattern fits no model.
    """
    own = [local_card(model, home) for model in sweep.models.local]
    catalog = Catalog([*own, *timm.cards()])
    chosen = catalog.select(sweep.models.include, sweep.models.exclude)
    if sweep.models.weights == "untrained":
        chosen = [card if card.source == "local" else card.untrained() for card in chosen]
    return chosen


def selected(sweep: Sweep, home: Path, only: str | None) -> list[ModelCard]:
    """The sweep's cards, narrowed to one pattern where the command line gives it.

    Raises:
        BadInput: the pattern fits no model of the sweep.
    """
    chosen = cards(sweep, home)
    return Catalog(chosen).select([only]) if only else chosen


def local_card(model: LocalModel, home: Path) -> ModelCard:
    """The card of an own model; files that are not there make it unavailable, not an error."""
    unavailable = None
    files: dict[str, Path | None] = {}
    for key in ("checkpoint", "reference_logits"):
        text = getattr(model, key)
        try:
            files[key] = None if text is None else paths.resolve(text, home)
        except BadInput as error:
            unavailable = f"{key} of {LOCAL}{model.name}: {error}"
    return ModelCard(
        name=LOCAL + model.name,
        source="local",
        architecture=model.architecture,
        weights=model.weights,
        checkpoint=files.get("checkpoint"),
        keys=tuple(model.keys.items()) if isinstance(model.keys, dict) else model.keys,
        edits=Edits(**model.edits.model_dump()),
        reference_logits=files.get("reference_logits"),
        published_top1=model.published_top1,
        family=timm.family(model.architecture),
        pretraining=model.pretraining,
        year=model.year,
        licence=model.licence,
        unavailable=unavailable,
    )


def load_inputs(sweep: Sweep, home: Path, store: Store | None) -> Inputs:
    """Every stimulus set and recording of a sweep; a planted recording is kept in the store.

    Raises:
        BadInput: a path, image, label or response is wrong, or a name unknown.
    """
    sets: dict[str, StimulusSet] = {}
    for name in sweep.stimuli:
        _load_stimuli(name, sweep, home, sets)
    inputs = Inputs(sets)
    recordings: dict[str, Recording] = {}
    for name, section in sweep.recordings.items():
        shown = inputs.stimulus_set(section.stimuli)
        if isinstance(section, PlantedRecording):
            recordings[name] = _plant(name, section, shown, cards(sweep, home), store)
        else:
            recordings[name] = parquet.read(name, paths.resolve(section.path, home), shown)
    return Inputs(sets, recordings)


def _load_stimuli(name: str, sweep: Sweep, home: Path, sets: dict[str, StimulusSet]) -> None:
    section = sweep.stimuli[name]
    if name in sets:
        return
    if isinstance(section, FolderStimuli):
        sets[name] = stimuli.folder(
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
        _load_stimuli(source, sweep, home, sets)
    sources = [sets[source] for source in section.of]
    sets[name] = stimuli.crops(
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


def plan(
    sweep: Sweep,
    home: Path,
    inputs: Inputs,
    ledger: Ledger,
    *,
    only: str | None = None,
    retry_failed: bool = False,
) -> Plan:
    """Wanted trials minus those the ledger has; failed ones only with `retry_failed`.

    `only` narrows the sweep's models to a pattern.

    Raises:
        BadInput: an evaluation names what is not there, or cannot be done on its inputs.
    """
    evaluations = _with_companions(sweep.evaluations, inputs)
    result = Plan()
    gate = Gate(stimuli=next((e.stimuli for e in evaluations if isinstance(e, Accuracy)), None))
    of_models: list[Evaluation] = [gate, *(e for e in evaluations if e.needs_model)]
    without = [e for e in evaluations if not e.needs_model]
    subjects: list[tuple[Subject, Sequence[Evaluation]]] = [(Subject(), without)]
    for card in selected(sweep, home, only):
        try:
            subjects.append((Subject(card, blueprint(card)), of_models))
        except Refusal as error:
            for evaluation in of_models:
                result.wanted += 1
                result.refused.append(Refused(_request(card, evaluation, sweep), str(error)))
    for subject, wanted in subjects:
        groups = [
            group
            for evaluation in wanted
            for group in _pending(subject, evaluation, sweep, inputs, ledger, retry_failed, result)
        ]
        if groups:
            result.orders.append(Order(subject, tuple(groups)))
    return result


def _with_companions(wanted: Sequence[Evaluation], inputs: Inputs) -> list[Evaluation]:
    """The evaluations and those their rows rely on, each once, companions first."""
    everything: list[Evaluation] = []
    for evaluation in wanted:
        for one in (*evaluation.companions(inputs), evaluation):
            if one not in everything:
                everything.append(one)
    return everything


def _pending(
    subject: Subject,
    evaluation: Evaluation,
    sweep: Sweep,
    inputs: Inputs,
    ledger: Ledger,
    retry_failed: bool,
    result: Plan,
) -> Iterator[Group]:
    try:
        trials = evaluation.trials(subject, inputs, sweep.run.seed)
    except Refusal as error:
        assert subject.card is not None
        result.wanted += 1
        request = _request(subject.card, evaluation, sweep)
        result.refused.append(Refused(request, str(error)))
        return
    todo = []
    for trial in trials:
        result.wanted += 1
        status = ledger.status.get(trial.id)
        if status == "ok":
            result.done += 1
        elif status == "failed" and not retry_failed:
            result.failed_before += 1
        else:
            todo.append(trial)
    together = [todo] if evaluation.shares_work else [[trial] for trial in todo]
    for some in filter(None, together):
        attempts = tuple(ledger.attempts.get(trial.id, 0) + 1 for trial in some)
        yield Group(evaluation, tuple(some), attempts, evaluation.n_passes(some, inputs))


def _request(card: ModelCard, evaluation: Evaluation, sweep: Sweep) -> Trial:
    choices = evaluation.model_dump(mode="json") if isinstance(evaluation, Choices) else {}
    return Trial(
        evaluation.kind,
        evaluation.version,
        "refused",
        parameters={"request": choices, "checkpoint": str(card.checkpoint)},
        model=card.name,
        architecture=card.architecture,
        seed=sweep.run.seed,
    )
