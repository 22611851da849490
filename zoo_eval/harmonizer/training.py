"""Training: one course from where it stands to its end, by one worker of it; nothing here knows of Ray."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from zoo_eval.digests import seed_from
from zoo_eval.errors import Refusal, ZooEvalError, one_line
from zoo_eval.harmonizer import checkpoints, double_backward, memory, optimisation
from zoo_eval.harmonizer.checkpoints import Checkpoint
from zoo_eval.harmonizer.course import Course
from zoo_eval.harmonizer.double_backward import AS_IT_IS, DoubleBackward
from zoo_eval.harmonizer.objective import LOSSES, Objective
from zoo_eval.harmonizer.peers import Peers
from zoo_eval.harmonizer.records import Records, Spent
from zoo_eval.harmonizer.samples import Batch
from zoo_eval.models.open_model import open_model
from zoo_eval.numerics import precision
from zoo_eval.store import Store
from zoo_eval.units import duration, size_text

Say = Callable[[str], None]
# Images that the double backward is tried on.
TRIED = 2
# Of a run in float16 alone: steps of an epoch that were left out, as a gradient left its range.
SKIPPED = "skipped_steps"
# Gradients of logits begin with 1 and not, as those of a mean loss, with less: they need less room below.
LARGEST_OF_SALIENCY = 2.0**8


class Diverged(ZooEvalError):
    """A loss that is not finite: the run ends, and its last good checkpoint stays."""


@dataclass(frozen=True)
class Worker:
    """One worker of a run: its peers, its device, and who hears how far it is."""

    peers: Peers
    device: torch.device
    say: Say


@dataclass(eq=False)
class Training:
    """A course under way on one worker."""

    course: Course
    store: Store
    worker: Worker
    net: nn.Module = field(init=False)
    optimiser: torch.optim.Optimizer = field(init=False)
    average: AveragedModel | None = field(init=False, default=None)
    objective: Objective = field(init=False)
    scaler: torch.amp.GradScaler = field(init=False)

    def run(self) -> None:
        """Trains what is left of the course, and writes the result.

        Raises:
            Diverged: a loss was not finite; that is recorded, and the last good checkpoint is kept.
            Refusal: the network has no double backward; that is recorded.
            BadInput: the store's checkpoint is of another configuration.
            StoreError: the store is full or cannot be written.
        """
        material = self.course.material
        self._records = Records(self.store, self.course, self.worker.device)
        with precision.using(material.run.run.numerically):
            try:
                self._begin()
                self._foretell()
                self._run()
            except ZooEvalError as error:
                if self.worker.peers.leads and isinstance(error, Diverged | Refusal):
                    self._records.failed(error)
                raise

    def _run(self) -> None:
        started_at, clock = datetime.now(UTC), time.perf_counter()
        how = self.course.material.run.training
        n_steps = self.course.material.samples.n_steps
        first = self._go_on()
        for epoch in range(first, how.epochs):
            self._epoch(epoch)
            done, left = epoch + 1 - first, how.epochs - epoch - 1
            if left and self.worker.peers.leads:
                eta = duration((time.perf_counter() - clock) / done * left)
                self.worker.say(f"{self.course.model}: about {eta} left")
        if self.worker.peers.leads:
            n_images = (how.epochs - first) * n_steps * how.batch_size
            spent = Spent(started_at, time.perf_counter() - clock, n_images, how.batch_size)
            self._records.result(
                self.result.state_dict(), how.epochs * n_steps, self.objective.how, spent
            )

    @property
    def result(self) -> nn.Module:
        """The network that the course ends with: the moving average, where there is one."""
        if self.average is None:
            return self.net
        found: nn.Module = self.average.module
        return found

    def _begin(self) -> None:
        material, how = self.course.material, self.course.material.run.training
        self.net = open_model(
            material.card, torch.device("cpu"), material.run.run.numerically
        ).net.to(self.worker.device)
        optimisation.trained_from(self.net, material.plan.anatomy, how.last_stages)
        optimisation.train_mode(self.net, how.batch_norm)
        self.objective = Objective(
            material.plan.transform,
            self.course.weight,
            material.run.harmonize.mismatch,
            how.label_smoothing,
            material.run.run.numerically,
            self._double_backward() if self.course.weight else AS_IT_IS,
        )
        self.optimiser = optimisation.optimiser(self.net, how)
        self.average = optimisation.averaged(self.net, how.ema) if how.ema else None
        is_half = material.run.run.numerically.autocast is torch.float16
        self.scaler = torch.amp.GradScaler(self.worker.device.type, enabled=is_half)

    def _foretell(self) -> None:
        """Says what a step will take of memory."""
        if not self.worker.peers.leads:
            return
        how, plan = self.course.material.run.training, self.course.material.plan
        n_images = how.batch_size // how.workers // how.accumulate
        try:
            parts = memory.Parts(n_images, plan.transform.size)
            told = f"about {size_text(memory.of_step(self.net, self.objective, how, parts))}"
        # A network's own code may raise anything of tensors that hold nothing.
        except Exception as error:  # noqa: BLE001
            told = f"nobody can tell how much ({one_line(error)})"
        self.worker.say(
            f"{self.course.model}: a worker's step takes {told} of memory, {n_images} images at a time"
        )

    def _double_backward(self) -> DoubleBackward:
        rows, columns = self.course.material.plan.transform.size
        with torch.random.fork_rng(devices=[]):
            tried = torch.rand(TRIED, 3, rows, columns).to(self.worker.device)
            return double_backward.of(self.net, tried)

    def _go_on(self) -> int:
        """The first epoch that is not done, with everything as it was after the one before."""
        found = checkpoints.last(self.store, self.course.trial.id)
        if found is None:
            return 0
        for name, one in self._parts().items():
            one.load_state_dict(found.state[name])
        if self.worker.peers.leads:
            self.worker.say(f"{self.course.model}: goes on after epoch {found.epoch}")
        return found.epoch

    def _parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"net": self.net, "optimiser": self.optimiser}
        if self.scaler.is_enabled():
            parts["scaler"] = self.scaler
        return parts if self.average is None else {**parts, "average": self.average}

    def _epoch(self, epoch: int) -> None:
        started_at, clock = datetime.now(UTC), time.perf_counter()
        material, peers = self.course.material, self.worker.peers
        n_steps, how = material.samples.n_steps, material.run.training
        optimisation.train_mode(self.net, how.batch_norm)
        batches = _Timed(material.samples.batches(epoch, peers.rank))
        sums, n_done = torch.zeros(len(LOSSES), dtype=torch.float64), 0
        for step in range(epoch * n_steps, (epoch + 1) * n_steps):
            losses = self._step(step, batches)
            if losses is not None:
                sums, n_done = sums + losses, n_done + 1
        seconds = time.perf_counter() - clock
        # Running statistics are each worker's own: their mean is everybody's.
        peers.average(one for one in self.net.buffers() if one.is_floating_point())
        metrics = dict(zip(LOSSES, (sums / n_done).tolist(), strict=True))
        if self.scaler.is_enabled():
            metrics[SKIPPED] = n_steps - n_done
        metrics |= self._validated()
        if not peers.leads:
            return
        n_images = n_steps * how.batch_size
        spent = Spent(started_at, seconds, n_images, how.batch_size)
        self._records.epoch(epoch + 1, (epoch + 1) * n_steps, metrics, spent)
        state = {name: one.state_dict() for name, one in self._parts().items()}
        checkpoints.write(self.store, Checkpoint(self.course.trial.id, epoch + 1, state))
        told = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        self.worker.say(
            f"{self.course.model} epoch {epoch + 1}/{how.epochs}: {told}; "
            f"{n_images / seconds:.1f} images/s, {batches.waited_s / seconds:.0%} waiting for data"
        )

    def _validated(self) -> dict[str, float]:
        net = self.result.eval()
        before = [one.requires_grad for one in net.parameters()]
        net.requires_grad_(False)
        found = self.course.material.validation.of_network(
            net, self.worker.device, self.worker.peers
        )
        for weights, needs in zip(net.parameters(), before, strict=True):
            weights.requires_grad_(needs)
        return found

    def _step(self, step: int, batches: Iterator[Batch]) -> Tensor | None:
        """One step of all workers; its losses (see `LOSSES`), the same for all of them.

        None of a step that float16 had no room for: it changes nothing but the scale.
        """
        how, peers = self.course.material.run.training, self.worker.peers
        # What a network draws (dropout, stochastic depth) hangs on the step, not on what ran before.
        torch.manual_seed(seed_from(f"{self.course.material.run.run.seed}/{step}/{peers.rank}"))
        for group in self.optimiser.param_groups:
            group["lr"] = optimisation.rate(how, step, self.course.material.samples.n_steps)
        self.optimiser.zero_grad()
        losses = torch.zeros(len(LOSSES), device=self.worker.device)
        scale = self.scaler.get_scale()
        enlarged = min(scale, LARGEST_OF_SALIENCY)
        for _ in range(how.accumulate):
            found = self.objective.of(self.net, next(batches), self.worker.device, enlarged)
            torch.autograd.backward(self.scaler.scale(found[0] / how.accumulate))
            losses += found.detach() / how.accumulate
        gradients = [one.grad for one in self.net.parameters() if one.grad is not None]
        peers.average([losses, *gradients])
        told = losses.double().cpu()
        # A scale above 1 may be what was too much: it is lowered, and the step left out.
        if scale <= 1 and not isfinite(told[0].item()):
            raise Diverged(
                f"{self.course.model}: the loss is {told[0].item()} at step {step + 1} (epoch "
                f"{step // self.course.material.samples.n_steps + 1}); the last good checkpoint is kept: "
                "lower the learning rate or lambda, and train under the same name"
            )
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.scaler.get_scale() < scale:
            return None
        if self.average is not None:
            self.average.update_parameters(self.net)
        return told


@dataclass(eq=False)
class _Timed:
    """Batches, and the seconds that were waited for them."""

    batches: Iterator[Batch]
    waited_s: float = 0.0

    def __iter__(self) -> "_Timed":
        return self

    def __next__(self) -> Batch:
        began = time.perf_counter()
        one = next(self.batches)
        self.waited_s += time.perf_counter() - began
        return one
