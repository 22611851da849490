"""The demo: a Ray cluster of its own, the main job submitted to it, then trends and the report.

    python -m jobs.demo [SWEEP.toml]

Starts a Ray head with a dashboard on free ports, reached from this machine alone and with a token of
its own, submits jobs/sweep_zoo.py through `ray job submit`, and stops exactly the processes it started.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from zoo_eval.cli import main as zoo_eval
from zoo_eval.errors import BadInput
from zoo_eval.files.names import printable
from zoo_eval.runners import own_ray
from zoo_eval.sweep import toml

SWEEP = "sweeps/demo.toml"
START_TIMEOUT_S = 90
NOTE_OF_RAY = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+\s+(INFO|SUCC|WARNING)\s")
PORTS = (
    "--port",
    "--dashboard-port",
    "--ray-client-server-port",
    "--dashboard-agent-listen-port",
    "--dashboard-agent-grpc-port",
    "--runtime-env-agent-port",
    "--metrics-export-port",
)


def main(sweep: str = SWEEP) -> int:
    """Runs the sweep on a cluster of its own; the job's exit code."""
    try:
        with cluster() as environment:
            code = submit(sweep, environment)
    except BadInput as error:
        print(printable(f"demo: {error}"), file=sys.stderr)
        return 2
    if code == 0:
        code = show(sweep)
    return code


def free_ports(n: int) -> list[int]:
    """Ports that nothing listens on now.

    Raises:
        BadInput: the machine has none left.
    """
    try:
        with ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            return [int(one.getsockname()[1]) for one in sockets]
    except OSError as error:
        raise BadInput(f"no free port on 127.0.0.1 ({error}); close some programs") from error


@contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """A Ray head on this machine, for the block; yields the environment that reaches it.

    Raises:
        BadInput: it does not start.
    """
    folder = own_ray.private_folder()
    ports = free_ports(len(PORTS))
    dashboard = f"127.0.0.1:{ports[PORTS.index('--dashboard-port')]}"
    environment = _environment(folder)
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1"]
    command += ["--include-dashboard=true", "--min-worker-port=0", "--max-worker-port=0"]
    command += [f"{flag}={port}" for flag, port in zip(PORTS, ports, strict=True)]
    with (folder / "head.log").open("w") as log:
        head = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_for(head, dashboard, folder / "head.log")
        print(f"Ray dashboard: http://{dashboard} (token in {folder}/token)", flush=True)
        yield {**environment, "RAY_ADDRESS": f"http://{dashboard}"}
    finally:
        _stop(head)
        shutil.rmtree(folder, ignore_errors=True)


def _environment(folder: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        # The job's `python` is this one.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **own_ray.settings(folder),
        "RAY_TMPDIR": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        # The job's own lines are the progress; Ray's notes on packaging would drown them.
        "RAY_LOGGER_LEVEL": "warning",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        # Stopping need not wait for work: the job is over by then.
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        "PYTHONUNBUFFERED": "1",
    }


def _wait_for(head: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    host, port = address.split(":")
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and head.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.2)
    said = " ".join(log.read_text(errors="replace").split())[-300:]
    raise BadInput(f"Ray did not start ({said}); run `zoo-eval doctor`")


def _stop(head: "subprocess.Popen[bytes]") -> None:
    """Stops the head's own process group, and with it everything that it started."""
    for signal_number, patience_s in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        try:
            os.killpg(head.pid, signal_number)
            head.wait(patience_s)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def submit(sweep: str, environment: Mapping[str, str], folder: Path = Path()) -> int:
    """Submits the main job from a folder and streams its log; its exit code.

    Ray's notes on how it submits, some twenty lines, are shown where the job never said anything.
    """
    command = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--working-dir", "."]
    command += ["--", "python", "jobs/sweep_zoo.py", sweep]
    notes, has_spoken = [], False
    with subprocess.Popen(
        command, env=dict(environment), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace",
    ) as job:  # fmt: skip
        assert job.stdout is not None
        for line in job.stdout:
            if NOTE_OF_RAY.match(line):
                notes.append(line)
            else:
                has_spoken = True
                print(line, end="", flush=True)
    if job.returncode and not has_spoken:
        print("".join(notes), end="", flush=True)
    return job.returncode


def show(sweep: str) -> int:
    """Prints the leaderboard and the trends, and writes the report beside the tables."""
    store = toml.opened(Path(sweep))[1]["store"]["uri"]
    leaderboard = (
        "SELECT model, top1, neural_scores_ceiled AS ceiled_neural_score, tolerance, alignment, "
        "null_alignment, gate FROM leaderboard"
    )
    steps = (
        ["sql", leaderboard, "--store", store],
        ["trends", "--store", store],
        ["report", "--store", store, "--out", f"{store}/report.html"],
    )
    for step in steps:
        print(flush=True)
        if code := zoo_eval(step):
            return code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
