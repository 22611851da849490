"""Expected: what is known of a model's work before it runs: its time, and which GPUs hold it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zoo_eval.runners.slots import GpuClass
from zoo_eval.sweep.plan import ModelWork

SHARES = (0.25, 0.5, 1.0)
# What CUDA itself takes of a GPU in each process.
CONTEXT_BYTES = 2**29
# A model's next trials may need more than its last ones.
HEADROOM = 1.25
FLOAT_BYTES = 4
# To open a model once more, weights read from the disk: where nothing else is said.
OPENING_S = 10.0

# The share of a GPU that work takes, by GPU class; None where such a GPU does not hold it.
Room = tuple[float | None, ...]


@dataclass(frozen=True)
class Expected:
    """What earlier trials say of models, by name: seconds of its work, and peak GPU bytes.

    `opening_s`: how long it takes to open a model once more.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_gpu_bytes: Mapping[str, int] = field(default_factory=dict)
    opening_s: float = OPENING_S

    def share(self, work: ModelWork, gpu_bytes: int | None) -> float:
        """The share of a GPU that a model's work needs; the whole where nothing was measured."""
        peak = self.peak_gpu_bytes.get(work.name)
        if peak is None or gpu_bytes is None:
            return 1.0
        needed = HEADROOM * peak + CONTEXT_BYTES
        return next((share for share in SHARES if needed <= share * gpu_bytes), 1.0)

    def room(self, work: ModelWork, classes: Sequence[GpuClass], *, shares: bool) -> Room:
        """The share of a GPU of each class that a model's work takes.

        What is planned for an image holds all that a backward pass needs. Where that exceeds every
        GPU but the weights do not, or where the work ran before, the largest is tried: batches are
        halved, and not every evaluation goes backward.
        """
        needed = self._needed(work)
        room = tuple(
            None
            if one.n_bytes is not None and needed > one.n_bytes
            else self.share(work, one.n_bytes if shares else None)
            for one in classes
        )
        if any(share is not None for share in room):
            return room
        sizes = [one.n_bytes or 0 for one in classes]
        if work.name not in self.peak_gpu_bytes and least_bytes(work) > max(sizes):
            return room
        return tuple(1.0 if size == max(sizes) else None for size in sizes)

    def _needed(self, work: ModelWork) -> float:
        """GPU memory in bytes, measured or else planned; 0 where nothing is known."""
        peak = self.peak_gpu_bytes.get(work.name)
        if peak is None:
            if work.candidate.blueprint is None:
                return 0
            anatomy = work.candidate.blueprint.anatomy
            peak = FLOAT_BYTES * anatomy.n_params + anatomy.activation_bytes
        return HEADROOM * peak + CONTEXT_BYTES


def least_bytes(work: ModelWork) -> int:
    """The GPU memory without which a model cannot even be opened: that of its weights, and CUDA's."""
    if work.candidate.blueprint is None:
        return 0
    return FLOAT_BYTES * work.candidate.blueprint.anatomy.n_params + CONTEXT_BYTES


NOTHING_MEASURED = Expected()
