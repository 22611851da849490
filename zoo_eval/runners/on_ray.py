"""The Ray runner: one plain actor per slot, which does what the schedule says.

Ray retries nothing here: what a lost process costs is the schedule's to say, and what is done is
what the store's ledger says.
"""

import atexit
import ipaddress
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from ray._private import ray_constants
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # compiled
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

from zoo_eval.errors import BadInput, ZooEvalError, as_line, one_line
from zoo_eval.inputs import Inputs
from zoo_eval.recordings.recording import Recording
from zoo_eval.runners import own_ray
from zoo_eval.runners.execution import Finished, record_lost
from zoo_eval.runners.progress import Progress
from zoo_eval.runners.schedule import NOTHING_MEASURED, Expected, HandOver, Move, Schedule, Start
from zoo_eval.runners.slots import Slots, SlotShape
from zoo_eval.runners.worker import Slot, SlotInfo
from zoo_eval.stimuli.identities import Identity
from zoo_eval.store import Store
from zoo_eval.sweep import load
from zoo_eval.sweep.cards import Roster
from zoo_eval.sweep.file import Budgets, Sweep
from zoo_eval.sweep.plan import ModelWork, Plan
from zoo_eval.views.kept import ViewFolder

POLL_S = 0.25
LOST = (
    RayActorError, NodeDiedError, WorkerCrashedError, OutOfMemoryError, TaskCancelledError,
    OwnerDiedError, ObjectLostError,
)  # fmt: skip


def connect() -> None:
    """Joins the cluster at `RAY_ADDRESS` (a job's own, inside a job), else starts one for this run.

    A cluster that merely happens to run on this machine is somebody else's: it is left alone.

    Raises:
        BadInput: there is no cluster at the address.
    """
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS")
    try:
        if address is None:
            start()
        else:
            # Ray's default for this differs between its commands; a user's own choice is kept.
            os.environ.setdefault("RAY_AUTH_MODE", "token")
            _read_environment_again()
            ray.init(address=address)
    except (ConnectionError, RayError, ValueError, RuntimeError) as error:
        raise BadInput(
            f"no Ray cluster can be used ({one_line(error)}); start one (ray start --head) and set "
            "RAY_ADDRESS and RAY_AUTH_MODE, or use --runner local"
        ) from error


def start(**resources: Any) -> None:
    """Starts a Ray that ends with this process, for it alone: see `own_ray`.

    Raises:
        RuntimeError: it does not start, or would listen on more than the loopback address.
    """
    folder = own_ray.private_folder()
    atexit.register(_end, folder)
    settings = own_ray.settings(folder)
    # Whoever switched tokens off wants it so; a token of another cluster would be of no use here.
    os.environ.setdefault("RAY_AUTH_MODE", settings.pop("RAY_AUTH_MODE"))
    os.environ.pop("RAY_AUTH_TOKEN", None)
    with _loopback_alone(settings.pop(own_ray.LOOPBACK_SWITCH)):
        os.environ.update(settings)
        _read_environment_again()
        # Sockets and logs below the folder, because Ray lets everybody write to its own.
        temp_dir = str(folder / "ray")
        ray.init(address="local", include_dashboard=False, _temp_dir=temp_dir, **resources)
    if outside := [one for one in _addresses() if not ipaddress.ip_address(one).is_loopback]:
        _end(folder)
        raise RuntimeError(f"Ray listens on {outside[0]}, which others can reach")


def _read_environment_again() -> None:
    # Ray read it when it was imported, and the token when it last started.
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _loopback_alone(switch: str) -> Iterator[None]:
    """What Ray takes a node's address from, for as long as one is started."""
    before = os.environ.get(own_ray.LOOPBACK_SWITCH), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[own_ray.LOOPBACK_SWITCH] = switch
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        os.environ.pop(own_ray.LOOPBACK_SWITCH)
        if before[0] is not None:
            os.environ[own_ray.LOOPBACK_SWITCH] = before[0]
        ray_constants.ENABLE_RAY_CLUSTER = before[1]


def _end(folder: Path) -> None:
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def _addresses() -> set[str]:
    nodes = ray.nodes()  # type: ignore[no-untyped-call]  # Ray
    return {node["NodeManagerAddress"] for node in nodes if node["Alive"]}


def single_machine() -> bool:
    """Whether every node of the cluster is this machine."""
    return len(_addresses()) <= 1


def capacity() -> SlotShape:
    """The GPUs and CPUs that the cluster has in all."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray
    return SlotShape(resources.get("GPU", 0), resources.get("CPU", 0))


def slot_shape(gpus_per_model: float | str) -> SlotShape:
    """A slot's request: a whole GPU by default; a CPU where the cluster has CPUs but no GPU."""
    if gpus_per_model != "auto":
        return SlotShape(float(gpus_per_model), 1)
    there = capacity()
    # A cluster with neither scales its GPU workers up from zero: asking is what starts them.
    return SlotShape(1, 1) if there.num_gpus or not there.num_cpus else SlotShape(0, 1)


def why_unsendable(thing: object) -> str | None:
    """Why something cannot be sent to another process; None where it can."""
    try:
        cloudpickle.dumps(thing)  # type: ignore[no-untyped-call]  # Ray
    except Exception as error:  # noqa: BLE001  # whatever a foreign object raises is the reason
        return one_line(error)
    return None


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

    def inputs(self) -> Inputs:
        """What a plan needs of the inputs; images are decoded, on the cluster, only if it must be.

        Raises:
            BadInput: a path, image, label, response or map is wrong, or a name unknown.
        """
        if self._described is None:
            try:
                read = load.read_inputs(self.sweep, self.roster, "undecoded")
                self._described = load.described(read)
            except load.NotKnown:
                self._load({})
                self._described = _got(self._loaded[0])
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
        pool = _Pool(
            Schedule(plan.work, slots, expected),
            [self._loaded, made],
            self.store,
            progress,
            budgets=self.sweep.run.budgets,
        )
        try:
            pool.run()
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
    inputs = load.as_planned(load.read_inputs(sweep, roster, "streamed"), planned)
    return load.described(inputs), inputs


