"""One toy of each kind, as CONTRIBUTING.md shows them, in a package of its own; a sweep uses them all."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tests.runners.comparison import assert_same_results
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

PAGE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
TOYS = dict(re.findall(r"`(toys/\w+\.py)`\n\n```python\n(.*?)```", PAGE, re.DOTALL))
POINTS, SWEEP = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
KINDS = tomllib.loads(POINTS)["project"]["entry-points"]
MOST_LINES = 40
TABLES = ("models", "layers", "neural_scores", "attacks", "alignment")


def test_there_is_one_of_each_kind_and_each_is_short():
    assert set(KINDS) == {
        f"zoo_eval.{room}"
        for room in (
            "attacks", "evaluations", "importance", "readouts", "recordings", "sources", "stimuli",
        )
    }  # fmt: skip
    files = {f"{value.partition(':')[0].replace('.', '/')}.py" for k in KINDS.values() for value in k.values()}  # fmt: skip
    assert files == set(TOYS)
    for name, code in TOYS.items():
        assert len(code.splitlines()) <= MOST_LINES, name


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """The folder of an installed package with all of them, and of the sweep."""
    folder = tmp_path_factory.mktemp("toys")
    (folder / "toys").mkdir()
    (folder / "toys" / "__init__.py").touch()
    for name, code in TOYS.items():
        (folder / name).write_text(code)
    information = folder / "zoo_toys-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-toys\nVersion: 1.0\n")
    lines = [
        line
        for group, offers in KINDS.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in offers.items()))
    ]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    rng = np.random.default_rng(0)
    np.save(folder / "units.npy", rng.standard_normal((18, 3, 5)))
    (folder / "sweep.toml").write_text(SWEEP)
    return folder


def zoo_eval(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zoo_eval", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def finished(package) -> Store:
    """The store of the sweep, run in a plain loop."""
    done = zoo_eval(package, "sweep", "sweep.toml", "--runner", "local")
    assert done.returncode == 0, done.stdout + done.stderr
    return Store(str(package / "results" / "toys"))


def test_every_toy_leaves_its_rows(finished):
    found = connect(finished)
    assert {row["model"] for row in found.rows("SELECT model FROM surest")} == {"toy/4", "toy/8"}
    shares = [row["confidence"] for row in found.rows("SELECT confidence FROM confidence")]
    assert all(1 / 1000 < share < 1 for share in shares)
    scores = found.rows("SELECT * FROM neural_scores WHERE readout = 'loudness'")
    assert {row["recording"] for row in scores} == {"units"}
    assert all(0 <= row["score"] <= 1 for row in scores)
    attacked = found.rows("SELECT * FROM attacks WHERE attack = 'straight' AND status = 'found'")
    assert attacked
    aligned = found.rows("SELECT * FROM alignment WHERE importance = 'centre'")
    assert any(row["spearman"] is not None for row in aligned)


def test_an_option_of_a_toy_is_part_of_a_trials_identity(finished):
    rows = connect(finished).rows("SELECT parameters FROM trials WHERE readout = 'loudness'")
    assert {json.loads(row["parameters"])["absolute"] for row in rows} == {True}


def test_a_second_run_does_nothing(package, finished):
    done = zoo_eval(package, "sweep", "sweep.toml", "--runner", "local")
    assert "0 pending" in done.stdout
    assert done.returncode == 0


def test_the_store_is_asked_without_the_package(finished):
    """Its declarations of the table and the view are in the store; this process has no toys."""
    with pytest.raises(ModuleNotFoundError):
        __import__("toys.confidence")
    (row,) = connect(finished).rows("SELECT model FROM surest LIMIT 1")
    assert row["model"] in ("toy/4", "toy/8")


@pytest.mark.ray
def test_ray_gives_the_same(package, finished):
    done = zoo_eval(package, "sweep", "sweep.toml", "--store", "results/ray")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_results(finished.uri, package / "results" / "ray", tables=TABLES)


def test_the_catalogue_lists_a_toys_models(package):
    done = zoo_eval(package, "models", "toy/*", "--format", "json")
    assert [row["model"] for row in json.loads(done.stdout)] == ["toy/4", "toy/8"]


BROKEN = {"readouts": "loudness", "evaluations": "confidence", "stimuli": "gratings"}


@pytest.mark.parametrize(("room", "name"), BROKEN.items())
def test_a_package_that_cannot_be_imported_is_named_and_the_rest_works(
    package, tmp_path, room, name
):
    for part in package.iterdir():
        if part.name != "results":
            (tmp_path / part.name).symlink_to(part)
    (tmp_path / "zoo_toys-1.0.dist-info").unlink()
    (tmp_path / "zoo_toys-1.0.dist-info").mkdir()
    for file in (package / "zoo_toys-1.0.dist-info").iterdir():
        text = file.read_text()
        for value in KINDS[f"zoo_eval.{room}"].values():
            text = text.replace(value, "toys.nowhere:Absent")
        (tmp_path / "zoo_toys-1.0.dist-info" / file.name).write_text(text)
    done = zoo_eval(tmp_path, "plan", "sweep.toml")
    assert done.returncode == 2
    assert f"{name!r} of package zoo-toys: it cannot be imported" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert zoo_eval(tmp_path, "models", "toy/*").returncode == 0
    if room == "readouts":
        assert "warn     other packages" in zoo_eval(tmp_path, "doctor").stdout
