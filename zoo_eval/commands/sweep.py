"""Running a sweep: plan, run what is pending, say how it ended; the command and the job share it."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from zoo_eval.catalog import ModelCard
from zoo_eval.errors import BadInput, Cancelled
from zoo_eval.files.names import say
from zoo_eval.inputs import Inputs
from zoo_eval.paths import SweepPath
from zoo_eval.privacy.addresses import shown
from zoo_eval.runners.execution import record_refusals
from zoo_eval.runners.expected import Expected
from zoo_eval.runners.in_process import InProcess
from zoo_eval.runners.live import Live
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.reporter import Reporter
from zoo_eval.runners.runner import Runner
from zoo_eval.store import Ledger, Store
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep import harmonized
from zoo_eval.sweep.cards import Roster, roster
from zoo_eval.sweep.cost import Speeds, describe_cost, describe_work
from zoo_eval.sweep.faults import REFUSAL
from zoo_eval.sweep.file import Sweep
from zoo_eval.sweep.load import read_inputs
from zoo_eval.sweep.patience import WAITS_S, Patience
from zoo_eval.sweep.plan import Plan, RefusedTrial, Settled, plan
from zoo_eval.sweep.probe import probed

RunnerName = Literal["ray", "local"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class RunOptions:
    """How a sweep is run: only some of its models, where, and whether failed trials run again.

    `max_slots` is how many models are open at a time, on Ray.
    """

    models: str | None = None
    runner: RunnerName = "ray"
    retry_failed: bool = False
    max_slots: int | None = None


@dataclass(frozen=True)
class SweepOptions:
    """What was asked for on the command line.

    `home` is the folder relative paths start from; None where the submitter's folder is unknown.
    """

    sweep: Path
    home: Path | None
    store: str | None = None
    models: str | None = None
    runner: RunnerName = "ray"
    retry_failed: bool = False
    max_slots: int | None = None

    @property
    def run(self) -> RunOptions:
        return RunOptions(self.models, self.runner, self.retry_failed, self.max_slots)

    def read(self) -> Sweep:
        """The sweep with the command line's store in place.

        Raises:
            BadInput: the sweep file is wrong, or a relative path has no folder to start from.
        """
        sweep = sweep_file.read(self.sweep, self.home)
        if self.store is not None:
            sweep = sweep.at(SweepPath.of(self.store, self.home))
        if self.home is None:
            sweep.refuse_relative_paths("the submitter's folder is unknown")
        return sweep


@dataclass(frozen=True)
class Outcome:
    """How a sweep ended: trials that were run, by status, and those that had failed before.

    `n_pending` are those that a cancelled sweep left for the next.
    """

    n_ok: int
    n_failed: int
    n_refused: int
    n_failed_before: int
    n_pending: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every wanted trial is done."""
        return not (self.n_failed or self.n_refused or self.n_failed_before or self.n_pending)


def show_plan(options: SweepOptions) -> int:
    """Prints what a sweep would run; 0, or 1 if some of it is refused.

    Raises:
        BadInput: the sweep file, a path or the store is wrong.
    """
    sweep = options.read()
    store = _existing_store(sweep.store.uri.address)
    everything = roster(sweep.models, [*harmonized.cards(store, sweep.models.include)])
    chosen = everything.narrowed(options.models)
    inputs = read_inputs(sweep, everything, "streamed")
    ledger = store.ledger() if store else Ledger({}, {})
    recorded = store.contents().weights_digests() if store else {}
    settled = Settled(ledger, options.retry_failed)
    todo = plan(sweep, chosen.cards, inputs, settled, weights=recorded)
    _refuse_misfit(todo, options.models)
    # A slot of a cluster has one thread of a CPU.
    speeds = Speeds.of(todo, store, partial(probed, 1))
    work = sorted(todo.work, key=lambda work: -work.cost)
    lines = [describe(todo), *chosen.matched(), *of_recordings(inputs), *remarks(inputs)]
    lines += [describe_work(one, speeds) for one in work]
    lines += [f"  refused: {_describe_refused(refused)}" for refused in todo.refused]
    for line in [*lines, describe_cost(todo, speeds)]:
        say(line)
    return 1 if todo.refused else 0


def _refuse_misfit(todo: Plan, models: str | None) -> None:
    """Refuses a pattern of layers that fits nothing; of some of a sweep's models, it may."""
    if todo.misfit is not None and models is None:
        raise BadInput(todo.misfit)


def _existing_store(uri: str) -> Store | None:
    """The store, if there is one yet: planning creates nothing."""
    if "://" not in uri and not Path(uri).exists():
        return None
    return Store(uri)


def run(options: SweepOptions, say: Say = say) -> int:
    """Runs the pending trials of a sweep file; 0 if all were done, 1 if some failed or were refused.

    Raises:
        BadInput: the sweep file, a path or the store is wrong; nothing was run.
        StoreError: the store cannot be written; what was committed is kept.
    """
    # What a terminal shows can be written over; a pipe, a file or a job's log has lines.
    is_live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    progress = Live.of if is_live else Progress.of
    outcome = run_sweep(options.read(), options.run, say, progress=progress)
    if outcome.n_failed or outcome.n_failed_before:
        say("failed trials are rows of the view `failures`; --retry-failed runs them again")
    return 0 if outcome.is_complete else 1


