"""An own Ray: one that is started for a run, reached from this machine alone, with its own token.

It ends with its driver, however that ends: a process beside it waits for that, then ends what is left
of Ray's processes and removes its folder. What a machine that was switched off left is removed by the
next.
"""

import json
import os
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from zoo_eval.storage.processes import identity, is_gone

# Said to be for other systems, but it is what makes a node's address 127.0.0.1 on any; and what
# Ray's processes listen on follows from that address.
LOOPBACK_SWITCH = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
PREFIX = "zoo"
OWNER = "owner.json"
ENDING_S = 5.0
LOOK_EVERY_S = 3.0


def private_folder() -> Path:
    """A new folder that its owner alone can enter: for a token, sockets and logs.

    It is made directly in /tmp (or `RAY_TMPDIR`): paths of sockets must stay under 107 bytes.
    """
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_parent()))
    (folder / OWNER).write_text(json.dumps(identity()))
    return folder


def _parent() -> str:
    return os.environ.get("RAY_TMPDIR") or "/tmp"


def settings(folder: Path) -> dict[str, str]:
    """The environment of every process of a Ray of one's own; its new token is in the folder."""
    token = folder / "token"
    with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        LOOPBACK_SWITCH: "0",
    }


def guard(folder: Path) -> "subprocess.Popen[bytes]":
    """Starts the process that ends the folder's Ray when this one is gone, or closes its input."""
    command = [sys.executable, "-m", "zoo_eval.runners.own_ray", str(folder)]
    # Of a session of its own: what interrupts or kills the driver's group must leave it.
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def end(folder: Path, others: Collection[psutil.Process] = ()) -> None:
    """Ends the processes of the folder's Ray, and others that are known to be its, and removes the folder."""
    left = {*processes(folder), *(one for one in others if one.is_running())}
    for one in left:
        with suppress(psutil.Error):
            one.kill()
    psutil.wait_procs(left, timeout=ENDING_S)
    shutil.rmtree(folder, ignore_errors=True)


def end_abandoned() -> None:
    """Ends every own Ray of this user here whose driver is gone: of a driver that was killed."""
    for owner in Path(_parent()).glob(f"{PREFIX}*/{OWNER}"):
        # Another user's cannot be read; one that is being made or removed is left alone.
        with suppress(OSError, ValueError, KeyError, TypeError):
            if owner.parent.stat().st_uid == os.getuid() and is_gone(json.loads(owner.read_text())):
                end(owner.parent)


def processes(folder: Path) -> Iterator[psutil.Process]:
    """Ray's processes of a folder: they name it, or, having taken another title, have logs in it open."""
    name = f"{folder}/"
    for one in psutil.process_iter():
        with suppress(psutil.Error):
            command = " ".join(one.cmdline())
            if name in command or (command.startswith("ray::") and _has_open(one, name)):
                yield one


def _has_open(process: psutil.Process, folder: str) -> bool:
    return any(file.path.startswith(folder) for file in process.open_files())


def _children(driver: psutil.Process) -> set[psutil.Process]:
    """Ray's processes that a driver has, by the titles that they take."""
    found = set()
    with suppress(psutil.Error):
        for one in driver.children(recursive=True):
            with suppress(psutil.Error):
                if " ".join(one.cmdline()).startswith("ray::"):
                    found.add(one)
    return found


def main() -> None:
    """Waits for the end of the input, which is its driver's end, and ends the Ray of a folder."""
    driver, known = psutil.Process(os.getppid()), set[psutil.Process]()
    # Some have no file open, and nobody is their parent any more when the driver and its raylet are gone.
    while not select.select([sys.stdin], [], [], LOOK_EVERY_S)[0]:
        known |= _children(driver)
    end(Path(sys.argv[1]), known)


if __name__ == "__main__":
    main()
