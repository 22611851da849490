"""Memory: what a step of training takes, told by running it on tensors that hold nothing."""

import copy
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from zoo_eval.harmonizer import optimisation
from zoo_eval.harmonizer.objective import Objective
from zoo_eval.harmonizer.run_file import TrainingSection
from zoo_eval.harmonizer.samples import AHEAD, Batch
from zoo_eval.numerics.precision import FLOAT32

META = torch.device("meta")
# Of an image decoded ahead: three bytes of pixels, and a map of float32.
SAMPLE_BYTES = 3 + 4
# The first step makes what the optimiser keeps; the second has it all the while.
STEPS = 2


class Living(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch
    """Within it, the bytes of all tensors that are alive, and how many they were at most."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch
        self.n_bytes: int = 0
        self.most: int = 0
        self._seen = WeakIdKeyDictionary()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        self.see(made)
        return made

    def see(self, values: Any) -> None:
        """Counts the tensors in something, each memory once, for as long as it lives."""
        for one in tree_leaves(values):
            if isinstance(one, Tensor):
                held = one.untyped_storage()
                if held not in self._seen:
                    self._seen[held] = True
                    self.n_bytes += held.nbytes()
                    weakref.finalize(held, self._let_go, held.nbytes())
        self.most = max(self.most, self.n_bytes)

    def _let_go(self, n_bytes: int) -> None:
        self.n_bytes -= n_bytes


@dataclass(frozen=True)
class Parts:
    """What a worker handles at a time: images of a part of a step, of so many pixels."""

    n_images: int
    size: tuple[int, int]

    def batch(self) -> Batch:
        """A batch that holds nothing."""
        rows, columns = self.size
        return Batch(
            torch.empty(self.n_images, 3, rows, columns, device=META),
            torch.empty(self.n_images, rows, columns, device=META),
            torch.zeros(self.n_images, dtype=torch.int64, device=META),
            torch.ones(self.n_images, dtype=torch.bool, device=META),
        )

    @property
    def ahead_bytes(self) -> int:
        """Of the images that are decoded before they are asked for."""
        rows, columns = self.size
        return AHEAD * self.n_images * rows * columns * SAMPLE_BYTES


def _empty(net: nn.Module) -> nn.Module:
    """A copy of a network whose tensors hold nothing."""
    held: dict[int, Any] = {
        id(one): nn.Parameter(torch.empty_like(one, device=META), one.requires_grad)
        for one in net.parameters()
    }
    held |= {id(one): torch.empty_like(one, device=META) for one in net.buffers()}
    return copy.deepcopy(net, held)


def of_step(net: nn.Module, objective: Objective, how: TrainingSection, parts: Parts) -> int:
    """The bytes that a step takes at most, by tensors alone: weights, gradients, optimiser, activations.

    Kernels' own workspaces and what Python and libraries take come on top; of mixed precision it is what
    float32 would take.

    Args:
        net: in training mode, with what is trained marked so; it is copied, and left as it is.
        objective: what is made small.
        how: the optimiser, and whether there is a moving average.
        parts: what a worker handles at a time.

    Raises:
        Exception: whatever a network's own code raises of tensors without values.
    """
    # Losses differ by little, but some ask how many maps there are, which nothing tells here.
    alike = replace(objective.mismatch, loss="squared")
    exact = replace(objective, numerics=FLOAT32, mismatch=alike)
    with Living() as living:
        own = _empty(net)
        living.see([*own.parameters(), *own.buffers()])
        optimiser = optimisation.optimiser(own, how)
        average = optimisation.averaged(own, how.ema) if how.ema else None
        for _ in range(STEPS):
            batch = parts.batch()
            optimiser.zero_grad()
            torch.autograd.backward(exact.of(own, batch, META)[0])
            optimiser.step()
        del average
    most: int = living.most
    return most + parts.ahead_bytes
