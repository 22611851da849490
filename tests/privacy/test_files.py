"""Files and folders: for their owner and group, whatever wrote them, under any umask."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.recordings import kinds
from zoo_eval.privacy import files
from zoo_eval.recordings import writing

ROOT = Path(__file__).parents[2]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o002, 0o022, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_what_is_made_has_no_bits_for_the_world_and_no_more_than_the_umask_leaves(tmp_path, umask):
    files.make_folder(tmp_path / "a" / "b")
    with files.opened(tmp_path / "a" / "b" / "text", "w", encoding="utf-8") as file:
        file.write("é")
    files.make_empty(tmp_path / "a" / "empty")
    with files.made_elsewhere(tmp_path / "whole") as aside:
        aside.write_text("whole")
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        assert mode(folder) == 0o770 & ~umask
    for file in (tmp_path / "a" / "b" / "text", tmp_path / "a" / "empty", tmp_path / "whole"):
        assert mode(file) == 0o660 & ~umask
    assert os.umask(umask) == umask
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "whole"]


def test_a_file_that_is_there_keeps_its_mode(tmp_path):
    (tmp_path / "a").write_text("")
    (tmp_path / "a").chmod(0o604)
    with files.opened(tmp_path / "a", "a") as file:
        file.write("more")
    assert mode(tmp_path / "a") == 0o604


def test_what_fails_half_way_is_nowhere(tmp_path):
    def broken():
        with files.made_elsewhere(tmp_path / "whole") as aside:
            aside.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert list(tmp_path.iterdir()) == []


# A process of its own: the umask is one.
SWEEP = """
import os, sys
os.umask(0)
from jobs import gallery
from zoo_eval import cli
sweep, store, out = sys.argv[1:]
words = ["--runner", "local", "--store", store]
assert cli.main(["sweep", sweep, *words]) == 0
for command, name in (("report", "new/page.html"), ("export", "zoo.duckdb")):
    assert cli.main([command, "--store", store, "--out", f"{out}/{name}"]) == 0
assert cli.main(["trends", "--store", store]) == 0
assert gallery.main(store, f"{out}/gallery.html") == 0
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory, own_labels):
    """A folder with a store, pages, an export and a cache, made under a umask that keeps nothing back."""
    folder = tmp_path_factory.mktemp("modes")
    (folder / "sweep.toml").write_text(TINY.format(store="unused", labels=own_labels))
    (folder / "sweep.toml").chmod(0o640)
    (folder / "out").mkdir(mode=0o700)
    places = {"ZOO_EVAL_CACHE": str(folder / "cache"), "ZOO_EVAL_VIEWS": str(folder / "views")}
    given = [str(folder / one) for one in ("sweep.toml", "store", "out")]
    done = subprocess.run(
        [sys.executable, "-c", SWEEP, *given],
        env={**os.environ, **places},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def for_the_world(folder):
    """What anybody may read, write or enter below a folder."""
    return [str(one.relative_to(folder)) for one in folder.rglob("*") if mode(one) & 0o007]


@pytest.mark.parametrize(
    "place", ["store", "out", "cache", "views", "store/trials", "store/inputs", "out/new"]
)
def test_nothing_that_a_sweep_leaves_is_for_the_world(swept, place):
    assert [one for one in (swept / place).rglob("*") if one.is_file()]
    assert not mode(swept / place) & 0o007
    assert for_the_world(swept / place) == []


@pytest.mark.parametrize("planted", kinds.ALL, ids=lambda planted: planted.kind)
def test_what_a_recording_is_converted_to_is_not_for_the_world(planted, tmp_path):
    planted.make(tmp_path)
    held = planted.section(tmp_path).held("recording 'r'", 2**30, whole=True)
    before = os.umask(0)
    try:
        writing.write(held, tmp_path / "own", 2**30)
    finally:
        os.umask(before)
    assert not mode(tmp_path / "own") & 0o007
    assert for_the_world(tmp_path / "own") == []
