"""Sweeps on four nodes of this machine, disturbed at random: their tables equal the undisturbed run's.

    python -m tests.chaos [--runs N] [--faults N] [--seed N]

Every fault of `tests/chaos/faults.py` in turn, in an order that the seed decides; stores in a folder and
on an S3 server by turns. The command is given again after a driver or head was killed, and otherwise
only with a hand, which is counted. Exit status 1 where a row is lost, doubled or another, or a hand
was needed.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from tests import conftest
from tests.chaos.faults import FAULTS, ON_DISK, ON_SERVER, Scene
from tests.chaos.models import FLAGS
from tests.chaos.nodes import Nodes
from tests.runners import comparison
from tests.storage import s3_server
from zoo_eval.models.open_model import open_model
from zoo_eval.paths import resolve
from zoo_eval.queries.connection import connect
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.store import Store
from zoo_eval.sweep.cards import roster
from zoo_eval.sweep.file import read

ROOT = Path(__file__).resolve().parents[2]
# Room for the store and what is put aside, little enough to be filled at once.
DISK_MIB = 256
# A driver that says nothing for so long after its head is gone stands still, and needs a hand.
PATIENCE_S = 120.0
MOST_S = 600.0
N_MODELS = 20
MOST_STARTS = 12


def sweep_file(folder: Path, n_models: int) -> Path:
    """The tests' tiny sweep, with models that can misbehave; photos are called what the first calls them."""
    models = "".join(
        f'[[models.local]]\nname = "m{number}"\nfactory = "tests.chaos.models:build_{number}"\n'
        for number in range(n_models)
    )
    text = conftest.TINY.format(store="unused", labels=folder / "labels.csv")
    begin, end = text.index("[[models.local]]"), text.index("[stimuli.photos]")
    file = folder / "sweep.toml"
    file.write_text(text[:begin] + models + text[end:].replace("local/efficientnet", "local/m0"))
    card, *_ = roster(read(file, folder).models).cards
    photos = read_folder(
        "photos", resolve("package:foolbox/data", folder), include=["imagenet_0[0-3]*.jpg"]
    )
    predicted = open_model(card, torch.device("cpu")).predict(photos.images).argmax(1).tolist()
    lines = [f"{i},{label}" for i, label in zip(photos.ids, predicted, strict=True)]
    (folder / "labels.csv").write_text("\n".join(["image,label", *lines]) + "\n")
    return file


def command(file: Path, store: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "tests.chaos.driver", str(file), "--store", store, *more]


def is_on_server(number: int) -> bool:
    """Whether a run's store is in a bucket: every second one's is."""
    return number % 2 == 1


