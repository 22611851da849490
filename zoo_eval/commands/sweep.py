"""Running a sweep: plan, run what is pending, say how it ended; the command and the job share it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoo_eval.errors import BadInput
from zoo_eval.inputs import Inputs
from zoo_eval.runners import in_process
from zoo_eval.runners.execution import record_refusals
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.schedule import Expected
from zoo_eval.store import Ledger, Store
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep.cards import fact_sheets, selected
from zoo_eval.sweep.cost import Speeds, describe_cost, describe_work
from zoo_eval.sweep.file import Sweep
from zoo_eval.sweep.load import load_inputs
from zoo_eval.sweep.plan import Plan, RefusedTrial, plan

Runner = Literal["ray", "local"]


@dataclass(frozen=True)
class SweepOptions:
    """What was asked for on the command line.

    `home` is the folder relative paths start from; None where the submitter's folder is unknown.
    """

    sweep: Path
    home: Path | None
    store: str | None = None
    models: str | None = None
    runner: Runner = "ray"
    retry_failed: bool = False
    max_slots: int | None = None


def _placed(request: SweepOptions) -> tuple[Sweep, Path]:
    """The sweep with the command line's store in place, and the folder relative paths start from.

    Raises:
        BadInput: the sweep file is wrong, or a relative path has no folder to start from.
    """
    sweep = sweep_file.read(request.sweep)
    if request.store is not None:
        store = sweep.store.model_copy(update={"uri": request.store})
        sweep = sweep.model_copy(update={"store": store})
    if request.home is None:
        _refuse_relative_paths(sweep, "the submitter's folder is unknown")
    return sweep, request.home or Path("/")


def _refuse_relative_paths(sweep: Sweep, why: str) -> None:
    if relative := sweep_file.relative_paths(sweep):
        raise BadInput(
            f"{relative[0]!r} is a relative path, but {why}; use absolute paths on storage that "
            "every machine has (and --store s3://...), or on one machine set ZOO_EVAL_HOME"
        )


def _store_uri(sweep: Sweep, home: Path) -> str:
    uri = sweep.store.uri
    return uri if "://" in uri else str(home / Path(uri).expanduser())


def show_plan(request: SweepOptions) -> int:
    """Prints what a sweep would run; 0, or 1 if some of it is refused.

    Raises:
        BadInput: the sweep file, a path or the store is wrong.
    """
    sweep, home = _placed(request)
    store = _existing_store(_store_uri(sweep, home))
    inputs = load_inputs(sweep, home, store)
    ledger = store.ledger() if store else Ledger({}, {})
    todo = plan(
        sweep,
        home,
        inputs,
        ledger,
        only=request.models,
        retry_failed=request.retry_failed,
        recorded=store.weights_digests() if store else {},
    )
    print(describe(todo))
    for line in _matched(sweep, home, request.models):
        print(line)
    speeds = Speeds.measured(store)
    for work in sorted(todo.work, key=lambda work: -work.cost):
        print(describe_work(work, speeds))
    for refused in todo.refused:
        print(f"  refused: {_describe_refused(refused)}")
    print(describe_cost(todo, speeds))
    return 1 if todo.refused else 0


def _existing_store(uri: str) -> Store | None:
    """The store, if there is one yet: planning creates nothing."""
    if "://" not in uri and not Path(uri).exists():
        return None
    return Store(uri)


def run(request: SweepOptions, say: Callable[[str], None] = print) -> int:
    """Runs the pending trials of a sweep; 0 if all were done, 1 if some failed or were refused.

    Raises:
        BadInput: the sweep file, a path or the store is wrong; nothing was run.
        StoreError: the store cannot be written; what was committed is kept.
    """
    sweep, home = _placed(request)
    store = Store(_store_uri(sweep, home), create=True)
    store.check_space()
    with store.claim():
        inputs = load_inputs(sweep, home, store)
        todo = plan(
            sweep,
            home,
            inputs,
            store.ledger(),
            only=request.models,
            retry_failed=request.retry_failed,
        )
        say(describe(todo))
        for line in _matched(sweep, home, request.models):
            say(line)
        if todo.work and request.runner == "ray":
            _join_cluster(sweep)
        for refused in todo.refused:
            say(f"refused: {_describe_refused(refused)}")
            record_refusals(refused, store)
        progress = Progress.of(todo, say)
        if todo.work:
            _run_orders(request, sweep, home, store, inputs, todo, progress)
    return _summarise(todo, progress, store, say)


def _summarise(todo: Plan, progress: Progress, store: Store, say: Callable[[str], None]) -> int:
    failed = progress.n_failed + todo.failed_before
    n_refused = progress.n_refused + len(todo.refused)
    say(
        f"{progress.n_done} trials run: {progress.n_ok} ok, {progress.n_failed} failed, "
        f"{n_refused} refused; {todo.failed_before} failed before; store {store.uri}"
    )
    if failed:
        say("failed trials are rows of the view `failures`; --retry-failed runs them again")
    return 1 if failed or n_refused else 0


def describe(todo: Plan) -> str:
    """The plan on one line."""
    n_models = sum(work.candidate.card is not None for work in todo.work)
    return (
        f"{todo.wanted} trials wanted: {todo.done} done, {todo.pending} pending on "
        f"{n_models} models, {len(todo.refused)} refused, {todo.failed_before} failed before"
    )


def _describe_refused(refused: RefusedTrial) -> str:
    return f"{refused.trial.model}: {refused.trial.evaluation}: {refused.reason}"


def _matched(sweep: Sweep, home: Path, only: str | None) -> list[str]:
    chosen = selected(sweep, home, only)
    return [sheet.matched(chosen) for sheet in fact_sheets(sweep, home)]


def _join_cluster(sweep: Sweep) -> None:
    # Only here and below: where nothing is left to run on it, nobody pays for importing Ray.
    from zoo_eval.runners import on_ray

    on_ray.connect()
    if not on_ray.single_machine():
        _refuse_relative_paths(sweep, "the cluster has several machines")


def _run_orders(
    request: SweepOptions,
    sweep: Sweep,
    home: Path,
    store: Store,
    inputs: Inputs,
    todo: Plan,
    progress: Progress,
) -> None:
    expected = _expected(todo, store)
    if request.runner == "local":
        budget = sweep.run.memory_budget_bytes
        in_process.run(
            todo, inputs, store, budget_bytes=budget, progress=progress, expected=expected
        )
        return
    from zoo_eval.runners import on_ray

    on_ray.run(
        todo,
        sweep,
        home,
        store,
        progress=progress,
        expected=expected,
        max_slots=request.max_slots,
    )


def _expected(todo: Plan, store: Store) -> Expected:
    speeds = Speeds.measured(store)
    seconds = {work.name: speeds.seconds(work) for work in todo.work}
    return Expected(seconds, speeds.peak_gpu_bytes)
