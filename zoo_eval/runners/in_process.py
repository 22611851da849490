"""A plain loop in this process: what a debugger likes, and the reference for the Ray runner."""

from itertools import zip_longest

import torch

from zoo_eval.inputs import Inputs
from zoo_eval.runners.execution import Finished, prefetch, run_work
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.schedule import NOTHING_MEASURED, Expected
from zoo_eval.store import Store
from zoo_eval.sweep import load
from zoo_eval.sweep.cards import Roster
from zoo_eval.sweep.file import Sweep
from zoo_eval.sweep.plan import Plan


class InProcess:
    """Runs a sweep's work one model after another, on the first GPU if there is one."""

    def __init__(self, sweep: Sweep, roster: Roster, store: Store) -> None:
        self.sweep = sweep
        self.roster = roster
        self.store = store
        self._inputs: Inputs | None = None

    def inputs(self) -> Inputs:
        """Everything that the sweep is applied to."""
        if self._inputs is None:
            self._inputs = load.read_inputs(self.sweep, self.roster, "streamed")
        return self._inputs

    def run(self, plan: Plan, progress: Progress, expected: Expected = NOTHING_MEASURED) -> None:
        """Runs every model's work, longest first.

        Raises:
            StoreError: the store is full or cannot be written.
        """
        inputs, budgets = self.inputs(), self.sweep.run.budgets
        made = load.made(inputs, plan.recordings, self.roster, self.store, budgets.views)
        inputs = load.with_made(inputs, made)
        device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        longest = sorted(plan.work, key=lambda work: -expected.seconds.get(work.name, 0.0))
        for work, upcoming in zip_longest(longest, longest[1:]):
            prefetch(upcoming)
            for report in run_work(work, inputs, self.store, device=device, budgets=budgets):
                self.store.check_held()
                if isinstance(report, Finished):
                    progress.finished(work.name, report)
