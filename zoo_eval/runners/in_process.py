"""A plain loop in this process: what a debugger likes, and the reference for the Ray runner."""

from itertools import zip_longest

import torch

from zoo_eval.inputs import Inputs
from zoo_eval.runners.execution import Finished, prefetch, run_order
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
    """Runs every order, longest first, on the first GPU if there is one.

    Raises:
        StoreError: the store is full or cannot be written.
    """
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    orders = sorted(plan.orders, key=lambda order: -expected.seconds.get(order.name, 0.0))
    for order, upcoming in zip_longest(orders, orders[1:]):
        prefetch(upcoming)
        for report in run_order(order, inputs, store, device=device, budget_bytes=budget_bytes):
            if isinstance(report, Finished):
                progress.finished(order.name, report)
