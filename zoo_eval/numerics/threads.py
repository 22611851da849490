"""How many threads PyTorch uses for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Numbers up to which one thread is best: thousands of short products would spend their time waiting
# for each other, twenty times it where another program wants the cores as well.
ONE_THREAD = 2**18


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Within the block PyTorch uses `n` threads of the CPU, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def enough_for(n_numbers: int) -> int:
    """Threads for operations on so many numbers: one for few of them, or those in use."""
    return 1 if n_numbers <= ONE_THREAD else torch.get_num_threads()
