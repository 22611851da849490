"""What can go wrong with a download, done for real: by a server, a disk, a signal."""

import errno
import io
import os
import random
import resource
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import file_download

from tests.hosting.serving import BOTH, Fault, Hub
from zoo_eval.privacy import files
from zoo_eval.weights import hub, transfers, urls

WAYS = ("hub", "hub, located before", "address")
REPO, NAME = "owner/name", "model.safetensors"
CONTENT = random.Random(1).randbytes(600 * 2**10)
OTHER = random.Random(2).randbytes(len(CONTENT))
HALF = len(CONTENT) // 2
DIGEST = sha256(CONTENT).hexdigest()
PAGE = b"<!DOCTYPE html><html><body>Please log in to this network</body></html>"
# A limit on the sizes of files holds for the log of the tests too, which is shorter.
ROOM_BYTES = 512 * 2**10
NOBODY = 65534


@dataclass
class Scene:
    """A machine with an empty cache, a hub, and one of three ways in which a file is asked for."""

    local: Hub
    folder: Path
    way: str
    patch: pytest.MonkeyPatch = field(default_factory=pytest.MonkeyPatch)
    undo: ExitStack = field(default_factory=ExitStack)
    located: hub.HubFile | None = None

    @property
    def url(self) -> str:
        return f"{self.local.address}/{REPO}/resolve/main/{NAME}"

    @property
    def caches(self) -> tuple[Path, Path]:
        return self.folder / "cache", self.folder / "own_cache"

    def prepare(self) -> None:
        self.local.put(REPO, NAME, CONTENT)
        if self.way == "hub, located before":
            self.located = hub.locate(REPO)

    def bring(self) -> Path:
        if self.way == "address":
            return urls.download(self.url, DIGEST)
        return hub.download(self.located or hub.locate(REPO))

    def mend(self) -> None:
        """No fault any more, and as in another process."""
        self.undo.close()
        self.patch.undo()
        if self.local.server is None:
            self.local.start()
        self.local.behave()
        self.local.put(REPO, NAME, CONTENT)
        hub.locate.cache_clear()

    def kept(self) -> list[Path]:
        """Every file in the caches that a later download would take for the right one."""
        files = [path for folder in self.caches for path in folder.rglob("*") if path.is_file()]
        return [path for path in files if path.name in (NAME, DIGEST)]


Injection = Callable[[Scene], None]


def once(**fault: Any) -> Injection:
    return lambda scene: scene.local.faults.append(Fault(**fault))


def always(**fault: Any) -> Injection:
    return lambda scene: setattr(scene.local, "always", Fault(**fault))


def status(code: int, *headers: tuple[str, str]) -> Injection:
    """Every answer has this status."""
    return always(status=code, headers=headers, methods=BOTH)


def in_turn(*injections: Injection) -> Injection:
    def inject(scene: Scene) -> None:
        for injection in injections:
            injection(scene)

    return inject


def set_timeouts(scene: Scene, timeout_s: float) -> None:
    scene.patch.setattr(transfers, "TIMEOUT_S", timeout_s)
    constants = huggingface_hub.constants
    scene.patch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", timeout_s)
    scene.patch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", timeout_s)
    scene.patch.setattr(file_download, "_ETAG_RETRY_TIMEOUT", timeout_s)


def patience(timeout_s: float) -> Injection:
    return lambda scene: set_timeouts(scene, timeout_s)


def switched_off(scene: Scene) -> None:
    scene.local.stop()


def without_names(scene: Scene) -> None:
    def lookup(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    scene.patch.setattr(socket, "getaddrinfo", lookup)


def small_disk(scene: Scene) -> None:
    free = SimpleNamespace(total=10**12, used=10**12 - 1000, free=1000)
    scene.patch.setattr(shutil, "disk_usage", lambda _: free)


class _Filling(io.FileIO):
    """A file on a disk that has room for some bytes and no more."""

    code = errno.ENOSPC

    def write(self, data: Any) -> int:
        if self.tell() >= ROOM_BYTES:
            raise OSError(self.code, os.strerror(self.code))
        return super().write(memoryview(data)[: ROOM_BYTES - self.tell()])


def _filling(open_as_ever: Callable[..., Any], code: int) -> Callable[..., Any]:
    def opened(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if mode not in ("ab", "wb"):
            return open_as_ever(path, mode, *args, **kwargs)
        file = _Filling(path, mode[0])
        file.code = code
        return io.BufferedWriter(file)

    return opened


def filling_disk(code: int) -> Injection:
    """The disk, or the user's quota, is exhausted in the middle."""

    def inject(scene: Scene) -> None:
        # What the hub's library opens files with, and what we do.
        for where, name in ((Path, "open"), (files, "opened")):
            scene.patch.setattr(where, name, _filling(getattr(where, name), code))

    return inject


def limited_files(scene: Scene) -> None:
    """The kernel itself refuses what is written beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, hard))
    scene.undo.callback(resource.setrlimit, resource.RLIMIT_FSIZE, (soft, hard))


def file_in_the_way(scene: Scene) -> None:
    """Where the caches' folders should be, there is a file."""
    for folder in scene.caches:
        shutil.rmtree(folder, ignore_errors=True)
        folder.write_text("")
        scene.undo.callback(folder.unlink)


def without_permission(scene: Scene) -> None:
    """The kernel itself refuses to write into the caches; whoever is root is nobody for a while."""
    # What is imported late must be readable then.
    scene.local.put("owner/other", "other.safetensors", OTHER)
    hub.download(hub.locate("owner/other", "other.safetensors"))
    for folder in scene.caches:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o500)
        scene.undo.callback(folder.chmod, 0o700)
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
        scene.undo.callback(os.seteuid, 0)


def killed(scene: Scene) -> None:
    """A process that was killed in the middle of the same download has left what it had."""
    with paused(scene) as process:
        process.kill()


@contextmanager
def paused(scene: Scene, *, says_length: bool = True) -> Iterator[Any]:
    """A process in the middle of the same download; in the end it may go on."""
    scene.local.released.clear()
    fault = Fault(sent_bytes=HALF, pauses=True, says_length=says_length)
    scene.local.faults.append(fault)
    process = get_context("fork").Process(target=scene.bring)
    process.start()
    try:
        deadline = time.monotonic() + 60
        while not _is_begun(scene) and time.monotonic() < deadline:
            time.sleep(0.005)
        assert _is_begun(scene)
        yield process
    finally:
        scene.local.released.set()
        process.join()
        process.close()


def _is_begun(scene: Scene) -> bool:
    unfinished = (path for f in scene.caches for path in (*f.rglob("*.part"), *_incomplete(f)))
    return any(path.stat().st_size > 0 for path in unfinished)


def _incomplete(folder: Path) -> Iterator[Path]:
    return folder.rglob("*.incomplete")


def killed_with_another_version(scene: Scene) -> None:
    scene.local.put(REPO, NAME, OTHER)
    killed(scene)
    scene.local.put(REPO, NAME, CONTENT)


def without_ranges(scene: Scene) -> None:
    scene.local.continues = False


def spoilt(change: Callable[[bytes], bytes]) -> Injection:
    """The file has been downloaded, and something has written to it since."""

    def inject(scene: Scene) -> None:
        path = scene.bring().resolve()
        path.chmod(0o600)
        path.write_bytes(change(path.read_bytes()))

    return inject


def lost(scene: Scene) -> None:
    """The file has been downloaded, and removed by someone who left the links to it."""
    scene.bring().resolve().unlink()
