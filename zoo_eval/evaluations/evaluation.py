"""Evaluation: what is done to an open model; one protocol to the runner, which never asks which."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, ClassVar, Protocol, TypeVar

import torch

from zoo_eval.catalog import ModelCard
from zoo_eval.errors import Refusal
from zoo_eval.inputs import Inputs
from zoo_eval.models.blueprint import Blueprint
from zoo_eval.models.open_model import OpenModel, first_batch
from zoo_eval.networks.anatomy import N_IMAGENET
from zoo_eval.numerics.precision import FLOAT32, Numerics
from zoo_eval.registry import Registry
from zoo_eval.representations.footprint import GramRequest, Request, n_features
from zoo_eval.representations.representations import Representations
from zoo_eval.section import KindSection
from zoo_eval.stimuli.stimulus_set import StimulusSet
from zoo_eval.storage.parts import Begun, Parts, Writer
from zoo_eval.tables import Table, View
from zoo_eval.trial import Trial

T = TypeVar("T")
Rows = Mapping[str, Sequence[Mapping[str, Any]]]
# Where a row that is kept says which table's it is.
TABLE = "table"


@dataclass(frozen=True)
class Candidate:
    """Whom trials are about: a card with its blueprint, or (with neither) the inputs alone.

    `numerics` are those that the network is run by.
    """

    card: ModelCard | None = None
    blueprint: Blueprint | None = None
    numerics: Numerics = FLOAT32

    def known(self) -> tuple[ModelCard, Blueprint]:
        if self.card is None or self.blueprint is None:
            raise TypeError("this evaluation needs a model")
        return self.card, self.blueprint

    @property
    def identity(self) -> dict[str, Any]:
        """The model's part of a trial."""
        card, blueprint = self.known()
        return {
            "model": card.name,
            "weights_digest": blueprint.weights_digest,
            "architecture": card.architecture,
            "transform": blueprint.transform.key,
            "numerics": self.numerics.key,
        }


@dataclass(frozen=True)
class Passed:
    """What an evaluation yields between results: it goes on.

    `n_ahead`: image passes at most until it says so again; None where that is not known.
    """

    n_ahead: int | None = None


@dataclass(frozen=True, eq=False)
class Result:
    """A trial's rows by table, or the error that took their place."""

    trial: Trial
    rows: Rows = field(default_factory=dict)
    error: Exception | None = None


@dataclass(eq=False)
class Workbench:
    """What an evaluation works with: the inputs and, unless it needs none, one open model.

    Whoever waits wants to be told that it goes on every `told_every_s` seconds, or not at all; in
    `parts`, what is finished of a long trial is kept, if anywhere.
    """

    inputs: Inputs
    candidate: Candidate
    model: OpenModel | None = None
    representations: Representations | None = None
    # Why there is no model, where there should be one.
    unopened: Exception | None = None
    parts: Parts | None = None
    told_every_s: float = inf
    told_at: float = -inf

    def passed(self, n_ahead: int | None = None) -> Iterator[Passed]:
        """To be yielded from between batches: that it goes on, where it is time to say so."""
        if self.told_every_s < inf and time.monotonic() - self.told_at >= self.told_every_s:
            yield Passed(n_ahead)
            self.told_at = time.monotonic()

    def told(self, working: Generator[None, None, T]) -> Generator[Passed, None, T]:
        """What work that yields after each batch returns, telling that it goes on."""
        while True:
            try:
                next(working)
            except StopIteration as end:
                found: T = end.value
                return found
            yield from self.passed()

    def begun(self, trial: Trial) -> Begun:
        """A trial whose rows are added image by image, as far as a process that was killed came with it."""
        begun = Begun(trial.id, Writer(trial.evaluation_version), self.parts)
        begun.go_on()
        return begun

    def taken_over(self, trials: Sequence[Trial]) -> Generator[Result, None, list[Trial]]:
        """Yields what a process that was killed had `made` of some trials; returns those that are left."""
        left = []
        for trial in trials:
            begun = self.begun(trial)
            if begun.n_done:
                yield Result(trial, _by_table(begun.rows))
            else:
                left.append(trial)
        return left

    def made(self, trial: Trial, make: Callable[[], Rows]) -> Result:
        """A trial's result, kept until it is committed where it was long in the making."""
        begun = self.begun(trial)
        rows = make()
        begun.add(({TABLE: table, **row} for table, some in rows.items() for row in some), 1)
        return Result(trial, rows)

    def opened(self) -> tuple[OpenModel, Representations]:
        if self.model is None or self.representations is None:
            raise TypeError("this evaluation needs a model")
        return self.model, self.representations


