"""The Ray runner: one plain actor per slot, which does what the schedule says."""

import os
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import (
    RayError,
)
from ray.util import metrics

from zoo_eval.errors import Refusal, ZooEvalError, one_line
from zoo_eval.inputs import Inputs
from zoo_eval.recordings.recording import Recording
from zoo_eval.runners.expected import NOTHING_MEASURED, Expected
from zoo_eval.runners.metrics import Metrics
from zoo_eval.runners.on_ray.actors import Actors, got
from zoo_eval.runners.on_ray.session import capacity, connect, single_machine, slot_shape
from zoo_eval.runners.pool import Pool
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.schedule import Schedule
from zoo_eval.runners.slots import Slots
from zoo_eval.stimuli.identities import Identity
from zoo_eval.storage.objects import PATIENCE_S
from zoo_eval.store import Store
from zoo_eval.sweep import load
from zoo_eval.sweep.cards import Roster
from zoo_eval.sweep.file import Sweep
from zoo_eval.sweep.patience import WAITS_S, Patience
from zoo_eval.sweep.plan import Plan
from zoo_eval.views.kept import ViewFolder


class OnRay:
    """Runs a sweep's work on a cluster, which is joined when it is first needed."""

    def __init__(
        self, sweep: Sweep, roster: Roster, store: Store, *, max_slots: int | None = None
    ) -> None:
        self.sweep = sweep
        self.roster = roster
        self.store = store
        self.max_slots = max_slots
        self._described: Inputs | None = None
        # References to inputs without what is in memory of their images, and with it.
        self._loaded: Sequence[Any] = ()

    def inputs(self, patience: Patience | None = None) -> Inputs:
        """What a plan needs of the inputs; images are decoded, on the cluster, only if it must be.

        Raises:
            BadInput: a path, image, label, response or map is wrong, or a name unknown.
        """
        if self._described is None:
            try:
                read = load.read_inputs(self.sweep, self.roster, "undecoded", patience)
                self._described = load.described(read)
            except load.NotKnown:
                self._load({})
                self._described = got(self._loaded[0])
        return self._described

    def run(self, plan: Plan, progress: Progress, expected: Expected = NOTHING_MEASURED) -> None:
        """Runs every model's work, longest first.

        Raises:
            BadInput: no slot can be started, or an input changed since it was planned.
            StoreError: the store is full or cannot be written.
        """
        described = self.inputs()
        if not self._loaded:
            self._load(load.identities(described))
        made = self._make(plan, described)
        wanted = self.sweep.run.gpus_per_model
        slots = Slots(slot_shape(wanted), shares=wanted == "auto", at_most=self.max_slots)
        if "RAY_ADDRESS" not in os.environ:
            slots.check_fits(capacity())
        cluster = Actors([self._loaded, made], self.store.uri, self.sweep.run.budgets)
        schedule = Schedule(plan.work, slots, expected)
        progress.observers.append(Metrics(metrics).show)
        try:
            Pool(schedule, cluster, self.store, progress).run()
        except RayError as error:
            raise ZooEvalError(
                f"Ray failed: {one_line(error)}; run the same command again to go on"
            ) from error

    def _load(self, planned: dict[str, Identity]) -> None:
        """Has the inputs read on the cluster; images that nobody knows yet are decoded there."""
        connect()
        if not single_machine():
            self.sweep.refuse_relative_paths("the cluster has several machines")
        # The return of a task, not a put: should its node be lost, Ray makes it again elsewhere.
        task: Any = ray.remote(_load).options(num_cpus=0, num_returns=2)
        self._loaded = task.remote(self.sweep, self.roster, planned)

    def _make(self, plan: Plan, described: Inputs) -> Sequence[Any]:
        """Has planted recordings made that the plan needs and that are not there yet."""
        names = [name for name in plan.recordings if described.recordings[name].pending]
        if not names:
            return [ray.put(None), ray.put({})]
        task: Any = ray.remote(_make).options(num_cpus=0, num_returns=2)
        folder = self.sweep.run.budgets.views
        made: Sequence[Any] = task.remote(
            self._loaded[1], names, self.roster, self.store.uri, folder
        )
        return made


def _load(sweep: Sweep, roster: Roster, planned: dict[str, Identity]) -> tuple[Inputs, Inputs]:
    read = load.read_inputs(sweep, roster, "streamed", Patience(WAITS_S))
    inputs = load.as_planned(read, planned)
    return load.described(inputs), inputs


def _make(
    inputs: Inputs, names: Sequence[str], roster: Roster, store_uri: str, folder: ViewFolder
) -> tuple[None, dict[str, Recording | Refusal]]:
    return None, load.made(inputs, names, roster, Store(store_uri, patience_s=PATIENCE_S), folder)
