"""Slot: one process of the pool, which opens one model at a time."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from zoo_eval.models import allocator
from zoo_eval.runners.execution import Machine, Report, prefetch, run_work
from zoo_eval.runners.slots import SlotInfo, SlotShape
from zoo_eval.storage.objects import PATIENCE_S
from zoo_eval.store import Store
from zoo_eval.sweep.faults import FAULTS, GPU_MEMORY
from zoo_eval.sweep.file import Budgets
from zoo_eval.sweep.load import with_made
from zoo_eval.sweep.plan import ModelWork


class Slot:
    """A plain actor, so its methods run in its main thread; `get` resolves the runner's references."""

    def __init__(
        self, store_uri: str, budgets: Budgets, shape: SlotShape, get: Callable[[Any], Any]
    ) -> None:
        # Ray sets OMP_NUM_THREADS from num_cpus; PyTorch's own pool must agree with it.
        torch.set_num_threads(max(1, int(shape.num_cpus)))
        self.store = Store(store_uri, patience_s=PATIENCE_S)
        self.get = get
        on_gpu = shape.num_gpus > 0 and torch.cuda.is_available()
        self.device = torch.device("cuda:0" if on_gpu else "cpu")
        elsewhere = {fault for fault in FAULTS if fault.elsewhere}
        if on_gpu and shape.num_gpus < 1:
            # Shares are only counted by Ray: without this a neighbour could be starved.
            torch.cuda.set_per_process_memory_fraction(shape.num_gpus, self.device)
            # What is too much for a share may be little for a whole one.
            elsewhere.add(GPU_MEMORY)
        self.machine = Machine(self.device, budgets, frozenset(elsewhere))
        self.model = "idle"

    def __repr__(self) -> str:
        return f"Slot({self.model})"

    def ready(self, node: Callable[[], str]) -> tuple[SlotInfo, str]:
        """The slot is up, and its libraries are imported; `node` gives the node that it is on."""
        on_gpu = self.device.type == "cuda"
        memory = torch.cuda.get_device_properties(self.device).total_memory if on_gpu else None
        return SlotInfo(str(self.device), memory), node()

    def run(
        self, work: ModelWork, inputs: Sequence[Any], upcoming: ModelWork | None
    ) -> Iterator[Report]:
        """Runs a model's work, reporting before and after each group.

        `inputs` holds two references: to inputs, and to recordings that take the place of those. The weights of the one upcoming are fetched meanwhile.
        """
        self.model = work.name
        prefetch(upcoming)
        loaded = with_made(self.get(inputs[0]), self.get(inputs[1]))
        yield from run_work(work, loaded, self.store, self.machine)
        # The next model's heap starts where this one's did.
        allocator.give_back()
        self.model = "idle"
