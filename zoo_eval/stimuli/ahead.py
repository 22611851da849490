"""Ahead: things by number, made by several threads a little before they are asked for.

Threads, because decoding, resizing and hashing release the interpreter: they use every core, share
what they read, and need neither a copy between processes nor a fork beside a GPU or a Ray.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Generic, TypeVar

T = TypeVar("T")
MOST_THREADS = 16


def n_threads() -> int:
    """How many cores this process may use, within reason."""
    return min(
        MOST_THREADS,
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    )


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads(), thread_name_prefix="ahead")


# Threads are not there in a copy of the process.
os.register_at_fork(after_in_child=_pool.cache_clear)


class Ahead(Generic[T]):
    """`make` of each number below `n`, which is asked for in rising order for the most part.

    `window` is how many are made, or being made, before they are asked for.
    """

    def __init__(self, make: Callable[[int], T], n: int, window: int) -> None:
        self._make = make
        self._n = n
        self._window = window
        self._coming: dict[int, Future[T]] = {}

    def __getitem__(self, numbers: Sequence[int]) -> list[T]:
        """Those of some numbers, in this order; an error of `make` is raised as it is."""
        last = max(numbers, default=-1)
        wanted = dict.fromkeys([*numbers, *range(last + 1, min(last + 1 + self._window, self._n))])
        for number in [one for one in self._coming if one not in wanted]:
            self._coming.pop(number).cancel()
        for number in wanted:
            if number not in self._coming:
                self._coming[number] = _pool().submit(self._make, number)
        try:
            return [self._coming[number].result() for number in numbers]
        finally:
            for number in numbers:
                self._coming.pop(number, None)
