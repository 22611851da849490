"""Bar: a sweep's progress on one line that is written over, in a notebook or a terminal."""

import sys
import time
from dataclasses import dataclass, field
from typing import Any

from zoo_eval.runners.progress import Progress
from zoo_eval.units import duration

WIDTH = 24
LEAST_S = 0.2


@dataclass
class Bar(Progress):
    """Progress as a bar; where nothing can be written over, as lines."""

    screen: Any = field(default_factory=lambda: _screen())
    _drawn: float = 0.0

    def line(self) -> None:
        if self.screen is None:
            super().line()
            return
        now, ended = time.monotonic(), self.n_done >= self.n_trials
        if self._ended or (not ended and now - self._drawn < LEAST_S):
            return
        self._drawn, self._ended = now, ended
        self.screen.show(self.text(), last=ended)

    def text(self) -> str:
        """The bar: trials done of all, what went wrong, time left."""
        share = self.n_done / self.n_trials if self.n_trials else 1.0
        full = round(share * WIDTH)
        wrong = [(self.n_failed, "failed"), (self.n_refused, "refused")]
        said = [f"{n} {what}" for n, what in wrong if n]
        said += [] if self.eta_s is None or share == 1 else [f"{duration(self.eta_s)} left"]
        counted = f"{self.n_done}/{self.n_trials} trials"
        return f"|{'#' * full}{'.' * (WIDTH - full)}| {', '.join([counted, *said])}"


class Terminal:
    """The last line of a terminal."""

    def show(self, text: str, *, last: bool) -> None:
        sys.stderr.write(f"\r\033[K{text}{chr(10) if last else ''}")
        sys.stderr.flush()


class Cell:
    """One line of a notebook cell's output, which is changed in place."""

    def __init__(self, display: Any) -> None:
        self._display = display
        self._handle: Any = None

    def show(self, text: str, *, last: bool) -> None:
        shown = {"text/plain": text}
        if self._handle is None:
            self._handle = self._display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)


def _screen() -> Terminal | Cell | None:
    """What can be written over; None where lines are all there is."""
    # Nobody is in a notebook whose process has not imported IPython.
    if "IPython" in sys.modules:
        from IPython import get_ipython
        from IPython.display import display

        if getattr(get_ipython(), "kernel", None) is not None:
            return Cell(display)
    return Terminal() if sys.stderr.isatty() else None
