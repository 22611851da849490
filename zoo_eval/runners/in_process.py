"""A plain loop in this process: what a debugger likes, and the reference for the Ray runner."""

from collections.abc import Iterator
from itertools import zip_longest

import torch

from zoo_eval.errors import ZooEvalError
from zoo_eval.inputs import Inputs
from zoo_eval.runners.execution import Advanced, Machine, Report, prefetch, record_lost, run_work
from zoo_eval.runners.expected import NOTHING_MEASURED, Expected
from zoo_eval.runners.progress import Progress
from zoo_eval.store import Store
from zoo_eval.sweep import load
from zoo_eval.sweep.cards import Roster
from zoo_eval.sweep.faults import GPU, Elsewhere
from zoo_eval.sweep.file import Sweep
from zoo_eval.sweep.patience import Patience
from zoo_eval.sweep.plan import ModelWork, Plan


class InProcess:
    """Runs a sweep's work one model after another, on the first GPU if there is one."""

    def __init__(self, sweep: Sweep, roster: Roster, store: Store) -> None:
        self.sweep = sweep
        self.roster = roster
        self.store = store
        self._inputs: Inputs | None = None

    def inputs(self, patience: Patience | None = None) -> Inputs:
        """Everything that the sweep is applied to."""
        if self._inputs is None:
            self._inputs = load.read_inputs(self.sweep, self.roster, "streamed", patience)
        return self._inputs

    def run(self, plan: Plan, progress: Progress, expected: Expected = NOTHING_MEASURED) -> None:
        """Runs every model's work, longest first.

        Raises:
            StoreError: the store is full or cannot be written.
            Cancelled: the sweep was asked to end.
            ZooEvalError: the GPU failed, and with it this process.
        """
        inputs, budgets = self.inputs(), self.sweep.run.budgets
        made = load.made(inputs, plan.recordings, self.roster, self.store, budgets.views)
        inputs = load.with_made(inputs, made)
        device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        # There is no other process; but in one whose GPU failed everything that follows would fail.
        machine = Machine(device, budgets, frozenset({GPU}))
        longest = sorted(plan.work, key=lambda work: -expected.seconds.get(work.name, 0.0))
        for work, upcoming in zip_longest(longest, longest[1:]):
            prefetch(upcoming)
            self._run(work, run_work(work, inputs, self.store, machine), progress)
            progress.left(0)

    def _run(self, work: ModelWork, reports: Iterator[Report], progress: Progress) -> None:
        at = None
        try:
            for report in reports:
                # First: what is committed is counted, whatever ends the sweep now.
                progress.told(0, work, report)
                at = report.group_index
                # In the middle of a group, what is not kept of it would be lost.
                if not isinstance(report, Advanced):
                    self.store.check_held()
        except Elsewhere as error:
            # Recorded, so that the same command does not meet it again.
            for group in work.groups if at is None else [work.groups[at]]:
                record_lost(group, self.store, error, str(error))
            raise ZooEvalError(
                f"{work.name}: the GPU failed, and this process can use it no more ({error}); what was "
                "committed is kept: run the same command again to go on with the rest"
            ) from error
