"""The Ray runner: one plain actor per slot, a share of a GPU or a CPU, fed the longest work first.

Ray retries nothing here. A slot that dies, hangs or loses its node is killed, and what is left of
its work goes back into the queue; the group that had started (while a model is opened: all of its
groups) is charged a death, and after `MAX_DEATHS` of them is recorded as failed. What is done is
what the store's ledger says.
"""

import heapq
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    OwnerDiedError,
    RayActorError,
    RayError,
    RayTaskError,
    TaskCancelledError,
    WorkerCrashedError,
)

from zoo_eval.errors import BadInput, StoreError, ZooEvalError, one_line
from zoo_eval.inputs import Inputs
from zoo_eval.runners.execution import Finished, Report, Started, record_lost
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.schedule import MAX_DEATHS, NOTHING_MEASURED, Expected, Queued
from zoo_eval.runners.worker import Slot, SlotInfo, SlotShape
from zoo_eval.store import Store
from zoo_eval.sweep.file import Sweep
from zoo_eval.sweep.load import load_inputs
from zoo_eval.sweep.plan import ModelWork, Plan, TrialGroup

START_TIMEOUT_S = 600.0
# A group that takes this long is hung: far beyond one image pass of the largest models on a CPU.
HANG_FLOOR_S = 900.0
HANG_S_PER_PASS = 10.0
POLL_S = 0.25
LOST = (
    RayActorError,
    NodeDiedError,
    WorkerCrashedError,
    OutOfMemoryError,
    TaskCancelledError,
    OwnerDiedError,
    ObjectLostError,
)


@dataclass(frozen=True)
class _Actor:
    handle: Any
    shape: SlotShape


@dataclass
class _Busy:
    slot: _Actor
    queued: Queued
    deadline: float
    blamed: tuple[int, ...] = ()
    finished: set[int] = field(default_factory=set)


def connect() -> None:
    """Joins the cluster at `RAY_ADDRESS` (a job's own, inside a job), else starts one for this run.

    A cluster that merely happens to run on this machine is somebody else's: it is left alone.

    Raises:
        BadInput: there is no cluster at the address.
    """
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS")
    # Ray's default for this differs between its commands; a user's own choice is kept.
    os.environ.setdefault("RAY_AUTH_MODE", "token" if address else "disabled")
    try:
        ray.init(address=address or "local", include_dashboard=None if address else False)
    except (ConnectionError, RayError, ValueError, RuntimeError) as error:
        raise BadInput(
            f"no Ray cluster can be used ({one_line(error)}); start one (ray start --head) and set "
            "RAY_ADDRESS and RAY_AUTH_MODE, or use --runner local"
        ) from error


def cluster_resources() -> dict[str, float]:
    """What the cluster has in all, by resource."""
    return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]  # Ray


def slot_shape(gpus_per_model: float | str) -> SlotShape:
    """A slot's request: a whole GPU by default; a CPU where the cluster has CPUs but no GPU."""
    resources = cluster_resources()
    if gpus_per_model != "auto":
        return SlotShape(float(gpus_per_model), 1)
    has_gpu, has_cpu = resources.get("GPU", 0) > 0, resources.get("CPU", 0) > 0
    # A cluster with neither scales its GPU workers up from zero: asking is what starts them.
    return SlotShape(1, 1) if has_gpu or not has_cpu else SlotShape(0, 1)


