"""A built wheel, in an environment that knows nothing of the checkout, runs a sweep."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.deploy.tried import SWEEP
from tests.docs.pages import ROOT

# No other file that is not Python is read at run time.
KINDS = {".sql", ".css", ".js", ".csv", ".typed"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from the tracked files alone, as from a fresh clone; nothing is fetched."""
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "zoo_eval", "pyproject.toml", "README.md", "LICENSE"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    build = (
        "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    )
    subprocess.run(
        [sys.executable, "-c", build, "dist"], cwd=source, check=True, stdout=subprocess.DEVNULL
    )
    (made,) = (source / "dist").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Path:
    """A virtual environment with the wheel; what it depends on is seen by a path, not installed."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # What an installer makes of `project.scripts`.
    script = folder / "bin" / "zoo-eval"
    script.write_text(
        f"#!{folder}/bin/python\nimport sys\nfrom zoo_eval.cli import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    return folder


def ran(environment: Path, folder: Path, *words: str) -> str:
    """What a command prints, with the environment's own programs alone to be found: no git either."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "RAY_", "GIT_"))}
    bins = environment / "bin"
    done = subprocess.run(
        [bins / words[0], *words[1:]], cwd=folder, capture_output=True, text=True, check=False,
        env={**kept, "PATH": str(bins), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_built_of_every_tracked_file_of_the_package(wheel):
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "zoo_eval"], capture_output=True, text=True, check=True
    ).stdout.split()
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith("zoo_eval/")}
        (entry_points,) = [n for n in archive.namelist() if n.endswith("/entry_points.txt")]
        assert "zoo-eval = zoo_eval.cli:main" in archive.read(entry_points).decode()
    assert inside == {name for name in tracked if (ROOT / name).exists()}
    assert {Path(name).suffix for name in inside} == KINDS | {".py"}


def test_it_is_the_wheel_that_is_imported(environment, tmp_path):
    said = ran(environment, tmp_path, "python", "-c", "import zoo_eval; print(zoo_eval.__file__)")
    assert said.startswith(str(environment))


def test_a_sweep_runs_from_a_folder_of_its_own_with_every_table_and_page(environment, tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP)
    ran(environment, tmp_path, "zoo-eval", "sweep", "sweep.toml", "--runner", "local")
    asked = "SELECT count(*) AS n FROM accuracy"
    said = ran(
        environment, tmp_path, "zoo-eval", "sql", asked, "--store", "store", "--format", "json"
    )
    assert json.loads(said) == [{"n": 1}]
    ran(environment, tmp_path, "zoo-eval", "report", "--store", "store", "--out", "report.html")
    assert "<style>" in (tmp_path / "report.html").read_text()


def test_the_recipes_of_the_checkout_run_with_it(environment, tmp_path):
    """As in the image: `jobs` beside the installed package, and no checkout."""
    (tmp_path / "jobs").symlink_to(ROOT / "jobs")
    (tmp_path / "sweep.toml").write_text(SWEEP)
    sweep = ("jobs/sweep_zoo.py", "sweep.toml", "--runner", "local")
    ran(environment, tmp_path, "python", *sweep)
    ran(environment, tmp_path, "python", "-m", "jobs.compact_store", "--store", "store")
    assert "preemption" in ran(environment, tmp_path, "python", "-m", "jobs.preemption", "--help")
