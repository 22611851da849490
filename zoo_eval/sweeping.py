"""Running a sweep: plan, run what is pending, say how it ended; the command and the job share it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoo_eval import sweep as sweep_file
from zoo_eval.inputs import Inputs
from zoo_eval.planning import Plan, load_inputs, plan
from zoo_eval.runners import in_process
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.work import record_refused
from zoo_eval.store import Store
from zoo_eval.sweep import Sweep

Runner = Literal["ray", "local"]


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line; `home` is the folder relative paths start from."""

    sweep: Path
    home: Path
    store: str | None = None
    models: str | None = None
    runner: Runner = "ray"
    retry_failed: bool = False
    max_slots: int | None = None


def store_uri(request: Request, sweep: Sweep) -> str:
    """The store's address; a relative folder is taken from the submitter's folder."""
    uri = request.store or sweep.store.uri
    return uri if "://" in uri else str(request.home / Path(uri).expanduser())


def run(request: Request, say: Callable[[str], None] = print) -> int:
    """Runs the pending trials of a sweep; 0 if all were done, 1 if some failed or were refused.

    Raises:
        BadInput: the sweep file, a path or the store is wrong; nothing was run.
        StoreError: the store cannot be written; what was committed is kept.
    """
    sweep = sweep_file.read(request.sweep)
    store = Store(store_uri(request, sweep), create=True)
    store.check_space()
    with store.claim():
        inputs = load_inputs(sweep, request.home, store)
        todo = plan(
            sweep,
            request.home,
            inputs,
            store.ledger(),
            only=request.models,
            retry_failed=request.retry_failed,
        )
        say(describe(todo))
        for refused in todo.refused:
            say(f"refused: {refused.trial.model}: {refused.trial.evaluation}: {refused.reason}")
            record_refused(refused, store)
        progress = Progress.of(todo)
        if todo.orders:
            _run_orders(request, sweep, store, inputs, todo, progress)
    failed = progress.n_failed + todo.failed_before
    n_refused = progress.n_refused + len(todo.refused)
    say(
        f"{progress.n_done} trials run: {progress.n_ok} ok, {progress.n_failed} failed, "
        f"{n_refused} refused; {todo.failed_before} failed before; store {store.uri}"
    )
    if failed:
        say(
            "failed trials are kept as rows (SELECT * FROM failures); --retry-failed runs them again"
        )
    return 1 if failed or n_refused else 0


def describe(todo: Plan) -> str:
    """The plan on one line."""
    return (
        f"{todo.wanted} trials wanted: {todo.done} done, {todo.pending} pending on "
        f"{len(todo.orders)} models, {len(todo.refused)} refused, {todo.failed_before} failed before"
    )


def _run_orders(
    request: Request, sweep: Sweep, store: Store, inputs: Inputs, todo: Plan, progress: Progress
) -> None:
    if request.runner == "local":
        budget = sweep.run.memory_budget_bytes
        in_process.run(todo, inputs, store, budget_bytes=budget, progress=progress)
        return
    # Only here: a local run must not pay for importing Ray.
    from zoo_eval.runners import on_ray

    on_ray.connect()
    on_ray.run(todo, sweep, request.home, store, progress=progress, max_slots=request.max_slots)
