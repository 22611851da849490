"""Nobody else gets into a Ray that a sweep starts: not from outside, and not without its token."""

import os
import re
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.runners import doors
from zoo_eval.errors import BadInput
from zoo_eval.runners import own_ray
from zoo_eval.runners.on_ray import session


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_token_is_new_each_time_and_for_its_owner_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    before = os.umask(0)
    try:
        tokens = [
            Path(own_ray.settings(own_ray.private_folder())["RAY_AUTH_TOKEN_PATH"]) for _ in "ab"
        ]
    finally:
        os.umask(before)
    for token in tokens:
        assert permissions(token) == 0o600
        assert permissions(token.parent) == 0o700
        assert token.parent.parent == tmp_path
        assert re.fullmatch("[0-9a-f]{64}", token.read_text())
    assert tokens[0].read_text() != tokens[1].read_text()


@contextmanager
def held_sweep(file: Path, home: Path):
    """The command as a user types it, held while a model is at work; its process."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    bare |= {"HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-m", "zoo_eval", "sweep", str(file)]
    with (home / "said").open("w") as said, subprocess.Popen(
        command, env=bare, stdout=said, stderr=subprocess.STDOUT
    ) as sweep:  # fmt: skip
        slots = working_slots(sweep)
        for slot in slots:
            slot.suspend()
        try:
            yield sweep
        finally:
            for slot in slots:
                slot.resume()
        assert sweep.wait() == 0, (home / "said").read_text()


def working_slots(sweep: subprocess.Popen) -> list[psutil.Process]:
    """Our slots, once one of them is at work."""
    while sweep.poll() is None:
        titles = {one: doors.command(one) for one in doors.family(sweep.pid)}
        slots = [one for one, title in titles.items() if title.startswith("ray::Slot")]
        if any(".run" in titles[one] for one in slots):
            return slots
        time.sleep(0.05)
    raise AssertionError("the sweep ended before a model was at work")


@pytest.mark.ray
def test_a_running_sweep_is_closed_to_others(tiny_sweep, tmp_path):
    text = tiny_sweep.read_text()
    tiny_sweep.write_text(text[: text.index('[[evaluations]]\nkind = "neural_fit"')])
    with held_sweep(tiny_sweep, tmp_path) as sweep:
        assert doors.open_to_others(sweep.pid) == []
        assert doors.open_to_strangers(sweep.pid) == []
        family = doors.family(sweep.pid)
        raylet = next(one for one in family if one.name() == "raylet")
        token = Path(raylet.environ()["RAY_AUTH_TOKEN_PATH"])
        assert permissions(token) == 0o600
        assert permissions(token.parent) == 0o700
        assert not [one for one in family if token.read_text() in doors.command(one)]
        address = re.search(r"--gcs-address=(\S+)", doors.command(raylet))[1]
        # Whoever has the token gets in: it is not for another reason that others do not.
        tokens = [{}, {"RAY_AUTH_TOKEN": "0" * 64}, {"RAY_AUTH_TOKEN_PATH": str(token)}]
        modes = ["disabled", "token", "token"]
        with ThreadPoolExecutor() as threads:
            attempts = [
                threads.submit(doors.joined, address, RAY_AUTH_MODE=mode, **one)
                for mode, one in zip(modes, tokens, strict=True)
            ]
        assert [attempt.result() for attempt in attempts] == [False, False, True]
    # Nothing is left behind, and Ray's own place for a token was left alone.
    assert not token.parent.exists()
    assert not (tmp_path / ".ray").exists()


@pytest.fixture
def nothing_starts(monkeypatch):
    """What `ray.init` is told instead of starting anything; the environment is as before afterwards."""
    told = {}
    monkeypatch.setattr(session.ray, "init", lambda **options: told.update(options))
    # Another test may have left one to this process.
    monkeypatch.setattr(session.ray, "is_initialized", lambda: False)
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, os.environ[name])
    return told


def test_a_user_who_switched_tokens_off_keeps_them_off(nothing_starts, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setattr(session, "_addresses", lambda: {"127.0.0.1"})
    session.start()
    assert os.environ["RAY_AUTH_MODE"] == "disabled"
    assert nothing_starts["address"] == "local"


def test_a_ray_that_others_could_reach_is_ended_with_a_line(nothing_starts, monkeypatch):
    monkeypatch.setattr(session.ray, "shutdown", lambda: None)
    monkeypatch.setattr(session, "_addresses", lambda: {"192.0.2.7"})
    with pytest.raises(BadInput, match=r"Ray listens on 192.0.2.7, which others .* --runner local"):
        session.connect()


def test_a_cluster_of_the_users_is_joined_as_it_is(nothing_starts, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "203.0.113.5:6379")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    monkeypatch.setattr(session, "answers", lambda host, port, timeout_s: True)
    session.connect()
    assert nothing_starts["address"] == "203.0.113.5:6379"
    assert os.environ["RAY_AUTH_TOKEN"] == "mine"


SLEEPS = "import sys, time; open(sys.argv[1], 'a'); time.sleep(600)"


def sleeper(folder: Path) -> subprocess.Popen:
    """A process that names the folder, as Ray's own do."""
    return subprocess.Popen([sys.executable, "-c", SLEEPS, str(folder / "log")])


def test_what_is_left_of_a_ray_ends_with_its_driver_however_that_ends(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    code = (
        "import os, signal, sys\nfrom zoo_eval.runners import own_ray\n"
        "folder = own_ray.private_folder()\nown_ray.guard(folder)\n"
        "print(folder, flush=True)\nsys.stdin.read()"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    folder = Path(driver.stdout.readline().strip())
    left = sleeper(folder)
    assert folder.exists()
    driver.kill()
    driver.communicate()
    assert left.wait(timeout=60) == -9
    deadline = time.monotonic() + 60
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()


def test_what_a_machine_that_was_switched_off_left_goes_with_the_next(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    code = "from zoo_eval.runners import own_ray; print(own_ray.private_folder())"
    command = [sys.executable, "-c", code]
    gone = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    mine, strange = own_ray.private_folder(), tmp_path / "zoo-no-owner"
    strange.mkdir()
    (strange / own_ray.OWNER).write_text("{}")
    left, others = sleeper(gone), sleeper(mine)
    try:
        own_ray.end_abandoned()
        # Its end was waited for already, by whoever ended it.
        left.wait(timeout=60)
        assert others.poll() is None
    finally:
        others.kill()
        others.wait()
    assert not gone.exists()
    assert mine.exists()
    assert strange.exists()


def test_a_ray_that_does_not_start_in_time_is_said_in_a_line(nothing_starts, monkeypatch):
    def late(**options):
        raise Exception("The current node timed out during startup.\nLook at the logs.")

    monkeypatch.setattr(session.ray, "init", late)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(BadInput, match=r"timed out during startup.* --runner local") as caught:
        session.connect()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1"])
def test_an_address_where_nothing_answers_is_said_at_once(nothing_starts, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(
        BadInput, match=rf"nothing answers at {re.escape(address)}.* --runner local"
    ):
        session.connect()
    assert nothing_starts == {}


@pytest.mark.parametrize("address", ["auto", "ray://127.0.0.1:10001"])
def test_what_is_no_host_and_port_is_left_to_ray(nothing_starts, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    session.connect()
    assert nothing_starts["address"] == address
