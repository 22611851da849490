"""Runner: where a plan's work is done; one protocol, whether in this process or on a cluster."""

from typing import Protocol

from zoo_eval.inputs import Inputs
from zoo_eval.runners.expected import Expected
from zoo_eval.runners.progress import Progress
from zoo_eval.sweep.patience import Patience
from zoo_eval.sweep.plan import Plan


class Runner(Protocol):
    """Runs the work of one sweep into one store; it is made of the sweep, its models and the store."""

    def inputs(self, patience: Patience | None = None) -> Inputs:
        """What a plan needs of the sweep's inputs; no image is decoded twice for it and the run.

        What is away is waited for with `patience`, if any.

        Raises:
            BadInput: a path, image, label, response or map is wrong, or a name unknown.
        """
        ...

    def run(self, plan: Plan, progress: Progress, expected: Expected) -> None:
        """Runs every model's work, longest first.

        Raises:
            BadInput: nothing can be started, or an input changed since it was planned.
            StoreError: the store is full or cannot be written.
        """
        ...
