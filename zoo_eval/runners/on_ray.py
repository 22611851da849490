"""The Ray runner: one plain actor per GPU (or CPU) slot, fed longest order first.

Ray retries nothing here. A slot that dies, hangs or loses its node is killed, and what is left of
its order goes back into the queue; the group that had started (while a model is opened: all of its
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
import torch
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
from zoo_eval.loading import load_inputs
from zoo_eval.planning import Group, Order, Plan
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.work import Finished, Report, Started, prefetch, record_lost, run_order
from zoo_eval.store import Store
from zoo_eval.sweep import Sweep

MAX_DEATHS = 3
# Deaths before any group started (a lost node, say) are nobody's fault, but not for ever.
MAX_INNOCENT_DEATHS = 10
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
class SlotShape:
    """What one slot asks of the cluster."""

    num_gpus: float
    num_cpus: float


class Slot:
    """One process, one model at a time; a plain actor, so methods run in its main thread."""

    def __init__(self, store_uri: str, budget_bytes: int, num_cpus: int) -> None:
        # Ray sets OMP_NUM_THREADS from num_cpus; PyTorch's own pool must agree with it.
        torch.set_num_threads(max(1, num_cpus))
        self.store = Store(store_uri)
        self.budget_bytes = budget_bytes
        self.device = torch.device(
            "cuda:0" if ray.get_gpu_ids() and torch.cuda.is_available() else "cpu"
        )
        self.model = "idle"

    def __repr__(self) -> str:
        return f"Slot({self.model})"

    def ready(self) -> str:
        """The slot's device: it is up, and its libraries are imported."""
        return str(self.device)

    def run(self, order: Order, inputs: list[Any], upcoming: Order | None) -> Iterator[Report]:
        """Runs an order, reporting before and after each group; `inputs` holds one reference.

        The weights of the one upcoming are fetched meanwhile.
        """
        self.model = order.name
        prefetch(upcoming)
        loaded: Inputs = ray.get(inputs[0])
        yield from run_order(
            order, loaded, self.store, device=self.device, budget_bytes=self.budget_bytes
        )
        self.model = "idle"


@dataclass(order=True)
class _Queued:
    priority: float
    number: int
    order: Order = field(compare=False)
    deaths: dict[int, int] = field(compare=False, default_factory=dict)
    innocent_deaths: int = field(compare=False, default=0)


