"""Checkpoints: all that a run needs to go on after an epoch, in the store's own object storage."""

import io
from dataclasses import dataclass
from typing import Any

import torch

from zoo_eval.errors import BadInput
from zoo_eval.storage import trained
from zoo_eval.storage.damage import reading, writing
from zoo_eval.store import Store


@dataclass(frozen=True)
class Checkpoint:
    """A run after some epochs: the state of network, optimiser and average."""

    run_id: str
    epoch: int
    state: dict[str, Any]


def last(store: Store, run_id: str) -> Checkpoint | None:
    """Where a run can go on; None where it has not got so far. One that is damaged is passed over.

    Raises:
        BadInput: the file under this run's name is of another configuration.
        StoreError: the store cannot be read.
    """
    with reading(store.name):
        for epoch in trained.epochs(store.objects, run_id):
            held = io.BytesIO(trained.checkpoint(store.objects, run_id, epoch))
            try:
                content = torch.load(held, map_location="cpu", weights_only=True)
            # Of a damaged file PyTorch raises whatever comes.
            except Exception:  # noqa: BLE001
                continue
            if not isinstance(content, dict) or content.get("run_id") != run_id:
                raise BadInput(
                    f"store {store.name}: the checkpoint of epoch {epoch} of run {run_id} was written by "
                    "another configuration; remove it, or train under another name"
                )
            return Checkpoint(run_id, epoch, content["state"])
    return None


def write(store: Store, one: Checkpoint) -> None:
    """Writes where a run can go on; those before are as they were if that fails.

    Raises:
        StoreError: the store is full or cannot be written.
    """
    held = io.BytesIO()
    torch.save({"run_id": one.run_id, "state": one.state}, held)
    with writing(store.name):
        trained.write_checkpoint(store.objects, one.run_id, one.epoch, held.getvalue())
