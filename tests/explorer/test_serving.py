"""The command: one line for what is wrong, one address to open, and an end that leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

import zoo_eval
from tests.explorer.planted import NAMES, store_at
from zoo_eval import cli
from zoo_eval.errors import BadInput
from zoo_eval.explorer import serving
from zoo_eval.explorer.desks import Bounds

TOKEN = "planted-token-of-a-test"


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("served") / "store"
    store_at(folder)
    return str(folder)


@contextmanager
def running(
    store: str, *options: str, **environment: str
) -> Iterator[tuple[subprocess.Popen, str]]:
    """The command in a process of its own, and the address that it printed."""
    command = [sys.executable, "-m", "zoo_eval", "serve", "--store", store, "--port", "0", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip
    try:
        (url,) = re.findall(
            r"^open (\S+)  \(Ctrl-C ends it\)$", process.stdout.readline().rstrip("\n")
        )
        yield process, url
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_end(store, by):
    with running(store) as (process, url):
        answer = httpx.get(f"{url}leaderboard.json", trust_env=False, timeout=300)
        assert [row["model"] for row in answer.json()] == NAMES
        assert "server" not in answer.headers
        children = psutil.Process(process.pid).children()
        assert children
        process.send_signal(by)
        assert process.wait(300) == 0
        assert process.stdout.read() == "ended; the store is as it was\n"
        assert psutil.wait_procs(children, timeout=300)[1] == []


def test_its_processes_end_where_it_is_killed(store):
    with running(store) as (process, url):
        assert httpx.get(f"{url}sql", trust_env=False, timeout=300).status_code == 200
        children = psutil.Process(process.pid).children()
        assert children
        process.kill()
        assert psutil.wait_procs(children, timeout=300)[1] == []


def test_elsewhere_the_printed_address_has_the_token(store):
    with running(store, "--host", "0.0.0.0") as (process, url):
        assert "travels unencrypted" in process.stdout.readline()
        name, port, token = re.fullmatch(r"http://(.+):(\d+)/\?token=([\w-]{40,})", url).groups()
        assert name == socket.gethostname()
        here = f"http://127.0.0.1:{port}/"
        with httpx.Client(trust_env=False, timeout=300) as client:
            assert client.get(here).status_code == 401
            assert (
                client.get(here, params={"token": token}, follow_redirects=True).status_code == 200
            )
            assert client.get(f"{here}leaderboard.json").status_code == 200


def test_the_environments_token_is_needed_here_too(store):
    with running(store, ZOO_EVAL_SERVE_TOKEN=TOKEN) as (_, url):
        place, _, token = url.partition("?token=")
        assert token == TOKEN
        assert httpx.get(f"{place}sql", trust_env=False, timeout=300).status_code == 401
        headers = {"authorization": f"Bearer {TOKEN}"}
        assert (
            httpx.get(f"{place}sql", headers=headers, trust_env=False, timeout=300).status_code
            == 200
        )


def said(capfd, *options: str) -> str:
    """What the command says where it cannot serve."""
    assert cli.main(["serve", *options]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def test_a_port_that_is_taken_is_said(store, capfd):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert f"port {port} is taken; choose another --port" in said(
            capfd, "--store", store, "--port", port
        )


@pytest.mark.parametrize(("options", "what"), [
    (("--port", "70000"), "is no port"),
    (("--port", "-1"), "is no port"),
    (("--host", "no such host"), "--host no such host"),
    (("--host", "192.0.2.1"), "192.0.2.1"),
    (("--host", "x" * 70), "no name of a machine"),
    (("--seconds", "long"), "--seconds"),
    (("--memory", "1 byte"), "--memory"),
])  # fmt: skip
def test_a_wrong_option_is_said(store, capfd, options, what):
    assert what in said(capfd, "--store", store, *options)


def test_no_store_is_said(tmp_path, capfd):
    assert "no store at" in said(capfd, "--store", str(tmp_path / "none"))


def test_without_a_port_it_takes_its_usual_one_or_any(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setattr(serving, "PORT", other.getsockname()[1])
        with serving.bound("127.0.0.1", None) as found:
            assert found.getsockname()[1] not in (0, serving.PORT)
        with pytest.raises(BadInput, match="taken"):
            serving.bound("127.0.0.1", serving.PORT)
    with serving.bound("127.0.0.1", None) as found:
        assert found.getsockname()[1] == serving.PORT


def test_from_python_it_runs_beside_the_caller(store):
    one = zoo_eval.open(store).serve(port=0)
    try:
        assert [
            row["model"]
            for row in httpx.get(f"{one.url}leaderboard.json", trust_env=False, timeout=300).json()
        ] == NAMES
        assert one.url in repr(one)
    finally:
        one.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(one.url, trust_env=False, timeout=300)


def test_the_page_says_what_the_limits_are():
    page = " ".join((Path(__file__).parents[2] / "docs" / "explorer.md").read_text().split())
    usual = Bounds.usual()
    for said in (
        f"{usual.limits.seconds:g} s",
        "512 MiB",
        f"{usual.most_rows:,} sent",
        "64 MiB",
        "500 shown",
    ):
        assert said in page
    assert (usual.limits.memory_bytes, usual.most_bytes) == (512 * 2**20, 64 * 2**20)
