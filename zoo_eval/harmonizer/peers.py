"""Peers: the workers that train one network together; one alone has none to ask."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Peers:
    """A worker's number and how many there are: those of torch.distributed, where it is set up."""

    rank: int = 0
    n: int = 1

    @classmethod
    def joined(cls) -> "Peers":
        """Those of the process group that this worker is of."""
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this worker is the one that writes."""
        return self.rank == 0

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replaces tensors by their means over all workers, in one exchange."""
        held = list(tensors)
        if self.n == 1 or not held:
            return
        flat = torch.cat([one.reshape(-1).to(held[0].dtype) for one in held])
        distributed.all_reduce(flat)
        flat /= self.n
        parts = torch.split(flat, [one.numel() for one in held])
        for one, part in zip(held, parts, strict=True):
            one.copy_(part.view_as(one))

    def total(self, values: Tensor) -> Tensor:
        """The sum over all workers."""
        if self.n > 1:
            distributed.all_reduce(values)
        return values
