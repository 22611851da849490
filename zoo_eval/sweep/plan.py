"""Planning: from a sweep and its inputs to its pending trials and its refusals; runs nothing."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from zoo_eval.catalog import ModelCard
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.evaluations.accuracy import Accuracy
from zoo_eval.evaluations.evaluation import Candidate, Evaluation, EvaluationSection
from zoo_eval.evaluations.gate import Gate
from zoo_eval.inputs import Inputs
from zoo_eval.models.blueprint import blueprint, is_hosted, refuse_unavailable, weights_digest
from zoo_eval.representations.footprint import Need
from zoo_eval.store import Ledger
from zoo_eval.sweep.faults import REFUSAL, Fault, fault_of, refused
from zoo_eval.sweep.file import Sweep
from zoo_eval.sweep.layer_fit import LayerFit
from zoo_eval.sweep.patience import Patience
from zoo_eval.trial import Trial

ASKED_AT_A_TIME = 16


@dataclass(frozen=True)
class TrialGroup:
    """Trials of one evaluation that are run and committed together.

    `peak_bytes` is what its Gram matrices and the work on them take at once.
    """

    evaluation: Evaluation
    trials: tuple[Trial, ...]
    attempts: tuple[int, ...]
    n_passes: int
    peak_bytes: int = 0


@dataclass(frozen=True)
class ModelWork:
    """A model, opened once, and everything pending on it; or what needs no model.

    `batch_sizes` are those that earlier trials came to, by the device's name.
    """

    candidate: Candidate
    groups: tuple[TrialGroup, ...]
    batch_sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.candidate.card.name if self.candidate.card else "(no model)"

    @property
    def n_trials(self) -> int:
        return sum(len(group.trials) for group in self.groups)

    @property
    def peak_bytes(self) -> int:
        return max((group.peak_bytes for group in self.groups), default=0)

    @property
    def cost(self) -> int:
        """FLOPs at most, a backward pass counted as a forward one; 0 without a model."""
        flops = self.candidate.blueprint.anatomy.flops if self.candidate.blueprint else 0
        return flops * sum(group.n_passes for group in self.groups)


@dataclass(frozen=True)
class RefusedTrial:
    """A trial that cannot be run, recorded under the digest of the request, and why.

    Of another class than a refusal is what may pass: the same sweep plans it again.
    """

    trial: Trial
    reason: str
    fault: Fault = REFUSAL


@dataclass
class Plan:
    """What a sweep wants, what the store has, and what is left to do.

    `misfit` says which pattern of layers fits none of the models, if there is one.
    """

    wanted: int = 0
    done: int = 0
    failed_before: int = 0
    refused: list[RefusedTrial] = field(default_factory=list)
    work: list[ModelWork] = field(default_factory=list)
    misfit: str | None = None

    @property
    def pending(self) -> int:
        return sum(work.n_trials for work in self.work)

    @property
    def n_passes(self) -> int:
        return sum(group.n_passes for work in self.work for group in work.groups)

    @property
    def recordings(self) -> frozenset[str]:
        """Names of the recordings that pending trials need."""
        trials = (t for work in self.work for group in work.groups for t in group.trials)
        return frozenset(trial.recording for trial in trials if trial.recording is not None)


@dataclass(frozen=True)
class Settled:
    """What need not run: trials that the ledger has, failed ones too unless they are tried again."""

    ledger: Ledger
    retry_failed: bool = False

    def status(self, trial: Trial) -> str | None:
        """`ok` or `failed` where the trial is settled, None where it is to be run."""
        status = self.ledger.status.get(trial.id)
        return status if status == "ok" or (status == "failed" and not self.retry_failed) else None

    def attempt(self, trial: Trial) -> int:
        """The number of the trial's next attempt, from 1."""
        return self.ledger.attempts.get(trial.id, 0) + 1


