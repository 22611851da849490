"""Kept views: a file for what one transform makes of one stimulus set, shared by all of a machine.

It is read and written in rows, never mapped: a row's bytes are shared through the system's cache of
the file just the same, count for no process, and a file that somebody cuts off is an error instead
of a process that dies. A row counts once its checksum stands in the table, which is written last.
"""

import fcntl
import os
import shutil
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo_eval.paths import cache_folder
from zoo_eval.privacy import files
from zoo_eval.transforms import Seen
from zoo_eval.units import size_in_bytes

DEFAULT_BUDGET = "16GiB"
# A row's entry: 1 for a row that is whole, and its checksum.
ENTRY = struct.Struct("<II")
# One that was used so lately is in use, perhaps.
IN_USE_S = 600.0
# Until a row that another process makes is looked for again; it takes some times that.
LOOK_AGAIN_S = 1e-3
# What views leave free of a disk, for all else that runs there.
LEFT_FREE_BYTES = 2**30


def view_folder() -> Path:
    """Where views are kept: with the cache, or where `ZOO_EVAL_VIEWS` says (a node's own disk)."""
    folder = os.environ.get("ZOO_EVAL_VIEWS")
    return Path(folder) if folder else cache_folder("views")


@dataclass(frozen=True)
class ViewFolder:
    """How many bytes views may take together in `view_folder`; 0 keeps none."""

    budget_bytes: int = size_in_bytes(DEFAULT_BUDGET)

    def kept(self, key: str, n: int, like: Seen) -> "KeptViews | None":
        """The file for `n` rows like this one, made if need be; None where there is no room for it."""
        found = KeptViews(view_folder() / f"{key}.view", n, like.shape, like.dtype.str)
        try:
            files.make_folder(found.path.parent)
            if not found.is_there and not self._make_room(found):
                return None
            found.open()
        except OSError:
            return None
        return found

    def _make_room(self, wanted: "KeptViews") -> bool:
        """Removes what was not used for longest, but for what is in use; whether that was enough."""
        if wanted.n_bytes > self.budget_bytes:
            return False
        folder = wanted.path.parent
        files = sorted(
            (file.stat().st_mtime, file.stat().st_size, file) for file in folder.glob("*.view")
        )
        free = shutil.disk_usage(folder).free - LEFT_FREE_BYTES
        taken = sum(size for _, size, _ in files)
        for used, size, file in files:
            if max(taken + wanted.n_bytes - self.budget_bytes, wanted.n_bytes - free) <= 0:
                break
            if time.time() - used > IN_USE_S or file == wanted.path:
                file.unlink(missing_ok=True)
                taken, free = taken - size, free + size
        return taken + wanted.n_bytes <= self.budget_bytes and wanted.n_bytes <= free


class KeptViews:
    """The rows of one file, each of this shape and type."""

    def __init__(self, path: Path, n: int, shape: tuple[int, ...], dtype: str) -> None:
        self.path = path
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.row_bytes = self.dtype.itemsize * int(np.prod(shape))
        self._start = ENTRY.size * n
        self.n_bytes = self._start + self.row_bytes * n
        self._file = -1

    @property
    def is_there(self) -> bool:
        """Whether there is a file of the right size; what its rows are worth is told one by one."""
        try:
            return self.path.stat().st_size == self.n_bytes
        except OSError:
            return False

    def open(self) -> None:
        """Opens the file, whose rows may be missing all.

        Raises:
            OSError: it cannot be made.
        """
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        os.truncate(self._file, self.n_bytes)
        self.touch()

    def touch(self) -> None:
        """Says that the file is in use."""
        with suppress(OSError):
            os.utime(self._file)

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)

    def read(self, number: int) -> Seen | None:
        """A row; None where it is not there, or not whole."""
        try:
            entry = os.pread(self._file, ENTRY.size, number * ENTRY.size)
            if len(entry) < ENTRY.size or not (known := ENTRY.unpack(entry))[0]:
                return None
            content = os.pread(self._file, self.row_bytes, self._start + number * self.row_bytes)
        except OSError:
            return None
        if len(content) < self.row_bytes or zlib.crc32(content) != known[1]:
            return None
        return np.frombuffer(content, self.dtype).reshape(self.shape)

    def write(self, number: int, row: Seen) -> None:
        """Keeps a row; where the disk takes it no more, it is made again when it is asked for."""
        content = np.ascontiguousarray(row).tobytes()
        with suppress(OSError):
            place = self._start + number * self.row_bytes
            if os.pwrite(self._file, content, place) == len(content):
                entry = ENTRY.pack(1, zlib.crc32(content))
                os.pwrite(self._file, entry, number * ENTRY.size)

    def _locked(self, place: int) -> bool:
        """Whether the lock was to be had.

        Never waited for: of several threads of two processes that wait for each other's rows, the
        system takes one for a deadlock and turns it away.
        """
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, ENTRY.size, place)
        except (BlockingIOError, PermissionError):
            return False
        return True

    @contextmanager
    def being_made(self, number: int) -> Iterator[None]:
        """Waits until no other process makes this row, and keeps others waiting meanwhile.

        Where a file system has no locks, a row may be made twice, which harms nobody.
        """
        place = number * ENTRY.size
        with suppress(OSError):
            while not self._locked(place):
                time.sleep(LOOK_AGAIN_S)
        try:
            yield
        finally:
            with suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_UN, ENTRY.size, place)
