"""A plain loop in this process: what a debugger likes, and the reference for the Ray runner."""

from itertools import zip_longest

import torch

from zoo_eval.inputs import Inputs
from zoo_eval.runners.execution import Finished, prefetch, run_work
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.schedule import NOTHING_MEASURED, Expected
from zoo_eval.store import Store
from zoo_eval.sweep.plan import Plan


def run(
    plan: Plan,
    inputs: Inputs,
    store: Store,
    *,
    budget_bytes: int,
    progress: Progress,
    expected: Expected = NOTHING_MEASURED,
) -> None:
    """Runs every model's work, longest first, on the first GPU if there is one.

    Raises:
        StoreError: the store is full or cannot be written.
    """
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    everything = sorted(plan.work, key=lambda work: -expected.seconds.get(work.name, 0.0))
    for work, upcoming in zip_longest(everything, everything[1:]):
        prefetch(upcoming)
        for report in run_work(work, inputs, store, device=device, budget_bytes=budget_bytes):
            if isinstance(report, Finished):
                progress.finished(work.name, report)
