"""Records: what a run writes into its store's tables, each row once however often it goes on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import torch
from safetensors.torch import save

from zoo_eval.digests import bytes_digest, canonical_json
from zoo_eval.errors import Refusal, ZooEvalError
from zoo_eval.harmonizer.course import Course
from zoo_eval.harmonizer.double_backward import DoubleBackward
from zoo_eval.runners import provenance
from zoo_eval.storage import trained
from zoo_eval.storage.damage import writing
from zoo_eval.store import Store
from zoo_eval.trial import Trial


@dataclass(frozen=True)
class Spent:
    """What a piece of training took: when it began, seconds, images, and the batch of a worker."""

    started_at: datetime
    seconds: float
    n_images: int
    batch_size: int


@dataclass(frozen=True, eq=False)
class Records:
    """Where the rows of one course go, by its worker on this device."""

    store: Store
    course: Course
    device: torch.device

    def epoch(self, epoch: int, step: int, metrics: Mapping[str, float], spent: Spent) -> None:
        """The metrics of an epoch that is done.

        Raises:
            StoreError: the store is full or cannot be written.
        """
        trial = self.course.epoch_trial(epoch)
        rows = [
            {
                **_whose(trial),
                "run_id": self.course.trial.id,
                "epoch": epoch,
                "step": step,
                "metric": name,
                "value": None if value != value else value,
            }
            for name, value in metrics.items()
        ]
        self.store.commit({"training_metrics": rows}, [self._done(trial, spent)])

    def result(
        self, state: Mapping[str, torch.Tensor], n_steps: int, how: DoubleBackward, spent: Spent
    ) -> None:
        """The trained network: its weights, and the row that makes it a model.

        Raises:
            StoreError: the store is full or cannot be written.
        """
        course, run = self.course, self.course.material.run
        held = save({name: one.detach().cpu().contiguous().clone() for name, one in state.items()})
        digest = bytes_digest([held])
        path = trained.weights_path(course.name, digest)
        with writing(self.store.name):
            self.store.objects.create(path, held)
        row = {
            **_whose(course.trial),
            "run_id": course.trial.id,
            "trained_from": course.material.card.name,
            "control": course.control,
            "harmonization_lambda": course.weight,
            "epochs": run.training.epochs,
            "steps": n_steps,
            "configuration": canonical_json(course.configuration),
            "attention": how.attention,
            "n_workers": run.training.workers,
            "card": course.card_json(),
            "weights": path,
            "weights_digest": digest,
        }
        self.store.commit({"training_runs": [row]}, [self._done(course.trial, spent)])
        with writing(self.store.name):
            trained.remove_checkpoints(self.store.objects, course.trial.id)

    def failed(self, error: ZooEvalError) -> None:
        """Why a run did not come to its end.

        Raises:
            StoreError: the store is full or cannot be written.
        """
        trial = self.course.trial
        why = {
            "status": "refused" if isinstance(error, Refusal) else "failed",
            "failure_class": "refusal" if isinstance(error, Refusal) else "error",
            "error_type": type(error).__name__,
            "error_message": str(error),
        }
        nothing = Spent(datetime.now(UTC), 0.0, 0, self.course.material.run.training.batch_size)
        self.store.commit({}, [{**self._done(trial, nothing), **why}])

    def _done(self, trial: Trial, spent: Spent) -> dict[str, Any]:
        on_gpu = self.device.type == "cuda"
        attempts = self.store.ledger().attempts
        return {
            **trial.row(),
            **provenance.machine(provenance.device_name(self.device)),
            "attempt": attempts.get(trial.id, 0) + 1,
            "status": "ok",
            "seconds": spent.seconds,
            "peak_gpu_bytes": torch.cuda.max_memory_allocated(self.device) if on_gpu else None,
            "images_per_s": spent.n_images / spent.seconds if spent.n_images else None,
            "batch_size": spent.batch_size,
            "started_at": spent.started_at,
        }


def _whose(trial: Trial) -> dict[str, Any]:
    return {"trial_id": trial.id, "model": trial.model}
