"""The heap: memory that PyTorch frees on a CPU is kept for the next batch, and given back at the end.

The C library hands every large tensor pages of its own and returns them when the tensor goes. A
network's activations then cost as much time in page faults as in arithmetic, and what is left
between small tensors cannot be used for large ones.
"""

import ctypes
import gc
import sys

# Of glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_freed() -> None:
    """From now on this process keeps what it frees until `give_back`, where it can be asked to."""
    if sys.platform != "linux":
        return
    # Other C libraries than glibc have no such call.
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(M_MMAP_MAX, 0)
        # Never.
        mallopt(M_TRIM_THRESHOLD, -1)


def give_back() -> None:
    """Returns what is free to the system."""
    gc.collect()
    if sys.platform != "linux":
        return
    if (malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        malloc_trim(0)
