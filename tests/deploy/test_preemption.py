"""The watcher hears each cloud's notice, drains once, and outlives a service or a Ray that fails."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from jobs import demo, preemption
from jobs.preemption import Aws, Gcp, Notice
from tests.deploy.metadata_service import ACTION, Service, served
from tests.docs.pages import ROOT
from zoo_eval.runners import own_ray


@pytest.fixture
def service() -> Iterator[Service]:
    with served() as made:
        yield made


def spot_in(seconds: float) -> str:
    when = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f'{{"action": "terminate", "time": "{when}"}}'


def test_amazon_has_no_notice_then_one_with_its_time(service):
    cloud = Aws(service.address)
    assert cloud.notice() is None
    service.action = spot_in(120)
    notice = cloud.notice()
    assert notice is not None
    assert notice.reason == "spot: terminate"
    assert 100 <= notice.seconds_left <= 120
    # One session serves all questions.
    assert service.asked == ["PUT /latest/api/token", f"GET {ACTION}", f"GET {ACTION}"]


def test_amazons_notice_of_a_time_gone_by_leaves_no_second(service):
    service.action = spot_in(-30)
    assert Aws(service.address).notice() == Notice("spot: terminate", 0)


def test_amazons_session_is_renewed_when_it_ends(service):
    cloud = Aws(service.address)
    assert cloud.notice() is None
    service.valid_token = "another"
    service.action = spot_in(120)
    assert preemption.watch(cloud, lambda notice: True, 0).reason == "spot: terminate"
    assert service.asked.count("PUT /latest/api/token") == 2


@pytest.mark.parametrize(("key", "said", "notice"), [
    ("preempted", "TRUE", Notice("spot: preempted", 30)),
    ("preempted", "FALSE", None),
    ("maintenance", "TERMINATE_ON_HOST_MAINTENANCE", Notice("host maintenance", 60)),
    ("maintenance", "MIGRATE_ON_HOST_MAINTENANCE", None),
])  # fmt: skip
def test_googles_keys(service, key, said, notice):
    setattr(service, key, said)
    assert Gcp(service.address).notice() == notice


@pytest.mark.parametrize("said", ["{", "[]", '{"action": "stop"}', '{"action": 1, "time": "soon"}'])
def test_what_cannot_be_read_is_asked_again(service, said, capsys):
    service.action = said
    found = []

    class Mended(Aws):
        def notice(self) -> Notice | None:
            found.append(1)
            if len(found) == 3:
                service.action = spot_in(60)
            return super().notice()

    assert preemption.watch(Mended(service.address), lambda notice: True, 0).seconds_left <= 60
    assert len(found) == 3
    # Said once, however often it fails.
    assert capsys.readouterr().out.count("the metadata service says nothing") == 1


def test_a_service_that_fails_is_asked_again(service):
    service.failures = [500, 503, 404]
    service.preempted = "TRUE"
    assert (
        preemption.watch(Gcp(service.address), lambda notice: True, 0).reason == "spot: preempted"
    )
    assert len(service.asked) == 4


def test_a_drain_that_ray_refuses_is_tried_again(service):
    service.preempted = "TRUE"
    answers = [False, False, True]
    preemption.watch(Gcp(service.address), lambda notice: answers.pop(0), 0)
    assert answers == []


@pytest.mark.parametrize(("file", "cloud"), [("cluster.yaml", "aws"), ("cluster.gcp.yaml", "gcp")])
def test_every_rented_worker_starts_it_after_ray(file, cloud):
    commands = yaml.safe_load((ROOT / file).read_text())["worker_start_ray_commands"]
    (start,) = [n for n, one in enumerate(commands) if one.startswith("ray start")]
    (watch,) = [n for n, one in enumerate(commands) if f"python -m jobs.preemption {cloud}" in one]
    assert start < watch
    # What the shell makes of it, with a Python that only says how it was called.
    assert subprocess.run(["bash", "-n", "-c", commands[watch]], check=False).returncode == 0


def test_the_start_command_leaves_one_watcher_and_returns(tmp_path):
    """The command as it stands, run twice: one watcher, which outlives the shell that started it."""
    (command,) = [
        one
        for one in yaml.safe_load((ROOT / "cluster.yaml").read_text())["worker_start_ray_commands"]
        if "jobs.preemption" in one
    ]
    (tmp_path / "app").mkdir()
    called = tmp_path / "called"
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$$ $*" >> {called}\nexec sleep 30\n')
    python.chmod(0o700)
    here = {**os.environ, "HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    moved = command.replace("cd /app", f"cd {tmp_path}/app")
    subprocess.run(["bash", "-c", moved], env=here, check=True, timeout=20)
    while not called.exists() or not called.read_text():
        pass
    subprocess.run(["bash", "-c", f"{moved}; sleep 0.5"], env=here, check=True, timeout=20)
    (line,) = called.read_text().splitlines()
    pid, _, words = line.partition(" ")
    assert words == "-m jobs.preemption aws"
    os.kill(int(pid), 9)


DRIVER = """
import ray, time
from ray._private.state import state

@ray.remote(num_cpus=1)
class Slot:
    def ready(self):
        return True

ray.init(log_to_driver=False)
slot = Slot.remote()  # a node without work ends as soon as it drains
ray.get(slot.ready.remote())
print("ready", flush=True)
while not state.get_draining_nodes():
    time.sleep(0.1)
print(len(state.get_draining_nodes()), ray.get(slot.ready.remote()), flush=True)
"""


@contextmanager
def a_head() -> Iterator[dict[str, str]]:
    """A Ray of one node, for the block; yields the environment that reaches it and no other."""
    folder = own_ray.private_folder()
    (port,) = demo.free_ports(1)
    inside = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    inside |= {**own_ray.settings(folder), "RAY_TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    inside |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += ["--node-ip-address=127.0.0.1", f"--port={port}", "--include-dashboard=false"]
    command += [
        "--dashboard-agent-listen-port=0",
        "--num-cpus=1",
        "--object-store-memory=100000000",
    ]
    head = subprocess.Popen(command, env=inside, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        demo._wait_for(head, f"127.0.0.1:{port}", Path(os.devnull))
        yield {**inside, "RAY_ADDRESS": f"127.0.0.1:{port}"}
    finally:
        demo._stop(head)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.ray
def test_a_real_ray_drains_its_node_and_leaves_its_actors_alone(service):
    service.preempted = "TRUE"
    watcher = [sys.executable, "-m", "jobs.preemption", "gcp", "--interval-s", "0.1"]
    with a_head() as inside:
        driver = subprocess.Popen(
            [sys.executable, "-c", DRIVER], env=inside, stdout=subprocess.PIPE, text=True
        )
        try:
            assert driver.stdout is not None
            assert driver.stdout.readline() == "ready\n"
            done = subprocess.run(
                [*watcher, "--address", service.address], env=inside, cwd=ROOT,
                capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            assert driver.communicate(timeout=120)[0] == "1 True\n"
        finally:
            driver.kill()
            driver.wait()
