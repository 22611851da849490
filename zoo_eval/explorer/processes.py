"""Processes of a server: each runs one module, is spoken to by a pipe, and ends with the server."""

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any


@dataclass(frozen=True)
class Process:
    """One that runs; `inbox` has what it says, what it is told goes `out`."""

    process: subprocess.Popen[bytes]
    out: "Pipe[Any, Any]"
    inbox: "Pipe[Any, Any]"

    @property
    def pid(self) -> int:
        return self.process.pid

    def end(self) -> None:
        """Ends it, whatever it is doing."""
        with suppress(OSError):
            self.process.kill()
        self.process.wait()
        for pipe in (self.out, self.inbox):
            with suppress(OSError):
                pipe.close()


def started(module: str) -> Process:
    """A process that runs a module of this package."""
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Ctrl-C is for the server, which then ends this one.
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    out = Pipe(os.dup(process.stdin.fileno()), readable=False)
    inbox = Pipe(os.dup(process.stdout.fileno()), writable=False)
    process.stdin.close()
    process.stdout.close()
    return Process(process, out, inbox)


def spoken_to(niceness: int) -> "tuple[Pipe[Any, Any], Pipe[Any, Any]]":
    """In such a process: what it is told, and where it answers; others of this machine come first."""
    inbox = Pipe(os.dup(0), writable=False)
    outbox = Pipe(os.dup(1), readable=False)
    # What a library prints must not be taken for an answer.
    os.dup2(2, 1)
    with suppress(OSError):
        os.nice(niceness)
    return inbox, outbox
