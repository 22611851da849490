"""Running: a query's rows, or one line that says which limit it came to; Ctrl-C ends it at once.

DuckDB computes in a thread of its own, so that this one hears what it is told: that the time is over, that
this process has grown by more than the query may take, or a signal.
"""

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import pyarrow as pa

from zoo_eval.errors import BadInput
from zoo_eval.queries.limits import Limits
from zoo_eval.units import size_text

T = TypeVar("T")
LOOKED_EVERY_S = 0.05
# How long an interrupted query may take to end; one that is within one long function is left behind.
GRACE_S = 2.0
LEFT_BEHIND: list[threading.Event] = []
RESIDENT = Path("/proc/self/statm")


class CutOff(BadInput):
    """A query that came to its limit."""


class TooLong(CutOff):
    """It came to its time."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(
            f"SQL: cut off after {limits.seconds:g} s; ask for less, or raise the time limit "
            "(--seconds, or Limits(seconds=...))"
        )


class TooLarge(CutOff):
    """It came to its memory."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(
            f"SQL: cut off at {size_text(limits.memory_bytes)} of memory; ask for less (fewer rows or "
            "columns, LIMIT), or raise the memory limit (--memory, or Limits(memory_bytes=...))"
        )


@dataclass
class _Work(Generic[T]):
    """What a thread does, and what came of it."""

    do: Callable[[], T]
    done: threading.Event = field(default_factory=threading.Event)
    found: list[T] = field(default_factory=list)
    error: BaseException | None = None

    def run(self) -> None:
        try:
            self.found.append(self.do())
        except BaseException as error:  # noqa: BLE001  # raised again by `result`
            self.error = error
        finally:
            self.done.set()

    def result(self) -> T:
        if self.error is not None:
            raise self.error
        return self.found[0]


def cut_off(do: Callable[[], T], interrupt: Callable[[], None], limits: Limits) -> T:
    """What `do` gives; it is interrupted at a limit, or where this thread is.

    Raises:
        TooLong, TooLarge: it came to a limit.
    """
    work = _Work(do)
    ends, most = time.monotonic() + limits.seconds, _resident_bytes() + 2 * limits.memory_bytes
    # Nobody is kept waiting at the end by one that is left behind.
    threading.Thread(target=work.run, daemon=True, name="query").start()
    try:
        while not work.done.wait(min(LOOKED_EVERY_S, max(ends - time.monotonic(), 0))):
            if time.monotonic() >= ends:
                raise TooLong(limits)
            if _resident_bytes() > most:
                raise TooLarge(limits)
    except BaseException:
        _ended(work, interrupt)
        raise
    return work.result()


def _ended(work: _Work[T], interrupt: Callable[[], None]) -> None:
    """Interrupts until it ends, or for the grace period: between two statements nothing hears it."""
    until = time.monotonic() + GRACE_S
    while time.monotonic() < until:
        interrupt()
        if work.done.wait(LOOKED_EVERY_S):
            return
    LEFT_BEHIND.append(work.done)


@atexit.register
def _leave() -> None:
    """Ends the process where a query was left behind: C++ dies loudly once Python is gone beneath it."""
    if not all(done.wait(GRACE_S) for done in LEFT_BEHIND):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def _resident_bytes() -> int:
    """The memory that this process has now; 0 where the system does not say."""
    try:
        pages = RESIDENT.read_bytes().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def within(batches: pa.RecordBatchReader, limits: Limits) -> pa.Table:
    """All rows, as long as they are not more than a query may take.

    Raises:
        TooLarge: they are.
    """

    def counted() -> Iterator[pa.RecordBatch]:
        held = 0
        for batch in batches:
            held += batch.get_total_buffer_size()
            if held > limits.memory_bytes:
                raise TooLarge(limits)
            yield batch

    return pa.Table.from_batches(list(counted()), schema=batches.schema)