def run_sweep(
    sweep: Sweep,
    options: RunOptions,
    say: Say,
    *,
    live: Sequence[ModelCard] = (),
    progress: Callable[[Plan, Say], Progress] = Progress.of,
) -> Outcome:
    """Runs the pending trials of a sweep.

    Args:
        sweep: what is wanted.
        options: how it is run.
        say: takes each line that is said of it.
        live: cards of networks that exist as objects, which the sweep names.
        progress: what counts the trials of a plan and shows how far it is.

    Raises:
        BadInput: a path or the store is wrong; nothing was run.
        StoreError: the store cannot be written; what was committed is kept.
    """
    store = Store(sweep.store.uri.address, create=True)
    store.check_space()
    with store.claim() as lease, Reporter(store.uri, lease, options.runner) as reporter:
        show, say = say, reporter.hearing(say)
        for evaluation in sweep.evaluations:
            store.declare(evaluation.tables, evaluation.views)
        everything = roster(sweep.models, [*live, *harmonized.cards(store, sweep.models.include)])
        chosen = everything.narrowed(options.models)
        runner = _runner(sweep, everything, store, options)
        settled = Settled(store.ledger(), options.retry_failed)
        patience = Patience(WAITS_S, say)
        inputs = runner.inputs(patience)
        todo = plan(sweep, chosen.cards, inputs, settled, weights=patience)
        _refuse_misfit(todo, options.models)
        for line in (describe(todo), *chosen.matched(), *of_recordings(inputs), *remarks(inputs)):
            say(line)
        for refused in todo.refused:
            say(f"refused: {_describe_refused(refused)}")
        record_refusals(todo.refused, store)
        counted = progress(todo, say)
        reporter.watch(todo, counted, show)
        n_pending = _run(runner, todo, counted, store) if todo.work else 0
        return _summarised(todo, counted, store, say, n_pending)


def _run(runner: Runner, todo: Plan, progress: Progress, store: Store) -> int:
    """Runs a plan's work; how many trials of it are left because somebody cancelled the sweep."""
    # On Ray a slot of a CPU has one thread, and GPUs are not this process's to try.
    probe = probed if isinstance(runner, InProcess) else partial(probed, 1)
    speeds = Speeds.of(todo, store, probe)
    known = speeds.batch_sizes
    todo.work = [replace(one, batch_sizes=known.get(one.name, {})) for one in todo.work]
    expected = Expected({w.name: speeds.seconds(w) for w in todo.work}, speeds.peak_gpu_bytes)
    progress.expects(todo, expected.seconds)
    try:
        runner.run(todo, progress, expected)
    except Cancelled:
        return progress.n_trials - progress.n_done
    finally:
        progress.close()
    return 0


def _runner(sweep: Sweep, models: Roster, store: Store, options: RunOptions) -> Runner:
    if options.runner == "local":
        return InProcess(sweep, models, store)
    # Only here: whoever runs without Ray does not pay for importing it.
    from zoo_eval.runners.on_ray.runner import OnRay

    return OnRay(sweep, models, store, max_slots=options.max_slots)


def _summarised(todo: Plan, progress: Progress, store: Store, say: Say, n_pending: int) -> Outcome:
    outcome = Outcome(
        progress.n_ok,
        progress.n_failed,
        progress.n_refused + len(todo.refused),
        todo.failed_before,
        n_pending,
    )
    if n_pending:
        say(f"cancelled: {n_pending} trials are left; the same command goes on with them")
    say(
        f"{progress.n_done} trials run: {outcome.n_ok} ok, {outcome.n_failed} failed, "
        f"{outcome.n_refused} refused; {outcome.n_failed_before} failed before; store {shown(store.uri)}"
    )
    return outcome


def describe(todo: Plan) -> str:
    """The plan on one line."""
    n_models = sum(work.candidate.card is not None for work in todo.work)
    return (
        f"{todo.wanted} trials wanted: {todo.done} done, {todo.pending} pending on "
        f"{n_models} models, {len(todo.refused)} refused, {todo.failed_before} failed before"
    )


def of_recordings(inputs: Inputs) -> list[str]:
    """A line for each thing that is to be known of a recording: rows without ids, what is missing."""
    return [
        f"recording {name!r}: {said}"
        for name, one in inputs.recordings.items()
        for said in (one.by_position, *one.notes)
        if said
    ]


def remarks(inputs: Inputs) -> list[str]:
    """A line for each thing that is to be known of a stimulus set, or that could not be read."""
    reasons = {key: str(reason) for key, reason in inputs.unreadable.items()}
    unreadable = [
        f"refused: {why}" if repr(name) in why else f"refused: {kind} {name!r}: {why}"
        for (kind, name), why in reasons.items()
    ]
    return unreadable + [
        f"stimuli {name!r}: {said}" for name, one in inputs.stimuli.items() for said in one.remarks
    ]


def _describe_refused(refused: RefusedTrial) -> str:
    may_pass = "" if refused.fault == REFUSAL else " (this may pass: the same command asks again)"
    return f"{refused.trial.model}: {refused.trial.evaluation}: {refused.reason}{may_pass}"