def plan(
    sweep: Sweep,
    cards: Sequence[ModelCard],
    inputs: Inputs,
    settled: Settled,
    *,
    weights: Patience | Mapping[str, Sequence[str]] | None = None,
) -> Plan:
    """Wanted trials of some models, minus what is settled.

    Args:
        sweep: what is wanted.
        cards: of whom.
        inputs: on what.
        settled: what need not run.
        weights: how long what is away is waited for, hosts that are asked for weights among it; not at
            all by default. Or weights digests that were recorded, by model, newest first: no hub is
            asked, and weights are taken to be those.

    Raises:
        BadInput: an evaluation names what is not there, or cannot be done on its inputs.
    """
    if weights is None or isinstance(weights, Patience):
        patience = weights or Patience()
        digests = _asked(cards, patience)
    else:
        patience, digests = Patience(), _assumed(cards, weights)
    return _Planner(sweep, inputs, settled, patience).plan(cards, digests)


@dataclass
class _Planner:
    """A plan in the making."""

    sweep: Sweep
    inputs: Inputs
    settled: Settled
    patience: Patience
    found: Plan = field(default_factory=Plan)

    def plan(self, cards: Sequence[ModelCard], digests: Mapping[str, str | Refusal]) -> Plan:
        evaluations = _with_companions(self.sweep.evaluations, self.inputs)
        classified = (one.stimuli for one in evaluations if isinstance(one, Accuracy))
        readable = (name for name in classified if ("stimuli", name) not in self.inputs.unreadable)
        gate = Gate(stimuli=next(readable, None))
        of_models = [gate, *(e for e in evaluations if e.needs_model)]
        self._add(Candidate(), [e for e in evaluations if not e.needs_model])
        fit = LayerFit(of_models)
        for card in cards:
            try:
                candidate = self._candidate(card, digests.get(card.name))
            # Whatever a network raises while it is looked at is its own refusal.
            except Exception as error:  # noqa: BLE001
                fit.note(card, None)
                for evaluation in of_models:
                    self._refuse(card, evaluation, refused(error, card.name))
            else:
                fit.note(card, candidate)
                self._add(candidate, of_models)
        self.found.misfit = fit.misfit(cards)
        return self.found

    def _candidate(self, card: ModelCard, known: str | Refusal | None) -> Candidate:
        if isinstance(known, Refusal):
            raise known
        refuse_unavailable(card)
        shape = self.patience.waited(card.name, lambda: blueprint(card, known))
        return Candidate(card, shape, self.sweep.run.numerically)

    def _add(self, candidate: Candidate, evaluations: Sequence[Evaluation]) -> None:
        """What is pending of one candidate; evaluations may share trials, each of which runs once."""
        seen: set[str] = set()
        groups = [
            group
            for evaluation in evaluations
            for group in self._pending(candidate, evaluation, seen)
        ]
        if groups:
            self.found.work.append(ModelWork(candidate, tuple(groups)))

    def _pending(
        self, candidate: Candidate, evaluation: Evaluation, seen: set[str]
    ) -> Iterator[TrialGroup]:
        try:
            trials = self.patience.waited(
                _called(candidate),
                lambda: evaluation.trials(candidate, self.inputs, self.sweep.run.seed),
            )
        except BadInput:
            raise
        except Exception as error:  # noqa: BLE001
            self._refuse(candidate.card, evaluation, refused(error, _called(candidate)))
            return
        todo = []
        for trial in trials:
            if trial.id in seen:
                continue
            seen.add(trial.id)
            self.found.wanted += 1
            status = self.settled.status(trial)
            self.found.done += status == "ok"
            self.found.failed_before += status == "failed"
            if status is None:
                todo.append(trial)
        together = [todo] if evaluation.shares_work else [[trial] for trial in todo]
        for some in filter(None, together):
            yield from self._group(candidate, evaluation, some)

    def _group(
        self, candidate: Candidate, evaluation: Evaluation, trials: Sequence[Trial]
    ) -> Iterator[TrialGroup]:
        """The trials as a group; nothing where what they need exceeds the budget: refused."""
        try:
            plans, n_passes = self.patience.waited(
                _called(candidate), lambda: self._needs(candidate, evaluation, trials)
            )
        except BadInput:
            raise
        except Exception as error:  # noqa: BLE001
            refusal = refused(error, _called(candidate))
            reason, fault = str(refusal), fault_of(refusal)
            self.found.refused += [RefusedTrial(trial, reason, fault) for trial in trials]
            return
        n_passes += sum(one.n_images for one in plans)
        attempts = tuple(self.settled.attempt(trial) for trial in trials)
        peak_bytes = max((one.peak_bytes for one in plans), default=0)
        yield TrialGroup(evaluation, tuple(trials), attempts, n_passes, peak_bytes)

    def _needs(
        self, candidate: Candidate, evaluation: Evaluation, trials: Sequence[Trial]
    ) -> tuple[list[Need], int]:
        """The room that the trials' Gram matrices take, and the image passes besides."""
        budget = self.sweep.run.memory_budget_bytes
        requests = evaluation.requests(trials, candidate, self.inputs)
        plans = [request.within(budget) for request in requests]
        return plans, evaluation.n_passes(trials, self.inputs)

    def _refuse(self, card: ModelCard | None, evaluation: Evaluation, error: Refusal) -> None:
        """Refuses all of one evaluation of a model, or of none, under the digest of the request."""
        choices = {}
        if isinstance(evaluation, EvaluationSection):
            choices = evaluation.model_dump(mode="json")
        request = Trial(
            evaluation.kind,
            evaluation.version,
            "refused",
            parameters={"request": choices, "checkpoint": str(card and card.checkpoint)},
            model=None if card is None else card.name,
            architecture=None if card is None else card.architecture,
            seed=self.sweep.run.seed,
        )
        self.found.wanted += 1
        self.found.refused.append(RefusedTrial(request, str(error), fault_of(error)))


