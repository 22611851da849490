"""Faults: everything that is done to a sweep while it runs; each says whether there was what it needs."""

import random
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.chaos.models import ACTS
from tests.chaos.nodes import Nodes
from tests.storage.s3_server import Running

AWAY_S = 8.0
FILLER = "filler"


@dataclass
class Scene:
    """A run: its nodes, its driver, its flags, and its store, a folder or a server's."""

    nodes: Nodes
    driver: "subprocess.Popen[bytes]"
    flags: Path
    chance: random.Random
    disk: Path | None = None
    server: Running | None = None
    # How often the command may be given again: once for each driver or head that was killed.
    excused: int = 0
    done: list[str] = field(default_factory=list)


def _slot(scene: Scene, act: Callable[[psutil.Process], None], *, busy: bool = True) -> bool:
    found = scene.nodes.slots(busy=busy)
    if not found:
        return False
    with suppress(psutil.NoSuchProcess):
        act(scene.chance.choice(found))
        return True
    return False


def _driver(scene: Scene) -> bool:
    scene.excused += 1
    scene.driver.send_signal(signal.SIGKILL)
    return True


def _terminated(scene: Scene) -> bool:
    scene.excused += 1
    scene.driver.send_signal(signal.SIGTERM)
    return True


def _head(scene: Scene) -> bool:
    scene.excused += 1
    return scene.nodes.kill_gcs()


def _away(scene: Scene, how: str) -> bool:
    """Has the server be away, slow, or give wrong answers, for some seconds."""
    if scene.server is None:
        return False
    urllib.request.urlopen(f"http://127.0.0.1:{scene.server.port}/{how}/{AWAY_S}").close()
    return True


def _full(scene: Scene) -> bool:
    """Fills the disk for some seconds."""
    if scene.disk is None:
        return False
    filler = scene.disk / FILLER
    with suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(bytes(2**20))
            file.flush()
    time.sleep(AWAY_S)
    filler.unlink()
    return True


def _flag(name: str) -> Callable[[Scene], bool]:
    def act(scene: Scene) -> bool:
        (scene.flags / name).touch()
        return True

    return act


FAULTS: dict[str, Callable[[Scene], bool]] = {
    "slot killed": lambda scene: _slot(scene, psutil.Process.kill),
    "slot stopped": lambda scene: _slot(scene, psutil.Process.suspend),
    "worker killed": lambda scene: _slot(scene, psutil.Process.kill, busy=False),
    "raylet killed": lambda scene: scene.nodes.kill_raylet(scene.chance.choice),
    "node drained": lambda scene: scene.nodes.drain(scene.chance.choice),
    "head killed": _head,
    "driver killed": _driver,
    "driver terminated": _terminated,
    "store away": lambda scene: _away(scene, "away"),
    "store slow": lambda scene: _away(scene, "slow"),
    "store errors": lambda scene: _away(scene, "wrong"),
    "disk full": _full,
    **{f"model: {name}": _flag(name) for name in ACTS},
}
ON_SERVER = ("store away", "store slow", "store errors")
ON_DISK = ("disk full",)
