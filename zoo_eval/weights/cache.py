"""The weights this machine keeps: which are in use, and room for more of them under a cap."""

import errno
import fcntl
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic, sleep, time, time_ns

import huggingface_hub as hub
from huggingface_hub import CachedRepoInfo, CachedRevisionInfo, HFCacheInfo
from huggingface_hub.errors import CacheNotFound

from zoo_eval.errors import Refusal
from zoo_eval.paths import cache_folder
from zoo_eval.privacy import files
from zoo_eval.units import size_in_bytes, size_text

CAP = "ZOO_EVAL_CACHE_BYTES"
# Whoever was given a file opens it within minutes; an open file outlives its removal.
OPENED_WITHIN_S = 300.0
ROOM_WAIT_S = 600.0
POLL_S = 0.5
# EFBIG is what a limit on file sizes says.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_thread = threading.local()


class _Lock:
    """A shared lock on a file, until this object is gone."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT, files.FILE_MODE)
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)

    def __del__(self) -> None:
        os.close(self.descriptor)


def url_key(folder: Path) -> str:
    """The name under which a folder of the `urls` cache is held."""
    return f"url-{folder.name}"


def hub_key(repo: str, revision: str) -> str:
    """The name under which a revision in the cache of `huggingface_hub` is held."""
    return f"hub-{repo.replace('/', '--')}@{revision}"


def lock_of(key: str) -> Path:
    """The lock of whoever brings what is held under a name."""
    return cache_folder("used") / f".{key}.lock"


@contextmanager
def held(key: str) -> Iterator[None]:
    """Keeps others from removing a file while it is downloaded, and until it was opened.

    A thread holds what it was last given, one file at a time; after an error, nothing.
    """
    stamp = _stamp(key)
    _thread.lock = None
    with _alone():
        _thread.lock = _Lock(stamp)
        if not stamp.stat().st_size:
            # In use for as long as it takes, though nobody knows how much will come.
            stamp.write_text("1")
        _touch(stamp)
    try:
        yield
    except BaseException:
        _thread.lock = None
        raise
    # Another process may have emptied the whole cache; what was reserved is there.
    with suppress(FileNotFoundError):
        os.truncate(stamp, 0)
        _touch(stamp)


def _touch(stamp: Path) -> None:
    # Times of access are not kept on every disk: a file's last use is its stamp's time. The
    # kernel's own stamps are of some milliseconds, in which several files are used.
    now_ns = time_ns()
    os.utime(stamp, ns=(now_ns, now_ns))


def make_room(key: str, n_bytes: int, what: str) -> None:
    """Reserves bytes under the cap for a file that is held; the least recently used files give way.

    Only files that this package asked for count and are removed, not what others keep in the hub's
    cache. Waits for a while where all others are in use.

    Raises:
        Refusal: the cap is no size, too small for this file, or full of files in use.
    """
    cap = _cap()
    if cap is None:
        return
    if n_bytes > cap:
        raise Refusal(
            f"{what} has {size_text(n_bytes)}, more than {CAP} = {size_text(cap)}; raise it"
        )
    deadline = monotonic() + ROOM_WAIT_S
    while (lacking := _make_room(key, n_bytes, cap)) > 0:
        if monotonic() >= deadline:
            raise Refusal(
                f"{what} has {size_text(n_bytes)}, of which {size_text(lacking)} do not fit beside "
                f"the files in use under {CAP} = {size_text(cap)}; raise it"
            )
        sleep(POLL_S)


def refuse_small_disk(what: str, n_bytes: int, folder: Path, variable: str) -> None:
    """Nothing, where a disk has room for a file.

    Raises:
        Refusal: it has not.
    """
    if _free_bytes(folder) < n_bytes:
        raise full_disk(what, n_bytes, folder, variable)


def full_disk(what: str, n_bytes: int | None, folder: Path, variable: str) -> Refusal:
    """What to say when a file does not fit on a disk; `variable` moves the cache elsewhere."""
    needs = "" if n_bytes is None else f"{size_text(n_bytes)} needed, "
    return Refusal(
        f"{what} does not fit into {folder} ({needs}{size_text(_free_bytes(folder))} free); free "
        f"space, or set {variable} to a folder on a larger disk"
    )


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk, a quota or a limit is exhausted."""
    return isinstance(error, OSError) and error.errno in FULL


