"""What every runner does with a model's work: open the model once, run its groups, commit each."""

import time
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from math import inf
from threading import Thread
from typing import Any

import torch

from zoo_eval.catalog import ModelCard
from zoo_eval.digests import canonical_json
from zoo_eval.errors import Refusal, StoreError, one_line
from zoo_eval.evaluations.evaluation import Passed, Result, Workbench
from zoo_eval.inputs import Inputs
from zoo_eval.models.blueprint import fetch
from zoo_eval.models.open_model import OpenModel, open_model
from zoo_eval.numerics import precision
from zoo_eval.representations.representations import Representations
from zoo_eval.runners import provenance
from zoo_eval.storage.parts import Parts
from zoo_eval.store import Store
from zoo_eval.sweep.faults import Elsewhere, Fault, fault_of
from zoo_eval.sweep.file import Budgets
from zoo_eval.sweep.plan import ModelWork, RefusedTrial, TrialGroup
from zoo_eval.trial import Trial


@dataclass(frozen=True)
class Started:
    """What is about to run, and is to blame should the process die: a group, or all of the work.

    `group_index` is None while the model is being opened.
    """

    group_index: int | None


@dataclass(frozen=True)
class Advanced:
    """A group goes on: so many image passes are done since the last report.

    At most so many are ahead until the next one.
    """

    group_index: int
    n_passes: int
    n_ahead: int = 0


@dataclass(frozen=True)
class Finished:
    """A group is committed (or, after a failure, recorded).

    `failures` counts trials that failed or were refused by class.
    """

    group_index: int
    n_ok: int
    n_failed: int
    n_refused: int
    n_passes: int
    planned_passes: int
    first_error: str | None = None
    evaluation: str = ""
    failures: Mapping[str, int] = field(default_factory=dict)


Report = Started | Advanced | Finished
# A report costs a slot about a millisecond.
TOLD_EVERY_S = 1.0


def prefetch(work: ModelWork | None) -> None:
    """Starts to fetch the weights of the model that comes next, while the current one runs."""
    if work is None or work.candidate.card is None:
        return
    Thread(target=_fetch, args=(work.candidate.card,), daemon=True).start()


def _fetch(card: ModelCard) -> None:
    # Whatever is wrong is said when the model is opened.
    with suppress(Exception):
        fetch(card)


@dataclass(frozen=True)
class Machine:
    """What a model is run on, and the classes of failures that another may do better with."""

    device: torch.device
    budgets: Budgets
    elsewhere: frozenset[Fault] = frozenset()


def run_work(work: ModelWork, inputs: Inputs, store: Store, machine: Machine) -> Iterator[Report]:
    """Runs and commits a model's groups, reporting before and after each.

    An error fails its trials and nothing else; only a store that cannot be written ends the run.

    Raises:
        StoreError: the store is full or cannot be written.
        Elsewhere: a group failed for what may be this machine's fault; nothing of it is recorded.
    """
    with precision.using(work.candidate.numerics):
        yield from _run(work, inputs, store, machine)


def _run(work: ModelWork, inputs: Inputs, store: Store, machine: Machine) -> Iterator[Report]:
    parts = Parts(store.objects, partial(precision.unchanged, work.candidate.numerics))
    bench = Workbench(inputs, work.candidate, parts=parts, told_every_s=TOLD_EVERY_S)
    if work.candidate.card is not None:
        yield Started(None)
        # Whatever a model raises while it is opened is its own failure, recorded with its trials.
        try:
            numerics = work.candidate.numerics
            bench.model = open_model(
                work.candidate.card, machine.device, numerics, machine.budgets.views
            )
            if bench.model.blueprint != work.candidate.blueprint:
                raise Refusal("its weights changed since they were planned; run the sweep again")
            remembered = work.batch_sizes.get(provenance.device_name(machine.device))
            # Found once: what exhausted memory then would do so again.
            bench.model.batch_size = min(bench.model.batch_size, remembered or 2**31)
            bench.representations = Representations(bench.model, machine.budgets.memory_bytes)
        except Exception as error:  # noqa: BLE001
            bench.unopened = error
    for index, group in enumerate(work.groups):
        yield Started(index)
        yield from _run_group(index, group, bench, store, elsewhere=machine.elsewhere)


def _hand_on(results: Iterable[Result], elsewhere: Collection[Fault]) -> None:
    """Raises what another process may do better; it does again what did go well."""
    for result in results:
        if result.error is not None and (fault := fault_of(result.error)) in elsewhere:
            raise Elsewhere(fault, type(result.error).__name__, one_line(result.error))


def _run_group(
    index: int,
    group: TrialGroup,
    bench: Workbench,
    store: Store,
    *,
    elsewhere: Collection[Fault],
) -> Iterator[Report]:
    started_at, clock = datetime.now(UTC), time.perf_counter()
    passes_before = bench.model.n_passes if bench.model else 0
    if bench.model and bench.model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(bench.model.device)
    # Another model's code, run since, may have changed them.
    precision.use(bench.candidate.numerics)
    results = yield from _results(index, group, bench)
    measured: dict[str, Any] = {"started_at": started_at}
    try:
        measured["numerics"] = canonical_json(precision.found(bench.candidate.numerics))
    except precision.OtherNumerics as other:
        # None of it is what its identity says.
        results = [Result(trial, error=Refusal(str(other))) for trial in group.trials]
    seconds = time.perf_counter() - clock
    n_passes = bench.model.n_passes - passes_before if bench.model else 0
    measured |= _measured(bench.model, seconds, n_passes, len(results))
    _hand_on(results, elsewhere)
    results = _committed(group, results, measured, store)
    if bench.parts is not None:
        # One that failed goes on from its parts, should it be tried again.
        done = (one for one in results if one.error is None or isinstance(one.error, Refusal))
        bench.parts.remove(one.trial.id for one in done)
    errors = [result.error for result in results if result.error is not None]
    n_refused = sum(isinstance(error, Refusal) for error in errors)
    yield Finished(
        index,
        n_ok=len(results) - len(errors),
        n_failed=len(errors) - n_refused,
        n_refused=n_refused,
        n_passes=n_passes,
        planned_passes=group.n_passes,
        first_error=one_line(errors[0]) if errors else None,
        evaluation=group.evaluation.kind,
        failures=Counter(fault_of(error).name for error in errors),
    )


