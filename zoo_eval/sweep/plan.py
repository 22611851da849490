"""Planning: from a sweep and its inputs to its pending trials and its refusals; runs nothing."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from zoo_eval.catalog import ModelCard
from zoo_eval.errors import Refusal
from zoo_eval.evaluations.accuracy import Accuracy
from zoo_eval.evaluations.evaluation import Candidate, Evaluation, EvaluationSection
from zoo_eval.evaluations.gate import Gate
from zoo_eval.inputs import Inputs
from zoo_eval.models.blueprint import blueprint, is_hosted, weights_digest
from zoo_eval.representations.footprint import passes
from zoo_eval.store import Ledger
from zoo_eval.sweep.cards import selected
from zoo_eval.sweep.file import Sweep
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
    """A model, opened once, and everything pending on it; or what needs no model."""

    candidate: Candidate
    groups: tuple[TrialGroup, ...]

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
    """A trial that cannot be run, recorded under the digest of the request, and why."""

    trial: Trial
    reason: str


@dataclass
class Plan:
    """What a sweep wants, what the store has, and what is left to do."""

    wanted: int = 0
    done: int = 0
    failed_before: int = 0
    refused: list[RefusedTrial] = field(default_factory=list)
    work: list[ModelWork] = field(default_factory=list)

    @property
    def pending(self) -> int:
        return sum(work.n_trials for work in self.work)

    @property
    def n_passes(self) -> int:
        return sum(group.n_passes for work in self.work for group in work.groups)


def plan(
    sweep: Sweep,
    home: Path,
    inputs: Inputs,
    ledger: Ledger,
    *,
    only: str | None = None,
    retry_failed: bool = False,
    recorded: Mapping[str, Sequence[str]] | None = None,
) -> Plan:
    """Wanted trials minus those the ledger has; failed ones only with `retry_failed`.

    `only` narrows the sweep's models to a pattern. With `recorded`, weights digests by model,
    newest first, no hub is asked: weights are taken to be the recorded ones.

    Raises:
        BadInput: an evaluation names what is not there, or cannot be done on its inputs.
    """
    evaluations = _with_companions(sweep.evaluations, inputs)
    result = Plan()
    gate = Gate(stimuli=next((e.stimuli for e in evaluations if isinstance(e, Accuracy)), None))
    of_models: list[Evaluation] = [gate, *(e for e in evaluations if e.needs_model)]
    without = [e for e in evaluations if not e.needs_model]
    candidates: list[tuple[Candidate, Sequence[Evaluation]]] = [(Candidate(), without)]
    chosen = selected(sweep, home, only)
    digests = _asked(chosen) if recorded is None else _assumed(chosen, recorded)
    for card in chosen:
        try:
            known = digests.get(card.name)
            if isinstance(known, Refusal):
                raise known
            candidates.append((Candidate(card, blueprint(card, known)), of_models))
        except Refusal as error:
            for evaluation in of_models:
                result.wanted += 1
                result.refused.append(RefusedTrial(_request(card, evaluation, sweep), str(error)))
    for candidate, wanted in candidates:
        seen: set[str] = set()
        groups = [
            group
            for evaluation in wanted
            for group in _pending(
                candidate, evaluation, sweep, inputs, ledger, retry_failed, result, seen
            )
        ]
        if groups:
            result.work.append(ModelWork(candidate, tuple(groups)))
    return result


def _asked(chosen: Sequence[ModelCard]) -> dict[str, str | Refusal]:
    """Weights digests of hosted models, by name: many hosts are waited for at a time."""

    def ask(card: ModelCard) -> str | Refusal:
        try:
            return weights_digest(card)
        except Refusal as error:
            return error

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
        except Refusal as refusal:
            # A repository's configuration is asked for even here, where it is not cached.
            digests[card.name] = refusal
            continue
        trained = (known for known in recorded.get(card.name, ()) if known != untrained)
        # What is not in the store at all is pending, whatever its weights.
        digests[card.name] = next(trained, "unknown")
    return digests


def _with_companions(wanted: Sequence[Evaluation], inputs: Inputs) -> list[Evaluation]:
    """The evaluations and those their rows rely on, each once, companions first."""
    everything: list[Evaluation] = []
    for evaluation in wanted:
        for one in (*evaluation.companions(inputs), evaluation):
            if one not in everything:
                everything.append(one)
    return everything


def _pending(
    candidate: Candidate,
    evaluation: Evaluation,
    sweep: Sweep,
    inputs: Inputs,
    ledger: Ledger,
    retry_failed: bool,
    result: Plan,
    seen: set[str],
) -> Iterator[TrialGroup]:
    """The groups of what `seen` has not: evaluations may share trials, each of which runs once."""
    try:
        trials = evaluation.trials(candidate, inputs, sweep.run.seed)
    except Refusal as error:
        assert candidate.card is not None
        result.wanted += 1
        request = _request(candidate.card, evaluation, sweep)
        result.refused.append(RefusedTrial(request, str(error)))
        return
    todo = []
    for trial in trials:
        if trial.id in seen:
            continue
        seen.add(trial.id)
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
        try:
            plans = [
                passes(request, sweep.run.memory_budget_bytes)
                for request in evaluation.requests(some, candidate, inputs)
            ]
        except Refusal as error:
            result.refused += [RefusedTrial(trial, str(error)) for trial in some]
            continue
        n_passes = evaluation.n_passes(some, inputs) + sum(one.n_images for one in plans)
        attempts = tuple(ledger.attempts.get(trial.id, 0) + 1 for trial in some)
        peak_bytes = max((one.peak_bytes for one in plans), default=0)
        yield TrialGroup(evaluation, tuple(some), attempts, n_passes, peak_bytes)


def _request(card: ModelCard, evaluation: Evaluation, sweep: Sweep) -> Trial:
    choices = (
        evaluation.model_dump(mode="json") if isinstance(evaluation, EvaluationSection) else {}
    )
    return Trial(
        evaluation.kind,
        evaluation.version,
        "refused",
        parameters={"request": choices, "checkpoint": str(card.checkpoint)},
        model=card.name,
        architecture=card.architecture,
        seed=sweep.run.seed,
    )
