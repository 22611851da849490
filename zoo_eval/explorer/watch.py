"""Watch: a growing store, looked at again and again; whatever fails, what was read last stays."""

import time
from dataclasses import dataclass

from zoo_eval.errors import ZooEvalError, one_line
from zoo_eval.explorer.moment import Moment, Shown
from zoo_eval.queries.limits import Limits
from zoo_eval.report.html import page
from zoo_eval.store import Store


@dataclass(frozen=True)
class Report:
    """The report's page of one moment."""

    html: str
    read_at: float


@dataclass(frozen=True)
class Seen:
    """What is known of a store that is watched.

    Attributes:
        shown: what was read last.
        as_of: when the store was last known to hold what `shown` says.
        trouble: why the store cannot be read any more, on one line; None while it can.
        report: of that moment or of an earlier one; None until the first is made.
        report_trouble: why the last report could not be made; None if it could.
    """

    shown: Shown
    as_of: float
    trouble: str | None = None
    report: Report | None = None
    report_trouble: str | None = None

    @property
    def is_report_old(self) -> bool:
        """Whether the store has moved since the report."""
        return self.report is None or self.report.read_at < self.shown.read_at


@dataclass(frozen=True)
class Refused:
    """Why there is nothing to watch."""

    said: str
    is_bad_input: bool


class Watch:
    """The last good moment of a store, and its report, which are renewed when somebody says so.

    Raises:
        BadInput: there is no store.
        StoreError: it cannot be read, or is damaged.
    """

    def __init__(self, uri: str, limits: Limits) -> None:
        self._uri = uri
        self._limits = limits
        self._store = Store(uri)
        self.is_local = self._store.is_local
        self.moment = Moment.of(self._store, limits)
        self.as_of = self.moment.shown.read_at
        self.report: Report | None = None
        self.trouble: str | None = None
        self.report_trouble: str | None = None
        self._is_report_wanted = True

    @property
    def seen(self) -> Seen:
        """What is known now."""
        return Seen(self.moment.shown, self.as_of, self.trouble, self.report, self.report_trouble)

    def want_report(self) -> None:
        """Has the next report made, where the store has moved since the last."""
        self._is_report_wanted = True

    def look(self) -> None:
        """Looks at the store, and reads it where it has moved; whatever fails, what was read stays."""
        try:
            looked_at = time.time()
            if self.moment.contents.is_past():
                self.moment = self._read()
            self.as_of = max(looked_at, self.moment.shown.read_at)
            self.trouble = None
        except Exception as error:  # noqa: BLE001  the thread must live, and what it cannot do is said
            self.trouble = one_line(error)

    def _read(self) -> Moment:
        try:
            return Moment.of(self._store, self._limits, self.moment)
        except ZooEvalError:
            # It may have been made anew at the same place: what is known of the old one misleads.
            self._store = Store(self._uri)
            return Moment.of(self._store, self._limits)

    def make_report(self) -> None:
        """Makes the report of what was read last, where somebody wants it and it is not made yet."""
        moment = self.moment
        if not (self._is_report_wanted and self.seen.is_report_old):
            return
        self._is_report_wanted = False
        try:
            self.report = Report(page(moment.connection, self._uri), moment.shown.read_at)
            self.report_trouble = None
        except Exception as error:  # noqa: BLE001  as above
            self.report_trouble = one_line(error)