class Evaluation(Protocol):
    """A frozen value: which trials it wants of a candidate, and how they are run.

    `version` moves only when numbers move; `shares_work` says whether its trials are cheaper run
    and committed together (they share a capture) than one by one.
    """

    version: ClassVar[int]
    needs_model: ClassVar[bool]
    shares_work: ClassVar[bool]

    @property
    def kind(self) -> str:
        """Its name in the sweep file and in the `trials` table."""
        ...

    def companions(self, inputs: Inputs) -> Iterable["Evaluation"]:
        """Evaluations whose rows this one's readers rely on: planned with it, each only once."""
        ...

    def trials(self, candidate: Candidate, inputs: Inputs, seed: int) -> Sequence[Trial]:
        """The trials wanted of one candidate.

        Raises:
            Refusal: this candidate cannot be evaluated, with the reason.
        """
        ...

    def n_passes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        """Image passes, forward and backward, that these trials need at most: the unit of cost.

        Those for their Gram matrices are not counted here: `requests` tell them.
        """
        ...

    def requests(
        self, trials: Sequence[Trial], candidate: Candidate, inputs: Inputs
    ) -> Iterable[Request]:
        """The Gram matrices or maps that these trials need: refused where one exceeds the memory budget."""
        ...

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result | Passed]:
        """One result per trial, in any order; an exception fails those not yet yielded.

        What takes long yields from `bench.passed` between its batches.
        """
        ...


class EvaluationSection(KindSection):
    """Base of the sections [[evaluations]]: an evaluation's choices.

    `tables` and `views` are those that it alone writes and asks; a store that it writes to keeps
    their declarations. One that is not `in_sweep_files` is planned by itself.
    """

    version: ClassVar[int]
    needs_model: ClassVar[bool]
    shares_work: ClassVar[bool] = True
    in_sweep_files: ClassVar[bool] = True
    tables: ClassVar[tuple[Table, ...]] = ()
    views: ClassVar[tuple[View, ...]] = ()

    @property
    def compares_views(self) -> bool:
        """Whether its trials of a model hang on what all models of the sweep see."""
        return False

    def companions(self, inputs: Inputs) -> Iterable[Evaluation]:
        return ()

    def trials(self, candidate: Candidate, inputs: Inputs, seed: int) -> Sequence[Trial]:
        raise NotImplementedError

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result | Passed]:
        raise NotImplementedError

    def n_passes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        return 0

    def requests(
        self, trials: Sequence[Trial], candidate: Candidate, inputs: Inputs
    ) -> Iterable[Request]:
        return ()


def gram_request(
    candidate: Candidate, trials: Sequence[Trial], n_stimuli: int, *, sketch: int | None = None
) -> GramRequest:
    """Gram matrices of the trials' layers, told before the model is opened.

    A GPU's first batch may be larger than the one assumed, which changes little but copies of it.
    """
    _, blueprint = candidate.known()
    layers = list(dict.fromkeys(str(trial.layer) for trial in trials))
    batch_size = first_batch(blueprint.anatomy.activation_bytes, torch.device("cpu"))
    return GramRequest(n_features(blueprint, layers), n_stimuli, batch_size, sketch)


def imagenet_labelled(candidate: Candidate, inputs: Inputs, name: str) -> StimulusSet:
    """The stimulus set of that name, fit to be classified by this model.

    Raises:
        BadInput: there is no such set, or it has no labels.
        Refusal: the model has no 1000-way head, or a label is outside the 1000 classes.
    """
    card, blueprint = candidate.known()
    if blueprint.anatomy.n_classes != N_IMAGENET:
        raise Refusal(
            f"{card.name} has {blueprint.anatomy.n_classes} outputs, not the 1000 ImageNet classes; leave "
            "it out of `include` or evaluate its features only"
        )
    stimuli, labels = inputs.labelled(name)
    outside = [n for n, label in enumerate(labels) if not 0 <= label < N_IMAGENET]
    if outside:
        raise Refusal(
            f"stimuli {name!r} have label {labels[outside[0]]}, outside the 1000 ImageNet classes (from "
            f"0), at {stimuli.ids[outside[0]]!r} ({len(outside)} such); correct the labels"
        )
    return stimuli


def _kind(thing: Any) -> str | None:
    """The name by which a sweep file names an evaluation; None for anything else."""
    if isinstance(thing, type) and issubclass(thing, EvaluationSection) and thing.in_sweep_files:
        return thing.kind_name
    return None


EVALUATIONS: Registry[type[EvaluationSection]] = Registry(
    "evaluation", room="zoo_eval.evaluations", group="zoo_eval.evaluations", names=_kind
)


def _by_table(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Rows that were kept together; what one lacks and another has was null there."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        own = {name: value for name, value in row.items() if value is not None}
        found.setdefault(own.pop(TABLE), []).append(own)
    return found
