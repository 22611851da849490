"""What a simulated slot takes besides its networks' time, measured on this machine's processor."""

import hashlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from benchmarks.measurement import timed
from benchmarks.scale_cluster import Times
from tests.planted_rows import commit_layers
from zoo_eval.catalog import ModelCard
from zoo_eval.models.open_model import open_model
from zoo_eval.store import Store
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep.cards import roster
from zoo_eval.weights import transfers, urls

SWEEP = Path("sweeps/demo.toml")
OPENED = "local/lite?"
# A hub is no nearer than this line: 1 Gbit/s.
LINE_BYTES_PER_S = 125e6
START = "from zoo_eval.runners.worker import Slot"


def measured(n_bytes: int = 2**28, n_commits: int = 20) -> Times:
    """Each once, or the median of a few, in this process and one that it starts."""
    with tempfile.TemporaryDirectory() as folder:
        opening = _opening()
        reading, fetching = _of_bytes(Path(folder), n_bytes)
        return Times(
            start_s=_once(lambda: subprocess.run([sys.executable, "-c", START], check=True)),
            open_s=opening,
            open_bytes_per_s=n_bytes / reading,
            fetch_bytes_per_s=min(n_bytes / fetching, LINE_BYTES_PER_S),
            commit_s=_commit(Path(folder, "store"), n_commits),
        )


def processor() -> str:
    """The name of this machine's processor, and how many of its cores there are."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(named, platform.machine())}, {os.cpu_count()} cores"


def _once(work: Callable[[], Any]) -> float:
    return timed(work, n_runs=1, warm=False)[0]


def _opening() -> float:
    """Small trained models, each opened for the first time."""
    cards: list[ModelCard] = list(
        roster(sweep_file.read(SWEEP, Path.cwd()).models).narrowed(OPENED).cards
    )
    cpu = torch.device("cpu")
    return statistics.median(_once(partial(open_model, card, cpu)) for card in cards)


def _of_bytes(folder: Path, n_bytes: int) -> tuple[float, float]:
    """Seconds to read weights and check their digest, and to download them over the loopback."""
    file = folder / "weights.pt"
    torch.save({"weights": torch.rand(n_bytes // 4)}, file)

    def read() -> None:
        transfers.sha256(file)
        torch.load(file, weights_only=True)["weights"].clone()

    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    with (
        _served(folder) as address,
        mock.patch.dict(os.environ, {urls.VARIABLE: str(folder / "cache")}),
    ):
        fetching = _once(lambda: urls.download(f"{address}/weights.pt", sha256))
    return _once(read), fetching


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _commit(folder: Path, n_commits: int) -> float:
    """One commit of 50 rows and as many trials, in a folder."""
    store = Store(str(folder), create=True)
    layers = [str(number) for number in range(50)]
    numbers = iter(range(n_commits + 1))
    return timed(lambda: commit_layers(store, f"m{next(numbers)}", layers), n_runs=n_commits)[0]
