"""Leases: a store has one driver at a time, wherever it runs; one that died is succeeded.

A lease is the newest record of `leases/`. Its holder renews it by making the next one, and so does
who takes it over: of two that want a number one gets it. It has expired when its record is older than
its duration by the storage's own clock, so that nobody's clock is trusted; and at once, when its holder
was a process of this machine that is gone. What a driver that lost its lease still commits comes after
the commits of its successor, and does not count; as soon as it knows, it ends.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil

from zoo_eval.errors import BadInput
from zoo_eval.storage.local_folder import LocalFolder
from zoo_eval.storage.objects import Found, Objects
from zoo_eval.storage.records import Records

FOLDER = "leases"
DURATION_S = 180.0
RENEWALS = 4
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

    `locked` says that no other process of this machine has it.

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
    """One driver's hold on a store; `lost` once another has taken it over."""

    def __init__(self, objects: Objects, store: str, duration_s: float = DURATION_S) -> None:
        self.records = Records(objects, FOLDER)
        self.store = store
        self.duration_s = duration_s
        self.number = 0
        self.ledger = 0
        self.lost = False

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
        if said and said["machine"] == machine() and (locked or _is_gone(said)):
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
            "host": socket.gethostname(),
            "machine": machine(),
            "process": os.getpid(),
            "began": _began(os.getpid()),
            "holder": id(self),
            "duration_s": self.duration_s,
            "released": released,
            "ledger": self.ledger,
            "number": self.number + 1,
        }
        if not self.records.create(self.number + 1, content):
            return False
        self.number += 1
        for old in self.records.found():
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


def machine() -> str:
    """What tells this machine, since it was started, and whose processes are seen in it.

    Containers may share a host's name and not its processes.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _began(process: int) -> int:
    """When a process began, by no clock that anybody sets, where the system tells; 0 elsewhere."""
    if not Path("/proc/self/stat").exists():
        return 0
    # Behind the name of its program, which may hold anything.
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])


def _is_gone(said: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine that is no more."""
    try:
        process = psutil.Process(said["process"])
        if _began(said["process"]) != said["began"]:
            return True
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return True
    except psutil.AccessDenied:
        return False
