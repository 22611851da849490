"""End to end: a Ray head of our own, the main job through `ray job submit`, kill -9, resume."""

import os
import re
import shutil
import threading
import time
from pathlib import Path

import pytest

from jobs import demo
from tests.runners import doors
from tests.runners.comparison import assert_each_trial_once, assert_same_results
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
    store = sweep_file.read(tiny_sweep, tiny_sweep.parent).store.uri.address
    (folder / "tiny.toml").write_text(tiny_sweep.read_text().replace(store, "results/tiny"))
    return folder


def kill_the_driver_after_a_commit(store: Path, killed: list[int], found: list[str]) -> None:
    """Ends the job's driver while a model is at work, once it was looked what all listen on."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not killed:
        time.sleep(0.05)
        if not list(store.glob("trials/*.parquet")):
            continue
        for process in doors.family(os.getpid()):
            if doors.command(process) == "python jobs/sweep_zoo.py tiny.toml":
                found += doors.open_to_others(os.getpid())
                process.kill()
                killed.append(process.pid)


@pytest.fixture(scope="module")
def cluster():
    """The demo's Ray, for the tests of this file; its token is gone when it ends."""
    with demo.cluster() as environment:
        yield environment
    assert not Path(environment["RAY_AUTH_TOKEN_PATH"]).exists()


@pytest.mark.ray
def test_the_demos_ray_is_closed_to_others(cluster):
    token = Path(cluster["RAY_AUTH_TOKEN_PATH"])
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700
    assert unauthorised(cluster["RAY_ADDRESS"])
    assert doors.open_to_others(os.getpid()) == []
    assert doors.open_to_strangers(os.getpid()) == []
    commands = [doors.command(one) for one in doors.family(os.getpid())]
    assert not [command for command in commands if token.read_text() in command]
    address = re.search(r"--gcs-address=(\S+)", " ".join(commands))[1]
    assert not doors.joined(address, RAY_AUTH_MODE="disabled")
    assert doors.joined(address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token))


@pytest.mark.ray
def test_a_job_killed_half_way_resumes_to_the_same_tables(cluster, project, finished_store):
    store = project / "results" / "tiny"
    killed: list[int] = []
    open_doors: list[str] = []
    watched = (store, killed, open_doors)
    killer = threading.Thread(target=kill_the_driver_after_a_commit, args=watched)
    killer.start()
    assert demo.submit("tiny.toml", cluster, project) != 0
    killer.join()
    assert killed
    assert open_doors == []
    n_before = Store(str(store)).dataset("trials").count_rows()
    assert demo.submit("tiny.toml", cluster, project) == 0
    n_after = Store(str(store)).dataset("trials").count_rows()
    assert 0 < n_before < n_after
    assert demo.submit("tiny.toml", cluster, project) == 0
    assert Store(str(store)).dataset("trials").count_rows() == n_after
    assert_each_trial_once(store)
    assert_same_results(store, finished_store)


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
    sweep = sweep_file.read(ROOT / demo.SWEEP, ROOT)
    local = sweep.models.local
    graded = [m for m in local if any(m.edits.model_dump().values())]
    untrained = [m for m in local if m.weights == "untrained"]
    assert len(graded) >= 8
    assert len(untrained) >= 3
    assert sweep.store.uri.text == "results/demo"
    assert {e.kind for e in sweep.evaluations} == {
        "accuracy", "neural_fit", "features", "minimal_attack", "human_alignment",
    }  # fmt: skip
