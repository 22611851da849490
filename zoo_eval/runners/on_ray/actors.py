"""Actors: a pool's slots as Ray has them.

Ray retries nothing here: what a lost process costs is the schedule's to say, and what is done is
what the store's ledger says.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray._private.state import state
from ray.exceptions import (
    ActorUnavailableError,
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

from zoo_eval.errors import ZooEvalError
from zoo_eval.runners.on_ray.session import capacity, head
from zoo_eval.runners.pool import Gone, News, NotUp, Through, Told, Up
from zoo_eval.runners.slots import Capacity, SlotShape
from zoo_eval.runners.worker import Slot
from zoo_eval.sweep.faults import HOST_MEMORY, NODE, PROCESS, Elsewhere, Fault
from zoo_eval.sweep.file import Budgets
from zoo_eval.sweep.plan import ModelWork

LOOK_EVERY_S = 1.0
LOST = (
    RayActorError, NodeDiedError, WorkerCrashedError, OutOfMemoryError, TaskCancelledError,
    OwnerDiedError, ObjectLostError,
)  # fmt: skip


@dataclass(frozen=True)
class Awaited:
    """What Ray is waiting to say: of a slot that is starting, or at work."""

    slot: int
    is_at_work: bool


class Actors:
    """A pool's slots as Ray's actors.

    `inputs` are pairs of references: to something small that says how loading went, and to what a
    slot is given (see `Slot.run`).
    """

    def __init__(self, inputs: Sequence[Sequence[Any]], store_uri: str, budgets: Budgets) -> None:
        self.loading = [told for told, _ in inputs]
        self.inputs = [held for _, held in inputs]
        self.store_uri = store_uri
        self.budgets = budgets
        self.actors: dict[int, Any] = {}
        self.nodes: dict[int, str] = {}
        self.head = head()
        self.looked = float("-inf")
        self.has = Capacity(0, 0)
        self.going: list[int] = []
        self.waiting: dict[Any, Awaited] = {}

    @property
    def is_ready(self) -> bool:
        return not self.loading

    def capacity(self) -> Capacity:
        self._look()
        return self.has

    def leaving(self) -> list[int]:
        self._look()
        return self.going

    def _look(self) -> None:
        """Asks the head what there is, once a second, if it is there: Ray would wait for it."""
        if time.monotonic() < self.looked + LOOK_EVERY_S:
            return
        while not self.head.is_there():
            time.sleep(LOOK_EVERY_S)
        self.has = capacity()
        # Of spot machines that have notice, and of nodes that are scaled down.
        leaving = state.get_draining_nodes()
        self.going = [slot for slot, node in self.nodes.items() if node in leaving]
        self.looked = time.monotonic()

    def start(self, slot: int, shape: SlotShape) -> None:
        wanted = {"num_cpus": shape.num_cpus, "num_gpus": shape.num_gpus, **shape.selector}
        make: Any = ray.remote(Slot).options(**wanted, max_restarts=0, max_task_retries=0)
        actor = make.remote(self.store_uri, self.budgets, shape, ray.get)
        self.actors[slot] = actor
        self.waiting[actor.ready.remote(_node)] = Awaited(slot, is_at_work=False)

    def hand_over(self, slot: int, work: ModelWork, upcoming: ModelWork | None) -> None:
        run = self.actors[slot].run.options(num_returns="streaming")
        self.waiting[run.remote(work, self.inputs, upcoming)] = Awaited(slot, is_at_work=True)

    def end(self, slot: int) -> None:
        actor = self.actors.pop(slot)
        if self.head.is_there():
            ray.kill(actor)
        self.nodes.pop(slot, None)
        self.waiting = {one: told for one, told in self.waiting.items() if told.slot != slot}

    def news(self, timeout_s: float) -> list[News]:
        if not (waiting := [*self.loading, *self.waiting]):
            return []
        ready, _ = ray.wait(waiting, num_returns=1, timeout=timeout_s)
        return [one for reference in ready for one in self._of(reference)]

    def _of(self, reference: Any) -> Iterator[News]:
        if reference in self.loading:
            self.loading.remove(reference)
            got(reference)
        elif (told := self.waiting[reference]).is_at_work:
            yield self._reported(reference, told.slot)
        else:
            del self.waiting[reference]
            yield self._started(reference, told.slot)

    def _started(self, reference: Any, slot: int) -> News:
        try:
            info, self.nodes[slot] = ray.get(reference)
        except RayError as error:
            return NotUp(slot, str(error).strip().splitlines()[-1])
        return Up(slot, info)

    def _reported(self, stream: Any, slot: int) -> News:
        try:
            return Told(slot, ray.get(next(stream)))
        except StopIteration:
            del self.waiting[stream]
            return Through(slot)
        except LOST as error:
            return Gone(slot, Elsewhere(_fault(error), type(error).__name__, str(error)))
        except RayTaskError as error:
            if isinstance(cause := cause_of(error), ZooEvalError):
                if isinstance(cause, Elsewhere):
                    return Gone(slot, cause)
                raise cause from None
            return Gone(slot, Elsewhere(PROCESS, type(cause).__name__, str(cause)))


def _fault(error: RayError) -> Fault:
    """What ended a slot's process, as far as Ray knows."""
    if isinstance(error, OutOfMemoryError):
        return HOST_MEMORY
    is_of_node = isinstance(error, NodeDiedError | ActorUnavailableError)
    if is_of_node or getattr(error, "preempted", False) or "node has died" in str(error):
        return NODE
    return PROCESS


def _node() -> str:
    """The node that it is called on."""
    return str(ray.get_runtime_context().get_node_id())


def got(reference: Any) -> Any:
    """What a task returned; an error of ours is raised as what it is."""
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(cause := cause_of(error), ZooEvalError):
            raise cause from None
        raise


def cause_of(error: RayTaskError) -> BaseException:
    """What was raised in a task, whatever Ray has wrapped it in."""
    cause: BaseException = error
    while isinstance(cause, RayTaskError):
        cause = cause.cause
    return cause
