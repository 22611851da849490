"""A planted attack in batches of two images, kept after each; as a process of its own, it is killed."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.planted_nets import noise, opened, pixels
from zoo_eval.evaluations.attack_run import AttackRun
from zoo_eval.evaluations.evaluation import Candidate
from zoo_eval.evaluations.human_alignment import HumanAlignment
from zoo_eval.evaluations.minimal_attack import MinimalAttack
from zoo_eval.importance.maps import of_stimuli
from zoo_eval.importance.preparation import Preparation
from zoo_eval.inputs import Inputs
from zoo_eval.models.open_model import FLOPS_AT_A_TIME, OpenModel
from zoo_eval.runners import execution
from zoo_eval.runners.execution import Machine, Report, run_work
from zoo_eval.storage import parts
from zoo_eval.store import Store
from zoo_eval.sweep.file import Budgets
from zoo_eval.sweep.plan import ModelWork, TrialGroup

N, PX, N_CLASSES, AT_A_TIME = 7, 8, 1000, 2
ATTACK = MinimalAttack(
    stimuli="noise 0",
    attacks=("ddn",),
    options={"ddn": {"steps": 10}},
    save_perturbations=True,
    importance="people",
)
# Whose directions come from PyTorch's own generator.
DRAWN = MinimalAttack(stimuli="noise 0", attacks=("foolbox:L2AdditiveGaussianNoiseAttack",))
SALIENCY = HumanAlignment(
    stimuli="noise 0",
    importance="people",
    methods=("smooth_grad",),
)


def planted() -> tuple[OpenModel, Inputs]:
    """A linear network and grey noise, each image labelled as the network sees it but the third."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * PX * PX, N_CLASSES))
    plain = noise(N, px=PX)
    images = tuple((110 + image // 8).astype(np.uint8) for image in plain.images)
    shown = replace(plain, images=images)
    with torch.no_grad():
        labels = net(pixels(shown)).argmax(1).tolist()
    labels[2] = (labels[2] + 1) % N_CLASSES
    shown = replace(shown, labels=tuple(labels))
    raw = np.random.default_rng(7).random((N, PX, PX)).astype(np.float32)
    as_it_is = Preparation(canvas_px=PX, blur=None)
    maps = of_stimuli("people", shown, list(raw), as_it_is, human_ceiling=0.6)
    model = opened(net, input_px=PX)
    anatomy = replace(model.blueprint.anatomy, n_classes=N_CLASSES)
    model.blueprint = replace(model.blueprint, anatomy=anatomy)
    return model, Inputs({shown.name: shown}, {}, {"people": maps})


@dataclass
class LongAttack:
    """One evaluation of the planted network, in batches of two; `attacked` are the images it was at."""

    store: Store
    evaluation: Any = ATTACK
    seed: int = 0
    attacked: list[int] = field(default_factory=list)
    model: OpenModel = field(init=False)
    work: ModelWork = field(init=False)

    def __post_init__(self) -> None:
        self.model, self.inputs = planted()
        candidate = Candidate(self.model.card, self.model.blueprint)
        trials = tuple(self.evaluation.trials(candidate, self.inputs, self.seed))
        n_passes = self.evaluation.n_passes(trials, self.inputs)
        flops = FLOPS_AT_A_TIME["cpu"] * N / (AT_A_TIME * n_passes)
        anatomy = replace(self.model.blueprint.anatomy, flops=int(flops))
        self.model.blueprint = replace(self.model.blueprint, anatomy=anatomy)
        group = TrialGroup(self.evaluation, trials, (1,), n_passes)
        self.work = ModelWork(Candidate(self.model.card, self.model.blueprint), (group,))

    @property
    def trial_id(self) -> str:
        return self.work.groups[0].trials[0].id

    def reports(self, monkeypatch: Any = None, *, kept_every_s: float = 0.0) -> Iterator[Report]:
        """Runs it as a runner does, every batch kept and reported."""
        for place, name, value in (
            (parts, "KEPT_EVERY_S", kept_every_s),
            (execution, "TOLD_EVERY_S", 0.0),
            (execution, "open_model", lambda *_: self.model),
        ):
            (setattr if monkeypatch is None else monkeypatch.setattr)(place, name, value)
        machine = Machine(torch.device("cpu"), Budgets(2**28))
        return run_work(self.work, self.inputs, self.store, machine)


def noting(attacked: list[int], *, dies_in: int | None = None) -> Any:
    """What notes each image that `AttackRun.on` attacks, and dies when that many batches are done."""
    attack, n_batches = AttackRun.on, 0

    def on(run: AttackRun, batch: Sequence[Any]) -> Any:
        nonlocal n_batches
        outcomes = attack(run, batch)
        # All of the batch's work is done, and nothing of it is kept: what a kill costs at most.
        if n_batches == dies_in:
            os.kill(os.getpid(), signal.SIGKILL)
        n_batches += 1
        attacked.extend(one.number for one in batch)
        return outcomes

    return on


if __name__ == "__main__":
    torch.set_num_threads(1)
    AttackRun.on = noting([], dies_in=int(sys.argv[2]))  # type: ignore[method-assign]
    for _ in LongAttack(Store(sys.argv[1])).reports():
        pass
