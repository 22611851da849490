"""LocalFolder: the objects of a folder on this machine, or one that it mounts."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from zoo_eval.errors import BadInput
from zoo_eval.privacy import files, places
from zoo_eval.storage.objects import Found, waits

T = TypeVar("T")

# Below this a sweep is not started: tables are small, but a full disk must not be met half-way.
LEAST_FREE_BYTES = 64 * 2**20
TEMPORARY = ".uncommitted"
LOCK = ".lock"
# What may pass: a full disk, or a shared one whose server does not answer.
PASSING = (errno.ENOSPC, errno.EDQUOT, errno.ESTALE, errno.EIO, errno.ETIMEDOUT, errno.EHOSTDOWN)
# What disks say that have no locks, as some clusters' shared ones.
LOCKLESS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


class LocalFolder:
    """Files appear whole, by a link from beside them, and are on the disk before they appear.

    They are for their owner and group, and no name and no symlink leads out of the folder.
    """

    is_local = True
    patience_s = 0.0

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, path: str, content: bytes) -> bool:
        return self._tried(lambda: self._created(self._place(path), content))

    def _created(self, place: Path, content: bytes) -> bool:
        with self._aside(place, content) as aside:
            try:
                os.link(aside, place)
            except FileExistsError:
                return place.read_bytes() == content
        _sync_folder(place.parent)
        return True

    def replace(self, path: str, content: bytes) -> None:
        self._tried(lambda: self._replaced(self._place(path), content))

    def _replaced(self, place: Path, content: bytes) -> None:
        with self._aside(place, content) as aside:
            os.replace(aside, place)
        _sync_folder(place.parent)

    def _tried(self, do: Callable[[], T]) -> T:
        """What `do` gives, tried again for whoever is patient where a disk is full or away."""
        for wait in waits((), self.patience_s):
            try:
                return do()
            except OSError as error:
                if wait is None or error.errno not in PASSING:
                    raise
                time.sleep(wait)
        raise AssertionError

    @contextmanager
    def _aside(self, place: Path, content: bytes) -> Iterator[Path]:
        aside = self.root / TEMPORARY / uuid4().hex
        for one in (aside, place):
            places.check_inside(self.root, one)
            files.make_folder(one.parent)
        try:
            with files.opened(aside, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield aside
        finally:
            aside.unlink(missing_ok=True)

    def _place(self, path: str) -> Path:
        return self.root / places.plain(path)

    def get(self, path: str) -> bytes:
        return self._place(path).read_bytes()

    def part(self, path: str, start: int, end: int) -> bytes:
        with open(self._place(path), "rb", buffering=0) as file:
            return os.pread(file.fileno(), end - start, start)

    def head(self, path: str) -> Found | None:
        try:
            stat = self._place(path).stat()
        except FileNotFoundError:
            return None
        return Found(path, stat.st_size, stat.st_mtime)

    def listed(self, folder: str, after: str = "") -> list[Found]:
        prefix = f"{folder}/" if folder else ""
        found = []
        with (
            suppress(FileNotFoundError, NotADirectoryError),
            os.scandir(self.root / folder) as all_,
        ):
            for entry in all_:
                # One that goes while it is looked at is not there.
                with suppress(FileNotFoundError):
                    if entry.name > after and entry.is_file():
                        stat = entry.stat()
                        found.append(Found(prefix + entry.name, stat.st_size, stat.st_mtime))
        return sorted(found, key=lambda one: one.path)

    def folders(self) -> Sequence[str]:
        with os.scandir(self.root) as found:
            return sorted(e.name for e in found if e.is_dir() and e.name != TEMPORARY)

    def delete(self, *paths: str) -> None:
        for path in paths:
            place = self._place(path)
            places.check_inside(self.root, place)
            place.unlink(missing_ok=True)

    def now(self) -> float:
        # A shared disk's times are its server's.
        with self._aside(self.root / "any", b"") as probe:
            return probe.stat().st_mtime

    def leftovers(self) -> list[Found]:
        return self.listed(TEMPORARY)

    def check_exclusive(self) -> None:
        """Links are exclusive wherever there are links."""

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Holds the folder's lock, which ends with the process; False where disks have no locks.

        Raises:
            BlockingIOError: another process holds it.
        """
        with files.opened(self.root / LOCK, "w", follow=False) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in LOCKLESS:
                    raise
                yield False
                return
            yield True

    def check_space(self, name: str) -> None:
        """Refuses a folder whose disk is nearly full.

        Raises:
            BadInput: less than 64 MiB is free.
        """
        usage = os.statvfs(self.root)
        if usage.f_bavail * usage.f_frsize < LEAST_FREE_BYTES:
            raise BadInput(
                f"store {name}: less than {LEAST_FREE_BYTES // 2**20} MiB free; "
                "free disk space or choose another --store"
            )

    def on_disk(self, paths: Sequence[str]) -> list[str]:
        return [str(self._place(path)) for path in paths]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
