"""Watch: a growing store, looked at again and again behind those who read it; they never wait for it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread

from zoo_eval.errors import ZooEvalError, one_line
from zoo_eval.explorer.moment import Moment
from zoo_eval.queries.limits import Limits
from zoo_eval.report.html import page
from zoo_eval.store import Store

LOOK_EVERY_S = 2.0
# A listing of a bucket is a request that costs.
LOOK_AT_BUCKET_EVERY_S = 10.0
# Of the time, at most this share goes into reading a store that never stands still.
MOST_AT_WORK = 0.5
ENDING_S = 5.0


@dataclass(frozen=True)
class Report:
    """The report's page of one moment."""

    html: str
    read_at: float


class Watch:
    """The last good moment of a store, and its report; threads renew them when the store has moved.

    Attributes:
        moment: what was read last.
        report: of that moment or of an earlier one; None until the first is made.
        as_of: when the store was last known to hold what `moment` says.
        trouble: why the store cannot be read any more, on one line; None while it can.
        report_trouble: why the last report could not be made; None if it could.
    """

    def __init__(self, uri: str, limits: Limits) -> None:
        self._uri = uri
        self._limits = limits
        self._store = Store(uri)
        self.moment = Moment.of(self._store, limits)
        self.as_of = self.moment.read_at
        self.report: Report | None = None
        self.trouble: str | None = None
        self.report_trouble: str | None = None
        self._is_report_wanted = True
        self._ended = Event()
        self._every_s = LOOK_EVERY_S if self._store.is_local else LOOK_AT_BUCKET_EVERY_S
        # A report may take long to make; what else there is does not wait for it.
        self._threads = [
            Thread(target=self._again, args=(step,), name="zoo_eval watch", daemon=True)
            for step in (self.look, self.make_report)
        ]

    def start(self) -> None:
        """Begins to look."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends looking; what is being read is waited for a few seconds, and then left."""
        self._ended.set()
        until = time.monotonic() + ENDING_S
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))

    @property
    def is_at_work(self) -> bool:
        """Whether something is still being read."""
        return any(thread.is_alive() for thread in self._threads)

    def wanted_report(self) -> Report | None:
        """The last report there is; a newer one is made where the store has moved since."""
        self._is_report_wanted = True
        return self.report

    def _again(self, step: Callable[[], None]) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            step()
            took = time.monotonic() - began
            self._ended.wait(max(self._every_s, took / MOST_AT_WORK - took))

    def look(self) -> None:
        """Looks at the store, and reads it where it has moved; whatever fails, what was read stays."""
        try:
            looked_at = time.time()
            if self.moment.contents.is_past():
                self.moment = self._read()
            self.as_of = max(looked_at, self.moment.read_at)
            self.trouble = None
        except Exception as error:  # noqa: BLE001  the thread must live, and what it cannot do is said
            self.trouble = one_line(error)

    def _read(self) -> Moment:
        try:
            return Moment.of(self._store, self._limits)
        except ZooEvalError:
            # It may have been made anew at the same place: what is known of the old one misleads.
            self._store = Store(self._uri)
            return Moment.of(self._store, self._limits)

    def make_report(self) -> None:
        """Makes the report of what was read last, where somebody wants it and it is not made yet."""
        moment = self.moment
        is_old = self.report is None or self.report.read_at < moment.read_at
        if not (self._is_report_wanted and is_old):
            return
        self._is_report_wanted = False
        try:
            self.report = Report(page(moment.connection, self._uri), moment.read_at)
            self.report_trouble = None
        except Exception as error:  # noqa: BLE001  as above
            self.report_trouble = one_line(error)