@dataclass
class _Busy:
    slot: Any
    queued: _Queued
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
    """The driver's loop: slots starting, idle and busy, and the queue of orders."""

    def __init__(
        self,
        store: Store,
        inputs: Any,
        shape: SlotShape,
        *,
        budget_bytes: int,
        max_slots: int | None,
        progress: Progress,
    ) -> None:
        self.store = store
        self.inputs = inputs
        self.shape = shape
        self.budget_bytes = budget_bytes
        self.max_slots = max_slots
        self.progress = progress
        self.queue: list[_Queued] = []
        self.starting: dict[Any, tuple[Any, float]] = {}
        self.idle: list[Any] = []
        self.busy: dict[Any, _Busy] = {}
        self.failed_starts = 0

    def run(self, orders: list[Order]) -> None:
        numbers = itertools.count()
        for order in orders:
            heapq.heappush(self.queue, _Queued(-order.cost, next(numbers), order))
        try:
            while self.queue or self.busy:
                self._turn()
        finally:
            for slot in [*self._slots()]:
                ray.kill(slot)

    def _slots(self) -> Iterator[Any]:
        yield from (slot for slot, _ in self.starting.values())
        yield from self.idle
        yield from (busy.slot for busy in self.busy.values())

    def _turn(self) -> None:
        self._start_slots()
        while self.idle and self.queue:
            self._hand_over(self.idle.pop(), heapq.heappop(self.queue))
        if not self.queue:
            # Nodes without slots can be scaled down while the last orders run.
            for slot in (*self.idle, *(slot for slot, _ in self.starting.values())):
                ray.kill(slot)
            self.idle, self.starting = [], {}
        waiting = [*self.starting, *self.busy]
        if waiting:
            ready, _ = ray.wait(waiting, num_returns=1, timeout=POLL_S)
            for reference in ready:
                self._consume(reference)
        self._check_deadlines()
        self.progress.line()

    def _start_slots(self) -> None:
        wanted = min(self._capacity(), len(self.queue) + len(self.busy))
        while len(self.starting) + len(self.idle) + len(self.busy) < wanted:
            slot: Any = (
                ray.remote(Slot)
                .options(
                    num_cpus=self.shape.num_cpus,
                    num_gpus=self.shape.num_gpus,
                    max_restarts=0,
                    max_task_retries=0,
                )
                .remote(self.store.uri, self.budget_bytes, int(self.shape.num_cpus))
            )
            self.starting[slot.ready.remote()] = (slot, time.monotonic() + START_TIMEOUT_S)

    def _capacity(self) -> int:
        if self.max_slots is not None:
            return self.max_slots
        resources = cluster_resources()
        if self.shape.num_gpus:
            return max(1, int(resources.get("GPU", 0) / self.shape.num_gpus))
        return max(1, int(resources.get("CPU", 0) / self.shape.num_cpus))

    def _hand_over(self, slot: Any, queued: _Queued) -> None:
        run = slot.run.options(num_returns="streaming")
        stream = run.remote(queued.order, [self.inputs], self._upcoming())
        self.busy[stream] = _Busy(slot, queued, time.monotonic() + HANG_FLOOR_S)

    def _upcoming(self) -> Order | None:
        """As far ahead in the queue as there are slots: nearer ones are being fetched already."""
        ahead = heapq.nsmallest(1 + sum(1 for _ in self._slots()), self.queue)
        return ahead[-1].order if ahead else None

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
            ray.get(reference)
        except RayError as error:
            ray.kill(slot)
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

    def _report(self, busy: _Busy, report: Report) -> None:
        if isinstance(report, Started):
            groups, index = busy.queued.order.groups, report.group_index
            busy.blamed = tuple(range(len(groups))) if index is None else (index,)
            passes = 0 if index is None else groups[index].n_passes
            busy.deadline = time.monotonic() + HANG_FLOOR_S + HANG_S_PER_PASS * passes
        else:
            busy.blamed = ()
            busy.finished.add(report.group_index)
            self.progress.finished(busy.queued.order.name, report)

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        for stream, busy in list(self.busy.items()):
            if now > busy.deadline:
                self._lost(stream, "Hang", "no progress until the deadline")
        for reference, (slot, deadline) in list(self.starting.items()):
            if now > deadline:
                ray.kill(slot)
                del self.starting[reference]
                if not self.busy and not self.idle:
                    raise BadInput(
                        f"no slot started within {START_TIMEOUT_S:.0f} s: one needs "
                        f"{self.shape.num_gpus:g} GPUs and {self.shape.num_cpus:g} CPUs, the "
                        f"cluster has {cluster_resources()}; change gpus_per_model"
                    )

    def _lost(self, stream: Any, error_type: str, message: str) -> None:
        """Kills the slot first, so that nothing writes behind our back; then requeues what is left."""
        busy = self.busy.pop(stream)
        ray.kill(busy.slot)
        queued, groups = busy.queued, busy.queued.order.groups
        left = [i for i in range(len(groups)) if i not in busy.finished]
        deaths, innocent = dict(queued.deaths), queued.innocent_deaths
        innocent += not busy.blamed
        for index in busy.blamed:
            deaths[index] = deaths.get(index, 0) + 1
        given_up = [i for i in left if deaths.get(i, 0) >= MAX_DEATHS]
        if innocent >= MAX_INNOCENT_DEATHS:
            given_up = left
        for index in given_up:
            times = deaths.get(index, 0) + innocent
            said = " ".join(message.split())[:500]
            text = f"the process was lost {times} times; last: {said}"
            self._give_up(queued.order, groups[index], index, error_type, text)
        left = [i for i in left if i not in given_up]
        if left:
            self.progress.say(
                f"{queued.order.name}: its process was lost ({error_type}); trying again"
            )
            order = replace(queued.order, groups=tuple(groups[i] for i in left))
            heapq.heappush(
                self.queue,
                _Queued(
                    -order.cost,
                    queued.number,
                    order,
                    {place: deaths[i] for place, i in enumerate(left) if i in deaths},
                    innocent,
                ),
            )

    def _give_up(self, order: Order, group: Group, index: int, error_type: str, text: str) -> None:
        # A commit may have been made just before the death: the ledger decides.
        status = self.store.ledger().status
        n_committed = sum(status.get(trial.id) == "ok" for trial in group.trials)
        if n_committed < len(group.trials):
            record_lost(group, self.store, error_type=error_type, message=text)
        n_failed = len(group.trials) - n_committed
        finished = Finished(index, n_committed, n_failed, 0, 0, group.n_passes, text)
        self.progress.finished(order.name, finished)


def run(
    plan: Plan,
    sweep: Sweep,
    home: Path,
    store: Store,
    *,
    progress: Progress,
    max_slots: int | None = None,
) -> None:
    """Runs every order on the connected cluster.

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
        budget_bytes=sweep.run.memory_budget_bytes,
        max_slots=max_slots,
        progress=progress,
    )
    try:
        pool.run(plan.orders)
    except RayError as error:
        raise ZooEvalError(f"Ray failed: {error}; run the same command again to go on") from error


def _load(sweep: Sweep, home: Path, store_uri: str) -> Inputs:
    return load_inputs(sweep, home, Store(store_uri))
