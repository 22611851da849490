"""What every runner does with a model's work: open the model once, run its groups, commit each."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Thread
from typing import Any

import torch

from zoo_eval.catalog import ModelCard
from zoo_eval.digests import canonical_json
from zoo_eval.errors import Refusal, StoreError, one_line
from zoo_eval.evaluations.evaluation import Result, Workbench
from zoo_eval.inputs import Inputs
from zoo_eval.models.blueprint import fetch
from zoo_eval.models.open_model import OpenModel, open_model
from zoo_eval.numerics import precision
from zoo_eval.representations.representations import Representations
from zoo_eval.runners import provenance
from zoo_eval.store import Store
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
class Finished:
    """A group is committed (or, after a failure, recorded)."""

    group_index: int
    n_ok: int
    n_failed: int
    n_refused: int
    n_passes: int
    planned_passes: int
    first_error: str | None = None


Report = Started | Finished


def prefetch(work: ModelWork | None) -> None:
    """Starts to fetch the weights of the model that comes next, while the current one runs."""
    if work is None or work.candidate.card is None:
        return
    Thread(target=_fetch, args=(work.candidate.card,), daemon=True).start()


def _fetch(card: ModelCard) -> None:
    # Whatever is wrong is said when the model is opened.
    with suppress(Exception):
        fetch(card)


def run_work(
    work: ModelWork, inputs: Inputs, store: Store, *, device: torch.device, budgets: Budgets
) -> Iterator[Report]:
    """Runs and commits a model's groups, reporting before and after each.

    An error fails its trials and nothing else; only a store that cannot be written ends the run.

    Raises:
        StoreError: the store is full or cannot be written.
    """
    with precision.using(work.candidate.numerics):
        yield from _run(work, inputs, store, device=device, budgets=budgets)


def _run(
    work: ModelWork, inputs: Inputs, store: Store, *, device: torch.device, budgets: Budgets
) -> Iterator[Report]:
    bench = Workbench(inputs, work.candidate)
    opening: Exception | None = None
    if work.candidate.card is not None:
        yield Started(None)
        # Whatever a model raises while it is opened is its own failure, recorded with its trials.
        try:
            numerics = work.candidate.numerics
            bench.model = open_model(work.candidate.card, device, numerics, budgets.views)
            if bench.model.blueprint != work.candidate.blueprint:
                raise Refusal("its weights changed since they were planned; run the sweep again")
            bench.representations = Representations(bench.model, budgets.memory_bytes)
        except Exception as error:  # noqa: BLE001
            opening = error
    for index, group in enumerate(work.groups):
        yield Started(index)
        yield _run_group(index, group, bench, store, opening)


def _run_group(
    index: int, group: TrialGroup, bench: Workbench, store: Store, opening: Exception | None
) -> Finished:
    started_at, clock = datetime.now(UTC), time.perf_counter()
    passes_before = bench.model.n_passes if bench.model else 0
    if bench.model and bench.model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(bench.model.device)
    # Another model's code, run since, may have changed them.
    precision.use(bench.candidate.numerics)
    results = _results(group, bench, opening)
    measured: dict[str, Any] = {"started_at": started_at}
    try:
        measured["numerics"] = canonical_json(precision.found(bench.candidate.numerics))
    except precision.OtherNumerics as other:
        # None of it is what its identity says.
        results = [Result(trial, error=Refusal(str(other))) for trial in group.trials]
    seconds = time.perf_counter() - clock
    n_passes = bench.model.n_passes - passes_before if bench.model else 0
    measured |= _measured(bench.model, seconds, n_passes, len(results))
    results = _committed(group, results, measured, store)
    errors = [result.error for result in results if result.error is not None]
    n_refused = sum(isinstance(error, Refusal) for error in errors)
    return Finished(
        index,
        n_ok=len(results) - len(errors),
        n_failed=len(errors) - n_refused,
        n_refused=n_refused,
        n_passes=n_passes,
        planned_passes=group.n_passes,
        first_error=one_line(errors[0]) if errors else None,
    )


def _results(group: TrialGroup, bench: Workbench, opening: Exception | None) -> list[Result]:
    """One result per trial; `opening` is the error, if any, that the model was not opened for."""
    results: dict[str, Result] = {}
    asked = {trial.id for trial in group.trials}
    failure = opening
    if opening is None:
        # An evaluation's error is a row, whatever its class: the rest of the sweep goes on.
        try:
            for result in group.evaluation.run(group.trials, bench):
                if result.trial.id not in asked or results.pop(result.trial.id, False):
                    raise RuntimeError("the evaluation gave a result that was not asked for")
                results[result.trial.id] = result
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
        "error_type": type(error).__name__,
        "error_message": one_line(error),
    }


def _measured(
    model: OpenModel | None, seconds: float, n_passes: int, n_trials: int
) -> dict[str, Any]:
    device = model.device if model else torch.device("cpu")
    on_gpu = device.type == "cuda"
    return {
        **_machine(provenance.device_name(device)),
        "seconds": seconds / n_trials,
        "peak_gpu_bytes": torch.cuda.max_memory_allocated(device) if on_gpu else None,
        "images_per_s": n_passes / seconds if n_passes else None,
        "batch_size": model.batch_size if model else None,
    }


def _machine(device: str) -> dict[str, Any]:
    return {
        "node": provenance.node(),
        "device": device,
        "peak_host_bytes": provenance.peak_host_bytes(),
        "library_versions": provenance.library_versions(),
        "code_revision": provenance.code_revision(),
    }


def record_lost(group: TrialGroup, store: Store, *, error_type: str, message: str) -> None:
    """Records a group whose process died, hung or was killed, as failed."""
    status = {"status": "failed", "error_type": error_type, "error_message": message}
    attempts = zip(group.trials, group.attempts, strict=True)
    store.commit({}, [_unrun(trial, attempt, status) for trial, attempt in attempts])


def record_refusals(refused: Sequence[RefusedTrial], store: Store) -> None:
    """Records what a plan refuses in one commit, but for what the ledger has already."""
    if not refused:
        return
    known = store.ledger().status
    new = {one.trial.id: one for one in refused if one.trial.id not in known}
    ledger = [_unrun(one.trial, 1, _status(Refusal(one.reason))) for one in new.values()]
    if ledger:
        store.commit({}, ledger)


def _unrun(trial: Trial, attempt: int, status: dict[str, Any]) -> dict[str, Any]:
    return {
        **trial.row(),
        **status,
        **_machine("none"),
        "attempt": attempt,
        "seconds": 0.0,
        "started_at": datetime.now(UTC),
    }
