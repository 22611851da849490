"""Processes: what a command and all that it starts take of the processor, by what they are."""

import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

# Between two looks: what a process takes after the last one is missed.
LOOK_S = 0.25
SLOT = "ray::Slot"


@dataclass(frozen=True)
class Taken:
    """Seconds of the processor, user's and system's: of the command itself, slots, and the rest."""

    driver_s: float
    slots_s: float
    others_s: float

    @property
    def total_s(self) -> float:
        return self.driver_s + self.slots_s + self.others_s


def run(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[str, Taken]:
    """Runs `python -m module`; its last line, and what it took.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.PIPE, text=True
    ) as done:
        taken: dict[psutil.Process, float] = {}
        slots: set[psutil.Process] = set()
        over = threading.Event()
        looking = threading.Thread(target=_look, args=(done.pid, taken, slots, over))
        looking.start()
        said, _ = done.communicate()
        over.set()
        looking.join()
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command)
    driver = sum(seconds for one, seconds in taken.items() if one.pid == done.pid)
    of_slots = sum(seconds for one, seconds in taken.items() if one in slots)
    rest = sum(taken.values()) - driver - of_slots
    return said.strip().splitlines()[-1], Taken(driver, of_slots, rest)


def _look(
    pid: int,
    taken: dict[psutil.Process, float],
    slots: set[psutil.Process],
    over: threading.Event,
) -> None:
    """Notes what a process and its descendants have taken so far, until it is over."""
    while not over.wait(LOOK_S):
        with suppress(psutil.Error):
            driver = psutil.Process(pid)
            for one in (driver, *driver.children(recursive=True)):
                with suppress(psutil.Error):
                    times = one.cpu_times()
                    taken[one] = times.user + times.system
                    if one not in slots and " ".join(one.cmdline()).startswith(SLOT):
                        slots.add(one)


def root() -> Path:
    """The folder that this code is in."""
    return Path(__file__).resolve().parents[1]
