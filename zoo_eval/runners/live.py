"""Live: a sweep's progress at the foot of a terminal, drawn again and again; lines pass above it."""

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, RLock, Thread
from typing import Any

from zoo_eval.files.names import printable
from zoo_eval.runners.progress import Progress
from zoo_eval.sweep.plan import Plan

LEAST_S, TICK_S = 0.1, 1.0
WIDTH = 24
MOST_SLOTS = 4


class Foot:
    """The last lines of a terminal; what is said goes above them."""

    def __init__(self, out: Any = None) -> None:
        self.out = out or sys.stdout
        self.n_lines = 0

    def draw(self, lines: list[str]) -> None:
        """Shows these in place of those that were there."""
        width = shutil.get_terminal_size().columns - 1
        shown = "".join(f"{printable(line)[:width]}\n" for line in lines)
        self.out.write(f"{self._up()}{shown}")
        self.out.flush()
        self.n_lines = len(lines)

    def clear(self) -> None:
        """Leaves nothing of them."""
        self.out.write(self._up())
        self.out.flush()
        self.n_lines = 0

    def _up(self) -> str:
        """Goes to where they began, and deletes what is from there on."""
        return f"\033[{self.n_lines}A\r\033[J" if self.n_lines else ""


@dataclass
class Live(Progress):
    """Progress as a few lines that are written over."""

    foot: Foot = field(default_factory=Foot)
    _drawn: float = float("-inf")
    _lock: Any = field(default_factory=RLock)
    _over: Event = field(default_factory=Event)

    @classmethod
    def of(cls, plan: Plan, say: Callable[[str], None]) -> "Live":
        """The progress of a plan's pending trials, which moves until it is closed."""
        live = cls(plan.pending, plan.n_passes, say)
        live._count_models(plan)
        live.say = live.above(say)
        if live.n_trials:
            Thread(target=live._tick, daemon=True).start()
        return live

    def above(self, say: Callable[[str], None]) -> Callable[[str], None]:
        """`say`, above what is drawn."""

        def said(line: str) -> None:
            with self._lock:
                self.foot.clear()
                say(line)
                if not self._over.is_set():
                    self.foot.draw(self.text())

        return said

    def line(self) -> None:
        now = time.monotonic()
        if self._over.is_set() or now - self._drawn < LEAST_S:
            return
        with self._lock:
            self._drawn = now
            self.foot.draw(self.text())

    def text(self) -> list[str]:
        """What is drawn: how far it is; how it goes; what slots are at."""
        share = self.eta.share if self.n_done < self.n_trials else 1.0
        full = int(share * WIDTH)
        bar = f"[{'#' * full}{'.' * (WIDTH - full)}] {100 * share:3.0f} %"
        models = f"{len(self.models_done)}/{self.n_models} models"
        counted = f"{self.n_done}/{self.n_trials} trials"
        lines = [", ".join([f"{bar}  {counted}", models, *self.time_left()])]
        lines.append("  " + ", ".join(self.how_it_goes()))
        at_work = sorted(self.at_work.items())
        lines += [f"  slot {slot}: {what}" for slot, what in at_work[:MOST_SLOTS]]
        if len(at_work) > MOST_SLOTS:
            lines.append(f"  and {len(at_work) - MOST_SLOTS} slots more")
        return lines

    def close(self) -> None:
        """Leaves the terminal as it is for lines."""
        with self._lock:
            if not self._over.is_set():
                self._over.set()
                self.foot.clear()
                self._ended = False
                # How it was at last stays, as a line.
                self._said = float("-inf")
                super().line()

    def _tick(self) -> None:
        while not self._over.wait(TICK_S):
            # Counts may change while they are drawn: the next time will do.
            try:
                self.line()
            except RuntimeError:
                continue
