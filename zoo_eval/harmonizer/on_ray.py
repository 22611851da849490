"""On Ray: a course on several workers of a cluster, by Ray Train; the one file here that imports Ray.

Should a worker or its node be lost, Ray starts the workers again, and they go on from the store's last
checkpoint: nothing of Ray's own storage is needed for that.
"""

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device

from zoo_eval.errors import BadInput, Refusal, ZooEvalError, one_line
from zoo_eval.files.names import say
from zoo_eval.harmonizer.course import Course, Material
from zoo_eval.harmonizer.peers import Peers
from zoo_eval.harmonizer.run_file import RunFile
from zoo_eval.harmonizer.training import Diverged, Training, Worker
from zoo_eval.runners.on_ray.session import capacity, connect, single_machine
from zoo_eval.storage.objects import PATIENCE_S
from zoo_eval.store import Store

# What no other start would change, by the names under which workers tell it.
ENDINGS: dict[str, type[ZooEvalError]] = {
    one.__name__: one for one in (Diverged, BadInput, Refusal)
}
# As often workers are started again that were lost.
MOST_LOSSES = 5


def check_cluster(run: RunFile) -> None:
    """Joins the cluster, or starts one, and refuses a run that it cannot hold.

    Raises:
        BadInput: no cluster, relative paths on several machines, or more workers than there is room for.
    """
    connect()
    if not single_machine():
        run.refuse_relative_paths("the cluster has several machines")
    there = capacity()
    room = int(there.num_gpus or there.num_cpus)
    # A cluster may grow.
    if "RAY_ADDRESS" not in os.environ and run.training.workers > room:
        raise BadInput(
            f"training.workers = {run.training.workers}, but this machine has room for {room} (a GPU "
            "each, or a CPU each without any); lower `workers`, or set RAY_ADDRESS to a cluster"
        )


def train(run: RunFile, course: Course) -> None:
    """Trains a course on the run's workers, a GPU each where the cluster has GPUs, else a CPU.

    Raises:
        Diverged: a loss was not finite.
        BadInput: the store's checkpoint is of another configuration.
        Refusal: the network has no double backward.
        ZooEvalError: workers were lost too often, or Ray failed.
    """
    with tempfile.TemporaryDirectory(prefix="zoo_eval-train-") as folder:
        # Ray's own types know neither what a worker returns nor where that is found.
        trainer: Any = TorchTrainer(
            cast(Any, _worker),
            train_loop_config={"run": run, "name": course.name},
            scaling_config=ScalingConfig(
                num_workers=run.training.workers, use_gpu=bool(capacity().num_gpus)
            ),
            run_config=RunConfig(
                name=course.name,
                storage_path=str(Path(folder)),
                failure_config=FailureConfig(max_failures=MOST_LOSSES),
            ),
        )
        try:
            with _own_interrupts():
                found = trainer.fit()
        # Whatever Ray wraps it in, its reason is on one line.
        except Exception as error:
            raise ZooEvalError(
                f"{course.model}: training failed on Ray ({one_line(error)}); run the same command again "
                "to go on from the last checkpoint"
            ) from error
    if found.return_value is not None:
        ended, reason = found.return_value
        raise ENDINGS[ended](reason)


@contextmanager
def _own_interrupts() -> Iterator[None]:
    """Has Ctrl-C mean afterwards what it meant before: Ray Train leaves its own answer to it."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _worker(told: dict[str, object]) -> tuple[str, str] | None:
    """Trains as one of the workers; the name and the reason of an ending that another start would not change.

    Returned and not reported, for Ray keeps what is reported with a checkpoint of its own alone.
    """
    run, name = told["run"], told["name"]
    assert isinstance(run, RunFile)
    (course,) = (one for one in Material.of(run).courses() if one.name == name)
    store = Store(run.store.uri.address, patience_s=PATIENCE_S)
    worker = Worker(Peers.joined(), get_device(), say)
    try:
        Training(course, store, worker).run()
    except tuple(ENDINGS.values()) as error:
        # Every worker has seen it: to start them again would end the same way.
        ended = next(name for name, kind in ENDINGS.items() if isinstance(error, kind))
        return ended, str(error)
    return None
