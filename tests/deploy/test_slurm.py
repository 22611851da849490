"""The Slurm script, run with planted `srun`, `scontrol`, `ray` and `zoo-eval`: nothing of it is skipped.

What that does not show: Slurm itself, and a real Ray on two nodes.
"""

import os
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.demo import free_ports
from tests.docs.pages import ROOT

SCRIPT = ROOT / "docs" / "slurm.sbatch"
TEXT = SCRIPT.read_text()
PLANTED = {
    # Two tasks, as of two nodes; a signal is passed on to them, as srun does.
    "srun": """
[ "$1" = --kill-on-bad-exit=1 ] && shift
for n in 1 0; do SLURM_NODEID=$n "$@" & tasks+=($!); done
trap 'kill -TERM "${tasks[@]}"' TERM
code=0
for one in "${tasks[@]}" "${tasks[@]}"; do wait "$one" || code=$?; done
exit "$code"
""",
    "scontrol": """
echo "$*" >> "$LOG/scontrol"
[ "$1" = show ] && echo localhost
true
""",
    # A head listens until it is told to go; a worker stays as long as its head.
    "ray": """
echo "$*" >> "$LOG/ray"
stat --format=%a "$RAY_TMPDIR" "$HF_HOME" >> "$LOG/modes"
case "$*" in
*--head*) test ! -e "$LOG/no-head" || { echo "planted: no head"; exit 3; }
    exec python3 -c 'import os, socket, time
s = socket.create_server(("127.0.0.1", int(os.environ["port"])))
time.sleep(60)' ;;
*) touch "$LOG/joined"; while (exec 3<> "/dev/tcp/$head/$port") 2> /dev/null; do sleep 0.1; done; exit 1 ;;
esac
""",
    "zoo-eval": """
echo "$RAY_ADDRESS $RAY_AUTH_MODE $*" >> "$LOG/driver"
trap 'echo handed back >> "$LOG/driver"; exit 4' TERM
touch "$LOG/running"
until test -e "$LOG/joined"; do sleep 0.1; done
test ! -e "$LOG/long" || { sleep 30 & wait; }
exit "$(cat "$LOG/code" 2> /dev/null || echo 0)"
""",
    "python": 'exec python3 "$@"',
}


@dataclass
class Lab:
    """A folder with the planted commands, and a job submitted in it."""

    folder: Path
    job: "subprocess.Popen[str] | None" = None

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def said(self, name: str) -> list[str]:
        file = self.log / name
        return file.read_text().splitlines() if file.exists() else []

    def submit(self) -> "subprocess.Popen[str]":
        port = free_ports(1)[0]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "LOG": str(self.log),
            "SLURM_TMPDIR": str(self.folder / "disk"),
            "SLURM_JOB_NODELIST": "node[1-2]",
            # The port is made from the job's number.
            "SLURM_JOB_ID": str(port - 20000 if 20000 <= port < 40000 else 7),
            "SLURM_CPUS_PER_TASK": "2",
        }
        self.job = subprocess.Popen(
            ["bash", SCRIPT, "/shared/sweep.toml", "/shared/results"], cwd=self.folder,
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        return self.job

    def until(self, name: str) -> None:
        while not (self.log / name).exists():
            assert self.job is not None
            assert self.job.poll() is None
            time.sleep(0.05)


@pytest.fixture
def lab(tmp_path) -> Iterator[Lab]:
    for folder in ("log", "home", "disk", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    commands = tmp_path / ".venv" / "bin"
    for name, body in PLANTED.items():
        file = commands / name
        file.write_text(f"#!/bin/bash\n{body}")
        file.chmod(0o700)
    (commands / "activate").write_text(f'PATH="{commands}:$PATH"\n')
    made = Lab(tmp_path)
    yield made
    if made.job is not None and made.job.poll() is None:
        os.killpg(made.job.pid, signal.SIGKILL)


def test_it_is_valid_shell():
    assert subprocess.run(["bash", "-n", SCRIPT], check=False).returncode == 0


def test_the_sweep_runs_on_the_head_with_all_nodes_and_its_code_is_the_jobs(lab):
    (lab.log / "code").write_text("5")
    job = lab.submit()
    assert job.wait(60) == 5, job.stdout and job.stdout.read()
    (driver,) = lab.said("driver")
    address, *rest = driver.split()
    assert rest == ["token", "sweep", "/shared/sweep.toml", "--store", "/shared/results"]
    head, worker = sorted(lab.said("ray"), key=lambda line: "--head" not in line)
    assert f"--port={address.split(':')[1]} " in head
    assert "--include-dashboard=false" in head
    assert f"--address={address} " in worker
    for line in (head, worker):
        assert "--block" in line
        assert "--num-cpus=2" in line
    assert not [line for line in lab.said("scontrol") if "requeue" in line]


def test_nothing_of_it_is_for_other_users_and_no_folder_stays(lab):
    assert lab.submit().wait(60) == 0
    assert set(lab.said("modes")) == {"700"}
    token = lab.folder / "home" / ".zoo_eval_token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text()) == 64
    # The weights' cache alone is kept for the next job.
    assert [one.name for one in (lab.folder / "disk").iterdir()] == [f"zoo-weights-{os.getuid()}"]


def hands_back(lab, number: signal.Signals) -> None:
    """A job at work is sent a signal, and its sweep hands back what it was at."""
    (lab.log / "long").touch()
    job = lab.submit()
    lab.until("running")
    lab.until("joined")
    time.sleep(0.3)
    os.kill(job.pid, number)
    job.wait(60)
    assert lab.said("driver")[-1] == "handed back"


def test_before_its_limit_the_sweep_hands_back_and_the_job_queues_itself_again(lab):
    hands_back(lab, signal.SIGUSR1)
    number = [line for line in lab.said("scontrol") if line.startswith("requeue ")]
    assert len(number) == 1


def test_cancelled_it_hands_back_and_stays_away(lab):
    hands_back(lab, signal.SIGTERM)
    assert not [line for line in lab.said("scontrol") if "requeue" in line]


def test_a_head_that_does_not_start_is_an_error_with_its_last_words(lab):
    (lab.log / "no-head").touch()
    job = lab.submit()
    # Its worker waits for a head that is not coming; srun would end it.
    assert job.stdout is not None
    said = ""
    while "planted: no head" not in said:
        said = job.stdout.readline()
        assert said
    assert lab.said("driver") == []


@pytest.mark.parametrize("wanted", [
    "--signal=B:USR1@300", "--requeue", "--open-mode=append", "--ntasks-per-node=1",
])  # fmt: skip
def test_what_slurm_is_asked_for(wanted):
    asked = [line for line in TEXT.splitlines() if line.startswith("#SBATCH")]
    assert f"#SBATCH {wanted}" in asked
    # Slurm reads them up to the first command.
    assert TEXT.index(f"#SBATCH {wanted}") < TEXT.index("\nset -euo")
