"""Processes: what tells one from a later one of the same number, and from one of another machine."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil


def identity() -> dict[str, Any]:
    """What tells this process: where it is, its number, and when it began."""
    return {"machine": machine(), "process": os.getpid(), "began": _began(os.getpid())}


def machine() -> str:
    """What tells this machine, since it was started, and whose processes are seen in it.

    Containers may share a host's name and not its processes.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def is_gone(said: Mapping[str, Any]) -> bool:
    """Whether what `identity` told was a process of this machine that is no more."""
    if said["machine"] != machine():
        return False
    try:
        process = psutil.Process(said["process"])
        if _began(said["process"]) != said["began"]:
            return True
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return True
    except psutil.AccessDenied:
        return False


def _began(process: int) -> int:
    """When a process began, by no clock that anybody sets, where the system tells; 0 elsewhere."""
    if not Path("/proc/self/stat").exists():
        return 0
    # Behind the name of its program, which may hold anything.
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])
