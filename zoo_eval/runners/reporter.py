"""Reporter: says in the store how a sweep goes, and looks there whether it is to end.

A thread of its own, with its own way to the store: whatever goes wrong with it harms nothing.
"""

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from types import TracebackType
from typing import Any

from zoo_eval.privacy.addresses import in_text
from zoo_eval.runners.progress import Progress
from zoo_eval.storage import address, bulletin
from zoo_eval.storage.leases import Lease
from zoo_eval.storage.objects import Objects
from zoo_eval.sweep.plan import Plan

# Between two looks: each is a request, which a bucket's owner pays for.
LOOK_LOCAL_S, LOOK_BUCKET_S = 0.5, 2.0
SAY_S = 4.0
LEAVE_S = 15.0
MOST_LINES, LONGEST_LINE = 8, 300
Say = Callable[[str], None]


class Reporter:
    """What is said of one sweep, from when it holds its store until it lets go of it."""

    def __init__(self, store_uri: str, lease: Lease, runner: str) -> None:
        self.lease = lease
        self.runner = runner
        self.lines: deque[str] = deque(maxlen=MOST_LINES)
        self.plan: Plan | None = None
        self.progress: Progress | None = None
        self.ended: str | None = None
        self._objects: Objects = address.opened(store_uri)
        self._stop = Event()
        self._thread = Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> "Reporter":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        # A store that does not answer is not waited for.
        self._thread.join(LEAVE_S)
        self.ended = "done" if error is None else f"ended by {type(error).__name__}"
        if self.lease.cancelled:
            self.ended = "cancelled"
        # Who took the store over says now how it goes.
        if not self.lease.lost:
            self._say()
            with suppress(OSError):
                bulletin.forget(self._objects)

    def hearing(self, say: Say) -> Say:
        """`say`, whose last lines are said in the store too."""

        def heard(line: str) -> None:
            self.lines.append(in_text(line)[:LONGEST_LINE])
            say(line)

        return heard

    def watch(self, plan: Plan, progress: Progress, show: Say) -> None:
        """Says from now on how this goes; `show` takes lines of which the next one takes the place."""
        progress.show = show
        self.plan, self.progress = plan, progress

    def _go_on(self) -> None:
        look_s = LOOK_LOCAL_S if self._objects.is_local else LOOK_BUCKET_S
        said = float("-inf")
        while not self.lease.lost:
            with suppress(OSError):
                if bulletin.is_asked_to_end(self._objects, self.lease.run):
                    self.lease.cancelled = True
            if time.monotonic() - said >= SAY_S:
                self._say()
                said = time.monotonic()
            if self._stop.wait(look_s):
                return

    def _say(self) -> None:
        # Counts may change while they are read, and a store may be away: the next time will do.
        with suppress(OSError, RuntimeError):
            bulletin.publish(self._objects, self.lease.run, self.content())

    def content(self) -> dict[str, Any]:
        """What is said."""
        said = {"runner": self.runner, "ended": self.ended, "lines": list(self.lines)}
        if self.plan is None or self.progress is None:
            return said
        plan, progress = self.plan, self.progress
        left = progress.eta_s
        return {
            **said,
            "wanted": plan.wanted,
            "done": plan.done + progress.n_ok,
            "failed": plan.failed_before + progress.n_failed,
            "refused": len(plan.refused) + progress.n_refused,
            "pending": progress.n_trials - progress.n_done,
            "models": progress.n_models,
            "image_passes_per_s": round(progress.rate, 3),
            "so_far_s": round(progress.elapsed_s, 1),
            "left_s": None if left is None else round(left, 1),
            "left_by_plan": progress.eta.is_of_the_plan,
            "failures": dict(progress.failures),
            "at_work": {str(slot): what for slot, what in progress.at_work.items()},
        }