class Chaos:
    """Runs of one sweep, each with its faults; what came of them."""

    def __init__(self, folder: Path, seed: int, n_models: int = N_MODELS) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.file = sweep_file(folder, n_models)
        self.undisturbed = str(folder / "undisturbed")
        self.left: dict[bool, list[str]] = {True: [], False: []}
        self.counts: Counter[str] = Counter()
        self.found: list[str] = []
        self.hands = 0
        subprocess.run(command(self.file, self.undisturbed, "--runner", "local"), check=True)

    def run(self, number: int, faults: list[str], nodes: Nodes) -> None:
        """One sweep, disturbed; says what is wrong with its tables."""
        name, on_server = f"run-{number}", is_on_server(number)
        with self._store(name, on_server) as (uri, disk, server):
            flags = self.folder / f"{name}-flags"
            flags.mkdir()
            os.environ[FLAGS] = str(flags)
            scene = Scene(nodes, self._driver(uri, nodes), flags, self.chance, disk, server)
            began = time.monotonic()
            starts = self._disturbed(scene, uri, faults)
            wrong = self._wrong(uri)
            self.found += [f"{name}: {one}" for one in wrong]
            self.counts.update(scene.done)
            hands = max(0, starts - 1 - scene.excused)
            self.hands += hands
            print(
                f"{name}: {time.monotonic() - began:.0f} s, {starts} starts, {hands} hands, "
                f"{', '.join(scene.done)}; {wrong or 'equal'}", flush=True,
            )  # fmt: skip

    def _driver(self, uri: str, nodes: Nodes) -> "subprocess.Popen[bytes]":
        with (self.folder / "said").open("ab") as said:
            return subprocess.Popen(
                command(self.file, uri),
                env={**os.environ, "RAY_ADDRESS": nodes.address},
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    @contextmanager
    def _store(self, name: str, on_server: bool) -> Iterator[tuple[str, Path | None, Any]]:
        with ExitStack() as stack:
            if on_server:
                server = stack.enter_context(s3_server.running())
                yield server.uri(name), None, server
                return
            disk = self.folder / name
            disk.mkdir()
            if has_room := os.getuid() == 0:
                mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(disk)]
                subprocess.run(mount, check=True)
                stack.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
            yield str(disk / "store"), disk if has_room else None, None

    def faults(self, number: int, n: int) -> list[str]:
        """A run's faults, of those that its kind of store can have: all of them before one comes again."""
        on_server = is_on_server(number)
        others = ON_DISK if on_server else ON_SERVER
        wanted = [name for name in FAULTS if name not in others]
        left = self.left[on_server]
        while len(left) < n:
            left += self.chance.sample(wanted, len(wanted))
        self.left[on_server] = left[n:]
        return left[:n]

    def _disturbed(self, scene: Scene, uri: str, faults: list[str]) -> int:
        """How often the command was given until the sweep was through."""
        starts, next_at, ends = 1, time.monotonic() + 12, time.monotonic() + MOST_S
        head_gone = None
        while True:
            time.sleep(0.1)
            now = time.monotonic()
            if scene.driver.poll() is not None:
                if scene.driver.returncode == 0 or starts >= MOST_STARTS:
                    return starts
                if head_gone is not None:
                    scene.nodes.begin_again()
                    head_gone = None
                scene.driver, starts = self._driver(uri, scene.nodes), starts + 1
                next_at = now + 12
            elif now > ends or (head_gone is not None and now > head_gone + PATIENCE_S):
                self.found.append(f"a driver stood still after {scene.done[-1:]}")
                self.hands, ends = self.hands + 1, now + MOST_S
                scene.driver.kill()
            elif faults and head_gone is None and now > next_at and FAULTS[faults[0]](scene):
                scene.done.append(faults.pop(0))
                if scene.done[-1] == "head killed":
                    head_gone = now
                next_at = time.monotonic() + self.chance.uniform(1, 4)

    def _wrong(self, uri: str) -> list[str]:
        """What is wrong with a store's tables."""
        wrong = []
        try:
            comparison.assert_each_trial_once(uri)
            comparison.assert_same_results(uri, self.undisturbed)
        except AssertionError as error:
            wrong.append(f"not equal: {str(error)[:300]}")
        store = Store(uri)
        if damage := store.damage():
            wrong.append(damage)
        failed = connect(store).rows("SELECT model, error_message FROM failures")
        return wrong + [f"failed: {row}" for row in failed]


def main() -> int:
    """Runs, a line each; last a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=24)
    parser.add_argument("--faults", type=int, default=8, help="of a run")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ.update(s3_server.KEYS, PYTHONPATH=str(ROOT))
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    chaos, nodes = Chaos(folder, options.seed), Nodes()
    try:
        for number in range(options.runs):
            chaos.run(number, chaos.faults(number, options.faults), nodes)
    finally:
        nodes.end()
    for name, count in sorted(chaos.counts.items()):
        print(f"{name:24} {count}")
    found = {
        "runs": options.runs,
        "faults": chaos.counts.total(),
        "wrong": chaos.found,
        "hands": chaos.hands,
    }
    print(json.dumps(found))
    if not (chaos.found or chaos.hands):
        shutil.rmtree(folder)
    return int(bool(chaos.found or chaos.hands))


if __name__ == "__main__":
    sys.exit(main())
