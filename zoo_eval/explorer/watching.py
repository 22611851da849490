"""Watching: the process that looks at a store and makes its report, so that readers never wait for either.

    python -m zoo_eval.explorer.watching

It is told the store's address and limits, and then, now and then, that somebody wants the report. It says
what of `Seen` has changed, each time that something has; it ends with whoever started it.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from multiprocessing.connection import Connection as Pipe
from threading import Lock, Thread
from typing import Any

from zoo_eval.errors import BadInput, ZooEvalError
from zoo_eval.explorer.processes import spoken_to
from zoo_eval.explorer.watch import Refused, Seen, Watch

LOOK_EVERY_S = 2.0
# A listing of a bucket is a request that costs.
LOOK_AT_BUCKET_EVERY_S = 10.0
# Of the time, at most this share goes into reading a store that never stands still.
MOST_AT_WORK = 0.5
# Those who are answered come first.
NICER = 5


@dataclass
class Teller:
    """Says what a watch has seen, by turns of the threads that renew it."""

    watch: Watch
    outbox: "Pipe[Any, Any]"
    every_s: float
    _told: Seen | None = None
    _lock: Lock = field(default_factory=Lock)

    def tell(self) -> None:
        """Says by name what has changed since it was said: a page may be large."""
        with self._lock:
            seen, told = self.watch.seen, self._told
            new = {
                one.name: getattr(seen, one.name)
                for one in fields(Seen)
                if told is None or getattr(seen, one.name) != getattr(told, one.name)
            }
            if new:
                self.outbox.send(new)
                self._told = seen

    def again(self, step: Callable[[], None]) -> None:
        """Does one thing again and again, and says what came of it."""
        while True:
            began = time.monotonic()
            step()
            self.tell()
            took = time.monotonic() - began
            time.sleep(max(self.every_s, took / MOST_AT_WORK - took))


def main() -> int:
    """Looks until it is told to end."""
    inbox, outbox = spoken_to(NICER)
    uri, limits = inbox.recv()
    try:
        watch = Watch(uri, limits)
    except ZooEvalError as error:
        outbox.send(Refused(str(error), isinstance(error, BadInput)))
        return 1
    teller = Teller(watch, outbox, LOOK_EVERY_S if watch.is_local else LOOK_AT_BUCKET_EVERY_S)
    teller.tell()
    # A report may take long to make; what else there is does not wait for it.
    for step in (watch.look, watch.make_report):
        Thread(target=teller.again, args=(step,), daemon=True).start()
    try:
        while True:
            inbox.recv()
            watch.want_report()
    except EOFError:
        # Python cannot end in the middle of a query, and nobody waits for its answer.
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
