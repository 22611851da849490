"""Planted evaluations that fail in each of the ways a real one can: for the runner's tests only."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from zoo_eval.catalog import ModelCard
from zoo_eval.evaluations.evaluation import Candidate, Passed, Result, Workbench
from zoo_eval.inputs import Inputs
from zoo_eval.representations.footprint import GramRequest
from zoo_eval.storage import parts
from zoo_eval.sweep.plan import ModelWork, TrialGroup
from zoo_eval.trial import Trial


@dataclass(frozen=True)
class Planted:
    """Does what `behaviour` says, then writes one accuracy row."""

    name: str
    behaviour: str
    folder: str

    version: ClassVar[int] = 1
    needs_model: ClassVar[bool] = False
    shares_work: ClassVar[bool] = True

    @property
    def kind(self) -> str:
        return "planted"

    def companions(self, inputs: Inputs) -> Sequence["Planted"]:
        return ()

    def trials(self, candidate: Candidate, inputs: Inputs, seed: int) -> Sequence[Trial]:
        return [Trial("planted", 1, self.behaviour, model=self.name, seed=seed)]

    def requests(
        self, trials: Sequence[Trial], candidate: Candidate, inputs: Inputs
    ) -> Sequence[GramRequest]:
        return ()

    def n_passes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        return 0

    def _in_parts(self, trial: Trial, bench: Workbench, first_time: bool) -> Iterator[Passed]:
        """Notes each of four batches; the first time it dies in the third."""
        parts.KEPT_EVERY_S = 0.0
        bench.told_every_s = 0.0
        begun = bench.begun(trial)
        for number in range(begun.n_done, 4):
            with Path(self.folder, f"{self.name} batches").open("a") as file:
                file.write(str(number))
            if number == 2 and first_time:
                time.sleep(1)
                os.kill(os.getpid(), signal.SIGKILL)
            begun.add([{"number": number}], 1)
            yield from bench.passed(5)
        assert [row["number"] for row in begun.rows] == [0, 1, 2, 3]

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result | Passed]:
        met = Path(self.folder, self.name)
        first_time = not met.exists()
        with met.open("a") as file:
            file.write("x")
        if self.behaviour == "dies" or (self.behaviour == "dies once" and first_time):
            # Reports travel in the background: one sent at the very moment of death may be lost,
            # and a death before anything is known to have started is nobody's.
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)
        if self.behaviour == "dies half-way":
            yield from self._in_parts(trials[0], bench, first_time)
        if self.behaviour == "hangs":
            time.sleep(3600)
        if self.behaviour == "notes its share":
            import ray

            share = ray.get_runtime_context().get_assigned_resources()["GPU"]
            with Path(self.folder, "shares").open("a") as file:
                file.write(f"{self.name} {share}\n")
        if self.behaviour == "raises":
            raise ValueError("planted error")
        shares = ("top1", "top1_low", "top1_high", "top5", "top5_low", "top5_high")
        row = {"n_images": 1, **dict.fromkeys(shares, 1.0)}
        yield Result(trials[0], {"accuracy": [row]})


@dataclass(frozen=True)
class DeadlyCard(ModelCard):
    """A model whose opening kills whoever opens it, as running out of memory does."""

    planner: int = field(default_factory=os.getpid)

    def __hash__(self) -> int:
        # Opening looks the card up in a cache.
        if os.getpid() != self.planner:
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)
        return hash(self.name)


def work(*planted: Planted, candidate: Candidate | None = None) -> ModelWork:
    groups = []
    for one in planted:
        trials = tuple(one.trials(Candidate(), Inputs(), 0))
        groups.append(TrialGroup(one, trials, tuple(1 for _ in trials), 0))
    return ModelWork(candidate or Candidate(), tuple(groups))
