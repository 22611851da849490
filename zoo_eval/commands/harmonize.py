"""Harmonizing: trains a network to look where people look, and its control, beside each other."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from zoo_eval.commands.command import INCOMPLETE, OK
from zoo_eval.commands.sweep import RunnerName
from zoo_eval.errors import BadInput
from zoo_eval.files.names import say
from zoo_eval.harmonizer import run_file
from zoo_eval.harmonizer.course import Course, Material
from zoo_eval.harmonizer.peers import Peers
from zoo_eval.harmonizer.run_file import RunFile
from zoo_eval.harmonizer.training import Diverged, Training, Worker
from zoo_eval.paths import SweepPath
from zoo_eval.privacy.addresses import shown
from zoo_eval.store import Store
from zoo_eval.sweep.file import StoreSection

Say = Callable[[str], None]


@dataclass(frozen=True)
class HarmonizeOptions:
    """What was asked for on the command line; `home` as in `SweepOptions`."""

    run: Path
    home: Path | None
    store: str | None = None
    runner: RunnerName = "ray"

    def read(self) -> RunFile:
        """The run with the command line's store in place.

        Raises:
            BadInput: the file is wrong, or a relative path has no folder to start from.
        """
        run = run_file.read(self.run, self.home)
        if self.store is not None:
            place = StoreSection(uri=SweepPath.of(self.store, self.home))
            run = run.model_copy(update={"store": place})
        if self.home is None:
            run.refuse_relative_paths("the submitter's folder is unknown")
        return run


def run(options: HarmonizeOptions, say: Say = say) -> int:
    """Trains what is not trained yet of a run; 0, or 1 where a loss was not finite.

    Raises:
        BadInput: the file, a path, an image or the store is wrong; nothing was trained.
        StoreError: the store cannot be written; the last checkpoint is kept.
    """
    asked = options.read()
    if options.runner == "local" and asked.training.workers > 1:
        raise BadInput(
            f"training.workers = {asked.training.workers}, but --runner local is one process; leave "
            "--runner out, or set workers = 1"
        )
    store = Store(asked.store.uri.address, create=True)
    store.check_space()
    # What is wrong is said before a cluster is joined.
    material = Material.of(asked)
    material.check_control(store)
    courses = material.courses()
    known = {row["model"]: row["run_id"] for row in store.read("training_runs").to_pylist()}
    for course in courses:
        if known.get(course.model, course.trial.id) != course.trial.id:
            raise BadInput(
                f"{course.model} was trained into store {store.name} by another configuration; choose "
                "another `name`, or another --store"
            )
    train = _local if options.runner == "local" else _on_ray(asked)
    diverged = set()
    for course in courses:
        if course.model in known:
            say(f"{course.model} is trained already")
            continue
        try:
            train(asked, course)
        except Diverged as error:
            say(str(error))
            diverged.add(course.model)
    names = ", ".join(course.model for course in courses if course.model not in diverged)
    say(f"store {shown(store.uri)} has {names or 'neither'}; a sweep into it finds harmonized/*")
    return INCOMPLETE if diverged else OK


def _local(asked: RunFile, course: Course) -> None:
    """Trains in this process, on its GPU if it has one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    store = Store(asked.store.uri.address)
    Training(course, store, Worker(Peers(), device, say)).run()


def _on_ray(asked: RunFile) -> Callable[[RunFile, Course], None]:
    # Only here: whoever trains without Ray does not pay for importing it.
    from zoo_eval.harmonizer import on_ray

    on_ray.check_cluster(asked)
    return on_ray.train