def _free_bytes(folder: Path) -> int:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


def _cap() -> int | None:
    text = os.environ.get(CAP, "")
    if not text:
        return None
    try:
        return int(text) if text.isdecimal() else size_in_bytes(text)
    except ValueError as error:
        raise Refusal(f"{CAP}: {error}") from error


def _stamp(key: str) -> Path:
    return cache_folder("used") / key


def _alone() -> AbstractContextManager[None]:
    """While no other thread or process takes hold of files or removes them."""
    return alone(cache_folder("used") / ".lock")


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """While no other thread or process has this lock, which is a file."""
    files.make_folder(lock.parent)
    with files.opened(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class _Entry:
    """Something kept that can be removed as a whole."""

    stamp: Path
    on_disk_bytes: int
    remove: Callable[[], object]

    @property
    def last_use(self) -> float:
        return self.stamp.stat().st_mtime if self.stamp.exists() else 0.0

    @property
    def reserved_bytes(self) -> int:
        """What a download that is under way will take in the end."""
        return int(self.stamp.read_text() or 0) if _is_locked(self.stamp) else 0

    @property
    def n_bytes(self) -> int:
        return max(self.on_disk_bytes, self.reserved_bytes)

    @property
    def in_use(self) -> bool:
        if not _is_locked(self.stamp):
            return False
        return self.reserved_bytes > 0 or time() - self.last_use < OPENED_WITHIN_S


def _is_locked(stamp: Path) -> bool:
    try:
        with stamp.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _make_room(key: str, n_bytes: int, cap: int) -> int:
    """How many bytes are lacking (at most 0: they are reserved) after all that could go is gone."""
    own = _stamp(key)
    with _alone():
        others = [entry for entry in (*_url_entries(), *_hub_entries()) if entry.stamp != own]
        lacking = sum(entry.n_bytes for entry in others) + n_bytes - cap
        for entry in sorted(others, key=lambda entry: entry.last_use):
            if lacking <= 0:
                break
            if not entry.in_use:
                lacking -= entry.n_bytes
                entry.remove()
        if lacking <= 0:
            with files.opened(own, "w") as stamp:
                stamp.write(str(n_bytes))
    return lacking


def _url_entries() -> Iterator[_Entry]:
    folder = cache_folder("urls")
    for kept in folder.iterdir() if folder.is_dir() else ():
        n_bytes = sum(map(_size, kept.iterdir()))
        yield _Entry(_stamp(url_key(kept)), n_bytes, partial(shutil.rmtree, kept))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        # Its download has just ended.
        return 0


def _hub_entries() -> Iterator[_Entry]:
    for repo in _scan().repos:
        for revision in repo.revisions:
            stamp = _stamp(hub_key(repo.repo_id, revision.commit_hash))
            if repo.repo_type == "model" and stamp.exists():
                yield _Entry(stamp, revision.size_on_disk, partial(_remove, repo, revision))


def _scan() -> HFCacheInfo:
    try:
        return hub.scan_cache_dir(hub.constants.HF_HUB_CACHE)
    except CacheNotFound:
        return HFCacheInfo(
            size_on_disk=0, repos=frozenset(), incomplete_files=frozenset(), warnings=[]
        )


def _remove(repo: CachedRepoInfo, revision: CachedRevisionInfo) -> None:
    scanned = _scan()
    # Scanned again: what revisions share goes with the last of them. Forks share revisions' names.
    same = frozenset(found for found in scanned.repos if found.repo_path == repo.repo_path)
    replace(scanned, repos=same).delete_revisions(revision.commit_hash).execute()