def _make(
    inputs: Inputs, names: Sequence[str], roster: Roster, store_uri: str, folder: ViewFolder
) -> tuple[None, dict[str, Recording | str]]:
    return None, load.made(inputs, names, roster, Store(store_uri), folder)


def _got(reference: Any) -> Any:
    """What a task returned; an error of ours is raised as what it is."""
    try:
        return ray.get(reference)
    except RayTaskError as error:
        _raise_own(error)
        raise


def _raise_own(error: RayTaskError) -> None:
    cause: object = error
    while isinstance(cause, RayTaskError):
        cause = cause.cause
    if isinstance(cause, ZooEvalError):
        raise cause from None


class _Pool:
    """Carries out a schedule's moves, and tells it what happened.

    `inputs` are pairs of references: to something small that says how loading went, and to what a
    slot is given (see `Slot.run`).
    """

    def __init__(
        self,
        schedule: Schedule,
        inputs: Sequence[Sequence[Any]],
        store: Store,
        progress: Progress,
        *,
        budgets: Budgets,
    ) -> None:
        self.schedule = schedule
        self.loading = [told for told, _ in inputs]
        self.inputs = [held for _, held in inputs]
        self.store = store
        self.progress = progress
        self.budgets = budgets
        self.actors: dict[int, Any] = {}
        # The slots whose next word comes through a reference.
        self.starting: dict[Any, int] = {}
        self.busy: dict[Any, int] = {}

    def run(self) -> None:
        try:
            while not self.schedule.is_over:
                self._turn()
        finally:
            for slot in list(self.actors):
                self._kill(slot)

    def _turn(self) -> None:
        self.store.check_held()
        for move in self.schedule.moves(capacity(), inputs_ready=not self.loading):
            self._carry_out(move)
        if waiting := [*self.loading, *self.starting, *self.busy]:
            ready, _ = ray.wait(waiting, num_returns=1, timeout=POLL_S)
            for reference in ready:
                self._consume(reference)
        for slot in self.schedule.hung():
            self._lost(slot, "Hang", "no progress until the deadline")
        self.progress.line()

    def _carry_out(self, move: Move) -> None:
        if isinstance(move, Start):
            self._start(move.slot, move.shape)
        elif isinstance(move, HandOver):
            run = self.actors[move.slot].run.options(num_returns="streaming")
            self.busy[run.remote(move.work, self.inputs, move.upcoming)] = move.slot
        else:
            self._kill(move.slot)

    def _start(self, slot: int, shape: SlotShape) -> None:
        wanted = {"num_cpus": shape.num_cpus, "num_gpus": shape.num_gpus}
        make: Any = ray.remote(Slot).options(**wanted, max_restarts=0, max_task_retries=0)
        actor = make.remote(self.store.uri, self.budgets, shape, ray.get)
        self.actors[slot] = actor
        self.starting[actor.ready.remote()] = slot

    def _kill(self, slot: int) -> None:
        ray.kill(self.actors.pop(slot))
        self.starting = {one: other for one, other in self.starting.items() if other != slot}
        self.busy = {one: other for one, other in self.busy.items() if other != slot}

    def _consume(self, reference: Any) -> None:
        if reference in self.loading:
            self.loading.remove(reference)
            _got(reference)
        elif reference in self.starting:
            self._consume_start(reference, self.starting.pop(reference))
        else:
            self._consume_report(reference, self.busy[reference])

    def _consume_start(self, reference: Any, slot: int) -> None:
        try:
            info: SlotInfo = ray.get(reference)
        except RayError as error:
            self._kill(slot)
            self.schedule.start_failed(slot, str(error).strip().splitlines()[-1])
        else:
            self.schedule.started(slot, info.gpu_bytes)

    def _consume_report(self, stream: Any, slot: int) -> None:
        try:
            report = ray.get(next(stream))
        except StopIteration:
            del self.busy[stream]
            self.schedule.finished(slot)
        except LOST as error:
            self._lost(slot, type(error).__name__, str(error))
        except RayTaskError as error:
            _raise_own(error)
            self._lost(slot, type(error.cause).__name__, str(error.cause))
        else:
            self.schedule.reported(slot, report)
            if isinstance(report, Finished):
                self.progress.finished(self.schedule.work_of(slot).name, report)

    def _lost(self, slot: int, error_type: str, message: str) -> None:
        # First: nothing may write behind our back.
        self._kill(slot)
        loss = self.schedule.lost(slot)
        for index, times in loss.given_up.items():
            said = as_line(message)[:500]
            text = f"the process was lost {times} times; last: {said}"
            self._give_up(loss.work, index, error_type, text)
        if loss.tried_again:
            name = loss.work.name
            self.progress.say(f"{name}: its process was lost ({error_type}); trying again")

    def _give_up(self, work: ModelWork, index: int, error_type: str, text: str) -> None:
        group = work.groups[index]
        # A commit may have been made just before the death: the ledger decides.
        status = self.store.ledger().status
        n_committed = sum(status.get(trial.id) == "ok" for trial in group.trials)
        if n_committed < len(group.trials):
            record_lost(group, self.store, error_type=error_type, message=text)
        n_failed = len(group.trials) - n_committed
        finished = Finished(index, n_committed, n_failed, 0, 0, group.n_passes, text)
        self.progress.finished(work.name, finished)