def single_machine() -> bool:
    """Whether every node of the cluster is this machine."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]  # Ray
    return len({node["NodeManagerAddress"] for node in nodes if node["Alive"]}) <= 1


class _Pool:
    """The driver's loop: slots starting, idle and busy, and the queue of work.

    `shape` is a whole slot; with `shares`, work that is known to need less of a GPU get less.
    """

    def __init__(
        self,
        store: Store,
        inputs: Any,
        shape: SlotShape,
        *,
        expected: Expected,
        shares: bool,
        budget_bytes: int,
        max_slots: int | None,
        progress: Progress,
    ) -> None:
        self.store = store
        self.inputs = inputs
        self.shape = shape
        self.expected = expected
        self.shares = shares
        self.gpu_bytes: int | None = None
        self.budget_bytes = budget_bytes
        self.max_slots = max_slots
        self.progress = progress
        self.queue: list[Queued] = []
        self.starting: dict[Any, tuple[_Actor, float]] = {}
        self.idle: list[_Actor] = []
        self.busy: dict[Any, _Busy] = {}
        self.failed_starts = 0

    def run(self, everything: list[ModelWork]) -> None:
        numbers = itertools.count()
        for work in everything:
            seconds = self.expected.seconds.get(work.name, 0.0)
            heapq.heappush(self.queue, Queued(work, next(numbers), seconds))
        try:
            while self.queue or self.busy:
                self._turn()
        finally:
            for slot in [*self._slots()]:
                ray.kill(slot.handle)

    def _slots(self) -> Iterator[_Actor]:
        yield from (slot for slot, _ in self.starting.values())
        yield from self.idle
        yield from (busy.slot for busy in self.busy.values())

    def _turn(self) -> None:
        self._drop_misfits()
        self._start_slots()
        while self.queue and (slot := self._fitting(self._shape(self.queue[0]))):
            self._hand_over(slot, heapq.heappop(self.queue))
        if not self.queue:
            # Nodes without slots can be scaled down while the last work runs.
            for slot in (*self.idle, *(slot for slot, _ in self.starting.values())):
                ray.kill(slot.handle)
            self.idle, self.starting = [], {}
        waiting = [*self.starting, *self.busy]
        if waiting:
            ready, _ = ray.wait(waiting, num_returns=1, timeout=POLL_S)
            for reference in ready:
                self._consume(reference)
        self._check_deadlines()
        self.progress.line()

    def _shape(self, queued: Queued) -> SlotShape:
        return replace(self.shape, num_gpus=self.shape.num_gpus * queued.share)

    def _fitting(self, shape: SlotShape) -> _Actor | None:
        place = next((i for i, slot in enumerate(self.idle) if slot.shape == shape), None)
        return None if place is None else self.idle.pop(place)

    def _drop_misfits(self) -> None:
        """Gives back idle slots of another shape than the next work's: whoever fits is gone."""
        if not self.queue:
            return
        shape = self._shape(self.queue[0])
        for slot in self.idle:
            if slot.shape != shape:
                ray.kill(slot.handle)
        self.idle = [slot for slot in self.idle if slot.shape == shape]

    def _start_slots(self) -> None:
        if not self.queue:
            return
        shape = self._shape(self.queue[0])
        waiting = sum(1 for queued in self.queue if queued.share == self.queue[0].share)
        while len(self.starting) + len(self.idle) < waiting and self._has_room(shape):
            handle: Any = (
                ray.remote(Slot)
                .options(
                    num_cpus=shape.num_cpus,
                    num_gpus=shape.num_gpus,
                    max_restarts=0,
                    max_task_retries=0,
                )
                .remote(self.store.uri, self.budget_bytes, shape, ray.get)
            )
            deadline = time.monotonic() + START_TIMEOUT_S
            self.starting[handle.ready.remote()] = (_Actor(handle, shape), deadline)

    def _has_room(self, shape: SlotShape) -> bool:
        slots = list(self._slots())
        if self.max_slots is not None:
            return len(slots) < self.max_slots
        resources = cluster_resources()
        if shape.num_gpus:
            taken = sum(slot.shape.num_gpus for slot in slots)
            return not slots or taken + shape.num_gpus <= resources.get("GPU", 0)
        taken = sum(slot.shape.num_cpus for slot in slots)
        return not slots or taken + shape.num_cpus <= resources.get("CPU", 0)

    def _hand_over(self, slot: _Actor, queued: Queued) -> None:
        run = slot.handle.run.options(num_returns="streaming")
        stream = run.remote(queued.work, [self.inputs], self._upcoming())
        self.busy[stream] = _Busy(slot, queued, time.monotonic() + HANG_FLOOR_S)

    def _upcoming(self) -> ModelWork | None:
        """As far ahead in the queue as there are slots: nearer ones are being fetched already."""
        ahead = heapq.nsmallest(1 + sum(1 for _ in self._slots()), self.queue)
        return ahead[-1].work if ahead else None

    def _consume(self, reference: Any) -> None:
        if reference in self.starting:
            self._consume_start(reference)
            return
        busy = self.busy[reference]
        try:
            report = ray.get(next(reference))
        except StopIteration:
            del self.busy[reference]
            self.idle.append(busy.slot)
        except LOST as error:
            self._lost(reference, type(error).__name__, str(error))
        except RayTaskError as error:
            if isinstance(error.cause, StoreError):
                raise error.cause from None
            self._lost(reference, type(error.cause).__name__, str(error.cause))
        else:
            self._report(busy, report)

    def _consume_start(self, reference: Any) -> None:
        slot, _ = self.starting.pop(reference)
        try:
            info: SlotInfo = ray.get(reference)
        except RayError as error:
            ray.kill(slot.handle)
            self.failed_starts += 1
            if self.failed_starts >= MAX_DEATHS:
                reason = str(error).strip().splitlines()[-1]
                raise BadInput(
                    f"{MAX_DEATHS} slots in a row could not start ({reason}); every node needs "
                    "this package, its libraries and the store"
                ) from error
        else:
            self.failed_starts = 0
            self.idle.append(slot)
            self._learn(info.gpu_bytes)

    def _learn(self, gpu_bytes: int | None) -> None:
        """Cuts shares by the smallest GPU there is."""
        if not self.shares or gpu_bytes is None or gpu_bytes >= (self.gpu_bytes or gpu_bytes + 1):
            return
        self.gpu_bytes = gpu_bytes
        self.queue = [
            replace(queued, share=self.expected.share(queued.work, gpu_bytes))
            for queued in self.queue
        ]
        heapq.heapify(self.queue)

    def _report(self, busy: _Busy, report: Report) -> None:
        if isinstance(report, Started):
            groups, index = busy.queued.work.groups, report.group_index
            busy.blamed = tuple(range(len(groups))) if index is None else (index,)
            passes = 0 if index is None else groups[index].n_passes
            busy.deadline = time.monotonic() + HANG_FLOOR_S + HANG_S_PER_PASS * passes
        else:
            busy.blamed = ()
            busy.finished.add(report.group_index)
            self.progress.finished(busy.queued.work.name, report)

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        for stream, busy in list(self.busy.items()):
            if now > busy.deadline:
                self._lost(stream, "Hang", "no progress until the deadline")
        for reference, (slot, deadline) in list(self.starting.items()):
            if now > deadline:
                ray.kill(slot.handle)
                del self.starting[reference]
                if not self.busy and not self.idle:
                    raise BadInput(
                        f"no slot started within {START_TIMEOUT_S:.0f} s: one needs "
                        f"{slot.shape.num_gpus:g} GPUs and {slot.shape.num_cpus:g} CPUs, the "
                        f"cluster has {cluster_resources()}; change gpus_per_model"
                    )

    def _lost(self, stream: Any, error_type: str, message: str) -> None:
        """Kills the slot first, so that nothing writes behind our back; then requeues what is left."""
        busy = self.busy.pop(stream)
        ray.kill(busy.slot.handle)
        work = busy.queued.work
        left, given_up = busy.queued.after_loss(busy.blamed, busy.finished)
        for index, times in given_up.items():
            said = " ".join(message.split())[:500]
            text = f"the process was lost {times} times; last: {said}"
            self._give_up(work, work.groups[index], index, error_type, text)
        if left is not None:
            self.progress.say(f"{work.name}: its process was lost ({error_type}); trying again")
            heapq.heappush(self.queue, left)

    def _give_up(
        self, work: ModelWork, group: TrialGroup, index: int, error_type: str, text: str
    ) -> None:
        # A commit may have been made just before the death: the ledger decides.
        status = self.store.ledger().status
        n_committed = sum(status.get(trial.id) == "ok" for trial in group.trials)
        if n_committed < len(group.trials):
            record_lost(group, self.store, error_type=error_type, message=text)
        n_failed = len(group.trials) - n_committed
        finished = Finished(index, n_committed, n_failed, 0, 0, group.n_passes, text)
        self.progress.finished(work.name, finished)


def run(
    plan: Plan,
    sweep: Sweep,
    home: Path,
    store: Store,
    *,
    progress: Progress,
    expected: Expected = NOTHING_MEASURED,
    max_slots: int | None = None,
) -> None:
    """Runs all work on the connected cluster.

    Raises:
        BadInput: no slot can be started.
        StoreError: the store is full or cannot be written.
    """
    # The return of a task, not a put: should its node be lost, Ray makes it again elsewhere.
    inputs = ray.remote(_load).options(num_cpus=0).remote(sweep, home, store.uri)
    pool = _Pool(
        store,
        inputs,
        slot_shape(sweep.run.gpus_per_model),
        expected=expected,
        shares=sweep.run.gpus_per_model == "auto",
        budget_bytes=sweep.run.memory_budget_bytes,
        max_slots=max_slots,
        progress=progress,
    )
    try:
        pool.run(plan.work)
    except RayError as error:
        raise ZooEvalError(f"Ray failed: {error}; run the same command again to go on") from error


def _load(sweep: Sweep, home: Path, store_uri: str) -> Inputs:
    return load_inputs(sweep, home, Store(store_uri))
