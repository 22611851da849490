"""Leases: a store has one driver at a time, wherever it runs; one that died is succeeded.

A lease is the newest record of `leases/`. Its holder renews it by making the next one, and so does
who takes it over: of two that want a number one gets it. It has expired when its record is older than
its duration by the storage's own clock, so that nobody's clock is trusted; and at once, when its holder
was a process of this machine that is gone. What a driver that lost its lease still commits comes after
the commits of its successor, and does not count; as soon as it knows, it ends.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Event, Thread
from typing import Any
from uuid import uuid4

from zoo_eval.errors import BadInput, Cancelled, StoreError
from zoo_eval.storage.local_folder import LocalFolder
from zoo_eval.storage.objects import Found, Objects
from zoo_eval.storage.processes import identity, is_gone, machine
from zoo_eval.storage.records import Records

FOLDER = "leases"
DURATION_S = 180.0
RENEWALS = 4
# Whoever leaves a store that is away does not wait for it: a lease that is left behind expires.
LEAVE_S = 5.0
SAYS = {
    "host": str, "machine": str, "process": int, "began": int, "duration_s": int | float,
    "released": bool, "ledger": int,
}  # fmt: skip


def newest(objects: Objects) -> tuple[int, dict[str, Any] | None, Found | None]:
    """The newest lease: its number, what it says (None where it is damaged), and when."""
    records = Records(objects, FOLDER)
    found = records.found()
    if not found:
        return 0, None, None
    number = max(found)
    try:
        said = records.read(number)
    except (ValueError, FileNotFoundError):
        return number, None, found[number]
    is_whole = all(isinstance(said.get(name), kind) for name, kind in SAYS.items())
    return number, said if is_whole else None, found[number]


def reached(objects: Objects) -> int:
    """How far the ledger was when a driver last left."""
    _, said, _ = newest(objects)
    return int(said["ledger"]) if said else 0


@contextmanager
def held(
    objects: Objects, store: str, last: Callable[[], int], *, locked: bool = False
) -> Iterator["Lease"]:
    """Holds the store for the block; `last` gives the number of the ledger's last record.

    `objects` are the lease's alone and have no patience: a renewal that is late is no renewal, and the
    next one comes. `locked` says that no other process of this machine has it.

    Raises:
        BadInput: another driver holds it.
    """
    lease = Lease(objects, store)
    lease.take(locked=locked)
    stop = Event()
    renewing = Thread(target=lease.renew_until, args=(stop,), daemon=True)
    renewing.start()
    try:
        yield lease
    finally:
        stop.set()
        # One after the other: both would make the next record.
        leaving = Thread(target=_leave, args=(lease, renewing, last), daemon=True)
        leaving.start()
        leaving.join(LEAVE_S)


def _leave(lease: "Lease", renewing: Thread, last: Callable[[], int]) -> None:
    renewing.join()
    # Left behind it expires; what ended the block is more worth saying.
    with suppress(OSError):
        lease.release(last())


@contextmanager
def locked(objects: Objects, store: str) -> Iterator[bool]:
    """Holds a folder's lock besides the lease, of which version 0.1.0 knows nothing; whether there is one.

    Raises:
        BadInput: another process holds it.
    """
    if not isinstance(objects, LocalFolder):
        yield False
        return
    with ExitStack() as stack:
        try:
            has_lock = stack.enter_context(objects.locked())
        except BlockingIOError as error:
            _, holder, _ = newest(objects)
            living = None if holder and holder["released"] else holder
            raise BadInput(refusal(store, living)) from error
        yield has_lock


class Lease:
    """One driver's hold on a store; `lost` once another has taken it over.

    `run` tells this hold from every other; `cancelled` is for whoever learns that it is to end.
    """

    def __init__(self, objects: Objects, store: str, duration_s: float = DURATION_S) -> None:
        self.records = Records(objects, FOLDER)
        self.store = store
        self.duration_s = duration_s
        self.number = 0
        self.ledger = 0
        self.lost = False
        self.cancelled = False
        self.run = uuid4().hex
        self.since: float | None = None

    def check(self) -> None:
        """Nothing, while the driver may go on.

        Raises:
            StoreError: another has taken the store over: this one must have stood still.
            Cancelled: it was asked to end.
        """
        if self.lost:
            raise StoreError(
                f"store {self.store} was taken over by another sweep, for this one stood still or did not "
                "reach it; what was committed is kept: wait for the other, then run this again"
            )
        if self.cancelled:
            raise Cancelled("cancelled; what was committed is kept: the same command goes on")

    def take(self, *, locked: bool = False) -> None:
        """Takes it, if nobody has it; `locked` says that nobody of this machine can.

        Raises:
            BadInput: another driver has.
        """
        self.number, said, found = newest(self.records.objects)
        self.ledger = int(said["ledger"]) if said else 0
        if found is not None and not (said and said["released"]):
            self._refuse_living(said, found, locked)
        if not self._next(released=False):
            raise BadInput(
                f"store {self.store} is being written by another sweep, begun just now; wait for it "
                "or choose another --store"
            )

    def _refuse_living(self, said: dict[str, Any] | None, found: Found, locked: bool) -> None:
        if said and said["machine"] == machine() and (locked or is_gone(said)):
            return
        duration = said["duration_s"] if said else self.duration_s
        left = found.modified + duration - self.records.objects.now()
        if left > 0:
            raise BadInput(refusal(self.store, said, f", {left:.0f} s if it is dead,"))

    def renew_until(self, stop: Event) -> None:
        """Renews it until it is told to stop or another has it."""
        while not stop.wait(self.duration_s / RENEWALS) and not self.lost:
            # An error may pass; if none of the renewals succeeds, the lease expires.
            with suppress(OSError):
                self.renew()

    def renew(self) -> None:
        self.lost = not self._next(released=False)

    def release(self, ledger: int) -> None:
        """Leaves the store to the next; says how far the ledger is."""
        if not self.lost:
            self.ledger = ledger
            self._next(released=True)

    def _next(self, *, released: bool) -> bool:
        content = {
            **identity(),
            "host": socket.gethostname(),
            "holder": id(self),
            "run": self.run,
            "since": self.since,
            "duration_s": self.duration_s,
            "released": released,
            "ledger": self.ledger,
            "number": self.number + 1,
        }
        if not self.records.create(self.number + 1, content):
            return False
        self.number += 1
        for old, found in self.records.found().items():
            if old == self.number:
                self.since = self.since or found.modified
            if old < self.number - 1:
                self.records.objects.delete(self.records.path(old))
        return True


def refusal(store: str, said: dict[str, Any] | None, how_long: str = "") -> str:
    """That another sweep has a store, and which one."""
    where = f" on {said['host']} (process {said['process']})" if said else ""
    return (
        f"store {store} is being written by another sweep{where}; wait for it{how_long} or choose "
        "another --store"
    )
