"""Lookout: what the process that watches a store said last, at hand for those who are answered."""

from contextlib import suppress
from dataclasses import replace
from threading import Event, Thread
from typing import Protocol

from zoo_eval.errors import BadInput, StoreError
from zoo_eval.explorer.processes import Process, started
from zoo_eval.explorer.watch import Refused, Seen
from zoo_eval.queries.limits import Limits

ENDED = "the process that reads it has ended; it is started again"
AGAIN_AFTER_S = 5.0


class Watched(Protocol):
    """A store that somebody watches."""

    @property
    def seen(self) -> Seen: ...

    def want_report(self) -> None: ...


class Lookout:
    """What is known of a store that a process of its own watches; a process that ends is replaced.

    Raises:
        BadInput: there is no store.
        StoreError: it cannot be read, or is damaged.
    """

    def __init__(self, uri: str, limits: Limits) -> None:
        self._told = (uri, limits)
        self._process = self._started()
        self._ended = Event()
        self._thread = Thread(target=self._listen, name="zoo_eval lookout", daemon=True)
        try:
            self.seen = _first(self._process)
        except BaseException:
            self._process.end()
            raise

    def start(self) -> None:
        """Begins to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the process, whatever it reads."""
        self._ended.set()
        self._process.end()

    def want_report(self) -> None:
        """Has the report made anew where the store has moved since."""
        if self.seen.is_report_old:
            with suppress(OSError):
                self._process.out.send(None)

    def _started(self) -> Process:
        process = started("zoo_eval.explorer.watching")
        process.out.send(self._told)
        return process

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                self.seen = replace(self.seen, **self._process.inbox.recv())
            except (EOFError, OSError):
                self._again()

    def _again(self) -> None:
        """Starts another process, unless it was told to end."""
        if self._ended.is_set():
            return
        self.seen = replace(self.seen, trouble=ENDED)
        self._process.end()
        self._ended.wait(AGAIN_AFTER_S)
        if self._ended.is_set():
            return
        self._process = self._started()
        try:
            self.seen = _first(self._process)
        except (BadInput, StoreError) as error:
            self.seen = replace(self.seen, trouble=str(error))


def _first(process: Process) -> Seen:
    """What a process says first.

    Raises:
        BadInput, StoreError: there is nothing to watch.
    """
    try:
        said = process.inbox.recv()
    except (EOFError, OSError) as error:
        raise StoreError("the process that reads the store has ended; try again") from error
    if isinstance(said, Refused):
        raise (BadInput if said.is_bad_input else StoreError)(said.said)
    return Seen(**said)