def _results(
    index: int, group: TrialGroup, bench: Workbench
) -> Generator[Advanced, None, list[Result]]:
    """One result per trial."""
    results: dict[str, Result] = {}
    asked = {trial.id for trial in group.trials}
    failure, told = bench.unopened, 0
    before = bench.model.n_passes if bench.model else 0
    # However soon after another group's, the first report says how far ahead the next one is.
    bench.told_at = -inf
    if failure is None:
        # An evaluation's error is a row, whatever its class: the rest of the sweep goes on.
        try:
            for one in group.evaluation.run(group.trials, bench):
                if isinstance(one, Result):
                    if one.trial.id not in asked or results.pop(one.trial.id, False):
                        raise RuntimeError("the evaluation gave a result that was not asked for")
                    results[one.trial.id] = one
                # That a trial is through is progress too.
                for passed in [one] if isinstance(one, Passed) else bench.passed():
                    n_passes = bench.model.n_passes - before - told if bench.model else 0
                    told += n_passes
                    ahead = group.n_passes if passed.n_ahead is None else passed.n_ahead
                    yield Advanced(index, n_passes, ahead)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001
            failure = error
    reason = failure or RuntimeError("the evaluation gave no result for this trial")
    return [results.get(trial.id, Result(trial, error=reason)) for trial in group.trials]


def _committed(
    group: TrialGroup, results: list[Result], measured: dict[str, Any], store: Store
) -> list[Result]:
    """The results as the store has them now: rows that do not fit their table are failures."""
    try:
        store.commit(_rows(results), _ledger(group, results, measured))
    except (ValueError, TypeError, ArithmeticError) as error:
        # That is this evaluation's failure, not the sweep's.
        results = [Result(result.trial, error=error) for result in results]
        store.commit({}, _ledger(group, results, measured))
    return results


def _ledger(
    group: TrialGroup, results: Iterable[Result], measured: dict[str, Any]
) -> list[dict[str, Any]]:
    attempts = dict(zip((t.id for t in group.trials), group.attempts, strict=True))
    return [
        {**r.trial.row(), "attempt": attempts[r.trial.id], **_status(r.error), **measured}
        for r in results
    ]


def _rows(results: Iterable[Result]) -> dict[str, list[dict[str, Any]]]:
    """The rows of all trials that went well by table, each with whose it is."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        whose = {"trial_id": result.trial.id, "model": result.trial.model}
        for table, some in result.rows.items() if result.error is None else ():
            rows.setdefault(table, []).extend({**row, **whose} for row in some)
    return rows


def _status(error: Exception | None) -> dict[str, Any]:
    if error is None:
        return {"status": "ok"}
    return {
        "status": "refused" if isinstance(error, Refusal) else "failed",
        "failure_class": fault_of(error).name,
        "error_type": type(error).__name__,
        "error_message": one_line(error),
    }


def _measured(
    model: OpenModel | None, seconds: float, n_passes: int, n_trials: int
) -> dict[str, Any]:
    device = model.device if model else torch.device("cpu")
    on_gpu = device.type == "cuda"
    return {
        **provenance.machine(provenance.device_name(device)),
        "seconds": seconds / n_trials,
        "peak_gpu_bytes": torch.cuda.max_memory_allocated(device) if on_gpu else None,
        "images_per_s": n_passes / seconds if n_passes else None,
        "batch_size": model.batch_size if model else None,
    }


def record_lost(group: TrialGroup, store: Store, why: Elsewhere, message: str) -> None:
    """Records a group that went wrong everywhere, or whose processes died, as failed."""
    status = {
        "status": "failed",
        "failure_class": why.fault.name,
        "error_type": why.error_type,
        "error_message": message,
    }
    attempts = zip(group.trials, group.attempts, strict=True)
    store.commit({}, [_unrun(trial, attempt, status) for trial, attempt in attempts])


def refuse(work: ModelWork, reason: str, store: Store) -> Finished:
    """Records all of a model's work as refused; the report of it."""
    trials = [trial for group in work.groups for trial in group.trials]
    record_refusals([RefusedTrial(trial, reason) for trial in trials], store)
    n_passes = sum(group.n_passes for group in work.groups)
    return Finished(0, 0, 0, len(trials), 0, n_passes, reason)


def record_refusals(refused: Sequence[RefusedTrial], store: Store) -> None:
    """Records what a plan refuses in one commit, but for what the ledger has already.

    Refused, a trial is planned again by the next sweep, whatever the class.
    """
    if not refused:
        return
    known = store.ledger().status
    new = {one.trial.id: one for one in refused if one.trial.id not in known}
    ledger = [
        _unrun(one.trial, 1, {**_status(Refusal(one.reason)), "failure_class": one.fault.name})
        for one in new.values()
    ]
    if ledger:
        store.commit({}, ledger)


def _unrun(trial: Trial, attempt: int, status: dict[str, Any]) -> dict[str, Any]:
    return {
        **trial.row(),
        **status,
        **provenance.machine("none"),
        "attempt": attempt,
        "seconds": 0.0,
        "started_at": datetime.now(UTC),
    }
