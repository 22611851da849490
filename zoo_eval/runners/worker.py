"""Slot: one process of the pool, which opens one model at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from zoo_eval.models import allocator
from zoo_eval.runners.execution import Report, prefetch, run_work
from zoo_eval.runners.slots import SlotShape
from zoo_eval.store import Store
from zoo_eval.sweep.file import Budgets
from zoo_eval.sweep.load import with_made
from zoo_eval.sweep.plan import ModelWork


@dataclass(frozen=True)
class SlotInfo:
    """A slot that is up: its device, and the memory of the GPU that it shares."""

    device: str
    gpu_bytes: int | None


class Slot:
    """A plain actor, so its methods run in its main thread; `get` resolves the runner's references."""

    def __init__(
        self, store_uri: str, budgets: Budgets, shape: SlotShape, get: Callable[[Any], Any]
    ) -> None:
        # Ray sets OMP_NUM_THREADS from num_cpus; PyTorch's own pool must agree with it.
        torch.set_num_threads(max(1, int(shape.num_cpus)))
        self.store = Store(store_uri)
        self.budgets = budgets
        self.get = get
        on_gpu = shape.num_gpus > 0 and torch.cuda.is_available()
        self.device = torch.device("cuda:0" if on_gpu else "cpu")
        if on_gpu and shape.num_gpus < 1:
            # Shares are only counted by Ray: without this a neighbour could be starved.
            torch.cuda.set_per_process_memory_fraction(shape.num_gpus, self.device)
        self.model = "idle"

    def __repr__(self) -> str:
        return f"Slot({self.model})"

    def ready(self) -> SlotInfo:
        """The slot is up, and its libraries are imported."""
        on_gpu = self.device.type == "cuda"
        memory = torch.cuda.get_device_properties(self.device).total_memory if on_gpu else None
        return SlotInfo(str(self.device), memory)

    def run(
        self, work: ModelWork, inputs: Sequence[Any], upcoming: ModelWork | None
    ) -> Iterator[Report]:
        """Runs a model's work, reporting before and after each group.

        `inputs` holds two references: to inputs, and to recordings that take the place of those. The weights of the one upcoming are fetched meanwhile.
        """
        self.model = work.name
        prefetch(upcoming)
        loaded = with_made(self.get(inputs[0]), self.get(inputs[1]))
        yield from run_work(work, loaded, self.store, device=self.device, budgets=self.budgets)
        # The next model's heap starts where this one's did.
        allocator.give_back()
        self.model = "idle"
