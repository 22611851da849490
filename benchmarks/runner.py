"""What trials, tables and the ledger cost, beside a bare loop over the same work, in one run.

python -m benchmarks.runner [--quick]
"""

import tempfile
import time
from pathlib import Path

import torch

from benchmarks.measurement import quick, report
from zoo_eval.evaluations.evaluation import Workbench
from zoo_eval.models.open_model import open_model
from zoo_eval.representations.representations import Representations
from zoo_eval.runners.in_process import InProcess
from zoo_eval.runners.progress import Progress
from zoo_eval.store import Store
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep import load
from zoo_eval.sweep.cards import roster
from zoo_eval.sweep.plan import Settled, plan

SWEEP = Path("sweeps/demo.toml")


def main() -> None:
    """Prints seconds of both and their ratio."""
    pattern = "local/lite0" if quick(__doc__ or "") else "local/lite0*"
    sweep = sweep_file.read(SWEEP, Path.cwd())
    models, budget = roster(sweep.models), sweep.run.memory_budget_bytes
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder, create=True)
        runner = InProcess(sweep, models, store)
        cards = models.narrowed(pattern).cards
        todo = plan(sweep, cards, runner.inputs(), Settled(store.ledger()))
        inputs = runner.inputs()
        made = load.made(inputs, todo.recordings, models, store)
        inputs = load.with_made(inputs, made)

        # The bare loop goes first and so pays for every first call, the runner for none.
        start = time.perf_counter()
        for work in todo.work:
            bench = Workbench(inputs, work.candidate)
            if work.candidate.card is not None:
                bench.model = open_model(work.candidate.card, torch.device("cpu"))
                bench.representations = Representations(bench.model, budget)
            for group in work.groups:
                list(group.evaluation.run(group.trials, bench))
        bare = time.perf_counter() - start

        start = time.perf_counter()
        progress = Progress.of(todo, lambda line: None)
        runner.run(todo, progress)
        whole = time.perf_counter() - start
    report(
        ["what", "seconds"],
        [["bare loop over evaluations", f"{bare:.2f}"],
         ["runner: trials, tables, ledger", f"{whole:.2f}"]],
        {"overhead_ratio": whole / bare, "n_trials": todo.pending},
    )  # fmt: skip


if __name__ == "__main__":
    main()