def _called(candidate: Candidate) -> str:
    return candidate.card.name if candidate.card else "planning it"


def _asked(chosen: Sequence[ModelCard], patience: Patience) -> dict[str, str | Refusal]:
    """Weights digests of hosted models, by name: many hosts are waited for at a time."""

    def ask(card: ModelCard) -> str | Refusal:
        try:
            return patience.asked(card.name, lambda: weights_digest(card))
        except Exception as error:  # noqa: BLE001
            return refused(error, card.name)

    hosted = [card for card in chosen if is_hosted(card)]
    with ThreadPoolExecutor(ASKED_AT_A_TIME) as threads:
        return dict(zip((card.name for card in hosted), threads.map(ask, hosted)))


def _assumed(
    chosen: Sequence[ModelCard], recorded: Mapping[str, Sequence[str]]
) -> dict[str, str | Refusal]:
    """The same without asking: what a store recorded last, where the model was trained then too."""
    digests: dict[str, str | Refusal] = {}
    for card in filter(is_hosted, chosen):
        try:
            untrained = weights_digest(card.untrained())
        except Exception as error:  # noqa: BLE001
            # A repository's configuration is asked for even here, where it is not cached.
            digests[card.name] = refused(error, card.name)
            continue
        trained = (known for known in recorded.get(card.name, ()) if known != untrained)
        # What is not in the store at all is pending, whatever its weights.
        digests[card.name] = next(trained, "unknown")
    return digests


def _with_companions(wanted: Sequence[Evaluation], inputs: Inputs) -> list[Evaluation]:
    """The evaluations and those their rows rely on, each once, companions first."""
    everything: list[Evaluation] = []
    for evaluation in wanted:
        try:
            companions = tuple(evaluation.companions(inputs))
        except Refusal:
            # Why is said of the evaluation itself.
            companions = ()
        for one in (*companions, evaluation):
            if one not in everything:
                everything.append(one)
    return everything
