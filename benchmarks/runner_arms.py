"""One way of running a sweep, in a process of its own: `python -m benchmarks.runner_arms ARM SWEEP STORE MODELS`.

`bare`: a loop over the plan's evaluations, no tables, no ledger. `local`: the runner in one process.
`ray`: the runner on a Ray of its own. `joined`: on the Ray of RAY_ADDRESS. The last line is JSON.
"""

import json
import sys
import time
from pathlib import Path

import torch

from zoo_eval.commands.sweep import RunOptions, run_sweep
from zoo_eval.evaluations.evaluation import Workbench
from zoo_eval.models.open_model import open_model
from zoo_eval.paths import SweepPath
from zoo_eval.representations.representations import Representations
from zoo_eval.runners.in_process import InProcess
from zoo_eval.store import Store
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep import load
from zoo_eval.sweep.cards import roster
from zoo_eval.sweep.file import Sweep
from zoo_eval.sweep.plan import Settled, plan

N_THREADS = 2


def bare(sweep: Sweep, pattern: str) -> float:
    """Seconds of a loop over what is pending; planted recordings are made before."""
    models, budget = roster(sweep.models), sweep.run.memory_budget_bytes
    store = Store(sweep.store.uri.address, create=True)
    inputs = InProcess(sweep, models, store).inputs()
    todo = plan(sweep, models.narrowed(pattern).cards, inputs, Settled(store.ledger()))
    made = load.made(inputs, todo.recordings, models, store)
    inputs = load.with_made(inputs, made)
    start = time.perf_counter()
    for work in todo.work:
        bench = Workbench(inputs, work.candidate)
        if work.candidate.card is not None:
            bench.model = open_model(work.candidate.card, torch.device("cpu"))
            bench.representations = Representations(bench.model, budget)
        for group in work.groups:
            list(group.evaluation.run(group.trials, bench))
    return time.perf_counter() - start


def main(arm: str, file: str, store: str, pattern: str) -> None:
    """Runs it; prints when it began, when slots could be asked for, and when it ended."""
    # One process with the threads of all slots, against slots of one thread each.
    torch.set_num_threads(N_THREADS)
    home = Path.cwd()
    sweep = sweep_file.read(Path(file), home).at(SweepPath.of(store, home))
    began = ready = time.time()
    if arm == "bare":
        print(json.dumps({"bare_s": bare(sweep, pattern)}))
        return
    if arm == "ray":
        from zoo_eval.runners.on_ray import session

        session.start(num_cpus=N_THREADS)
        ready = time.time()
    options = RunOptions(
        models=pattern,
        runner="local" if arm == "local" else "ray",
        max_slots=N_THREADS,
    )
    outcome = run_sweep(sweep, options, lambda line: print(line, file=sys.stderr))
    assert outcome.is_complete, outcome
    print(json.dumps({"began": began, "ready": ready, "ended": time.time()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
