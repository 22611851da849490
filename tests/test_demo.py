"""End to end: a Ray head of our own, the main job through `ray job submit`, kill -9, resume."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from jobs import demo
from tests.runners.comparison import assert_each_trial_once, assert_same_results
from zoo_eval.commands import sweep
from zoo_eval.commands.sweep import SweepOptions
from zoo_eval.errors import BadInput
from zoo_eval.store import Store
from zoo_eval.sweep import file as sweep_file

ROOT = Path(demo.__file__).parent.parent


@pytest.fixture
def project(tmp_path, tiny_sweep) -> Path:
    """A folder like a user's: the job, a sweep file, and a store with a relative path."""
    folder = tmp_path / "project"
    (folder / "jobs").mkdir(parents=True)
    shutil.copy(ROOT / "jobs" / "sweep_zoo.py", folder / "jobs")
    store = sweep_file.read(tiny_sweep).store.uri
    (folder / "tiny.toml").write_text(tiny_sweep.read_text().replace(store, "results/tiny"))
    return folder


def kill_the_driver_after_a_commit(store: Path, killed: list[int]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not killed:
        time.sleep(0.05)
        if not list(store.glob("trials/*.parquet")):
            continue
        for process in psutil.process_iter(["pid", "cmdline"]):
            command = process.info["cmdline"] or []
            if command[:1] == ["python"] and command[-2:] == ["jobs/sweep_zoo.py", "tiny.toml"]:
                os.kill(process.info["pid"], signal.SIGKILL)
                killed.append(process.info["pid"])


@pytest.mark.ray
def test_a_job_killed_half_way_resumes_to_the_same_tables(project, tmp_path):
    import torch

    store = project / "results" / "tiny"
    killed: list[int] = []
    with demo.cluster() as environment:
        killer = threading.Thread(target=kill_the_driver_after_a_commit, args=(store, killed))
        killer.start()
        assert demo.submit("tiny.toml", environment, project) != 0
        killer.join()
        assert killed
        n_before = Store(str(store)).dataset("trials").count_rows()
        assert demo.submit("tiny.toml", environment, project) == 0
        n_after = Store(str(store)).dataset("trials").count_rows()
        assert 0 < n_before < n_after
        assert demo.submit("tiny.toml", environment, project) == 0
        assert Store(str(store)).dataset("trials").count_rows() == n_after
        token = Path(environment["RAY_AUTH_TOKEN_PATH"])
        assert token.stat().st_mode & 0o777 == 0o600
        assert unauthorised(environment["RAY_ADDRESS"])
    assert not token.exists()
    assert_each_trial_once(store)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    request = SweepOptions(
        project / "tiny.toml", tmp_path, store=str(tmp_path / "whole"), runner="local"
    )
    assert sweep.run(request, lambda line: None) == 0
    torch.set_num_threads(threads)
    assert_same_results(store, tmp_path / "whole")


def unauthorised(address: str) -> bool:
    import urllib.error
    import urllib.request

    try:
        urllib.request.urlopen(f"{address}/api/jobs/", timeout=10)
    except urllib.error.HTTPError as error:
        return error.code == 401
    return False


def test_no_free_port_is_one_clear_line(monkeypatch):
    def refuse(self, address):
        raise OSError("Address already in use")

    monkeypatch.setattr("socket.socket.bind", refuse)
    with pytest.raises(BadInput, match=r"no free port .*; close some programs"):
        demo.free_ports(2)


def test_free_ports_are_different():
    assert len(set(demo.free_ports(8))) == 8


def test_the_demo_sweep_is_what_the_readme_says():
    sweep = sweep_file.read(ROOT / demo.SWEEP)
    local = sweep.models.local
    graded = [m for m in local if any(m.edits.model_dump().values())]
    untrained = [m for m in local if m.weights == "untrained"]
    assert len(graded) >= 8
    assert len(untrained) >= 3
    assert sweep.store.uri == "results/demo"
    assert {e.kind for e in sweep.evaluations} == {
        "accuracy", "neural_fit", "features", "minimal_attack", "human_alignment",
    }  # fmt: skip
