"""Trained: what training leaves in a store beside its tables: networks, and where runs can go on.

`weights/NAME.DIGEST.safetensors` is a network that was trained, `checkpoints/RUN.EPOCH.pt` all that a run
needs to go on after that many epochs. Neither is a row: a row says which weights are whose.
"""

import re
from collections.abc import Sequence

from zoo_eval.storage.objects import Objects

WEIGHTS, CHECKPOINTS = "weights", "checkpoints"
WEIGHTS_FILE = re.compile(r"[A-Za-z0-9][\w.-]*\.[0-9a-f]{32}\.safetensors")
CHECKPOINT_FILE = re.compile(r"([0-9a-f]{32})\.(\d{6})\.pt")
# Should the last one be damaged, there is the one before.
KEPT = 2


def weights_path(name: str, digest: str) -> str:
    """Where the weights of a network of that name and digest are."""
    return f"{WEIGHTS}/{name}.{digest}.safetensors"


def epochs(objects: Objects, run_id: str) -> list[int]:
    """After which epochs a run can go on, the last first."""
    found = (CHECKPOINT_FILE.fullmatch(one.name) for one in objects.listed(CHECKPOINTS))
    return sorted((int(one[2]) for one in found if one and one[1] == run_id), reverse=True)


def checkpoint(objects: Objects, run_id: str, epoch: int) -> bytes:
    """What was written after an epoch."""
    return objects.get(_path(run_id, epoch))


def write_checkpoint(objects: Objects, run_id: str, epoch: int, content: bytes) -> None:
    """Writes where a run can go on, whole, and removes what is older than the one before.

    Raises:
        OSError: it cannot be written; those before are as they were.
    """
    objects.replace(_path(run_id, epoch), content)
    _remove(objects, run_id, epochs(objects, run_id)[KEPT:])


def remove_checkpoints(objects: Objects, run_id: str) -> None:
    """Removes where a run that is done could go on."""
    _remove(objects, run_id, epochs(objects, run_id))


def _remove(objects: Objects, run_id: str, done: Sequence[int]) -> None:
    if done:
        objects.delete(*(_path(run_id, one) for one in done))


def _path(run_id: str, epoch: int) -> str:
    return f"{CHECKPOINTS}/{run_id}.{epoch:06d}.pt"
