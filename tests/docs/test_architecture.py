"""What docs/architecture.md says exists does, all rooms are in it, and its hops are hops."""

import ast
import os
import re
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.docs.pages import ROOT
from tests.test_layers import FLOORS
from zoo_eval.commands import sweep
from zoo_eval.evaluations.evaluation import EVALUATIONS
from zoo_eval.queries.connection import connect
from zoo_eval.sources.registry import source_of
from zoo_eval.stimuli import ahead
from zoo_eval.stimuli.stimulus_set import STIMULI
from zoo_eval.store import Store

PACKAGE = ROOT / "zoo_eval"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.(?:py|sql)(?::[\w.]+)?)`", PAGE)))
WAYS = {"leaderboard": "## A pixel's way to the leaderboard", "id": "## A key's way to a trial id"}

SWEEP = """
[store]
uri = "store"
[models]
include = ["local/pruned"]
[[models.local]]
name = "pruned"
architecture = "timm/test_vit"
weights = "untrained"
edits = { prune = 0.3 }
[stimuli.photos]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_0*.jpg"]
label_pattern = 'imagenet_\\d+_(\\d+)'
limit = 2
[[evaluations]]
kind = "accuracy"
stimuli = "photos"
"""


def definitions(file: Path) -> set[str]:
    """Functions and classes of a file, those in classes as CLASS.NAME."""
    found: set[str] = set()

    def visit(body: list[ast.stmt], inside: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(inside + node.name)
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{inside}{node.name}.")

    visit(ast.parse(file.read_text()).body, "")
    return found


@pytest.mark.parametrize("named", NAMED)
def test_what_is_named_exists(named):
    path, _, name = named.partition(":")
    beside = ROOT / path if path.startswith("tests/") else PACKAGE / path
    assert beside.is_file()
    assert not name or name in definitions(beside)


@pytest.mark.parametrize("folder", sorted(set(re.findall(r"`(\w+)/`", PAGE)) - {"zoo_eval"}))
def test_a_folder_that_is_named_exists(folder):
    assert (PACKAGE / folder).is_dir()


def test_the_drawing_shows_what_exists():
    (drawing,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    for path in re.findall(r"\b[a-z_]+/(?:[a-z_]+\.py)?|\b[a-z_]+\.py", drawing):
        assert (PACKAGE / path).exists(), path


def says(room: str) -> str:
    """The first line of a room's docstring."""
    path = PACKAGE / room
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(file.read_text())) or "").splitlines()[0]


def test_the_table_has_every_room_on_its_floor():
    rooms = {path.stem for path in PACKAGE.iterdir() if not path.name.startswith("__init__")}
    assert {room for floor in FLOORS for room in floor} == rooms - {"__pycache__", "py"}
    expected = [
        f"| {number} | `{room}{'/' if (PACKAGE / room).is_dir() else '.py'}` | {says(room)} |"
        for number, floor in enumerate(FLOORS)
        for room in floor
    ]
    rows = re.findall(r"^\| \d+ \| .*\|$", PAGE, re.MULTILINE)
    assert rows == expected, "write into the table:\n" + "\n".join(expected)


def test_the_sentence_of_nouns_is_the_one_of_the_readme():
    def nouns(page: str) -> list[str]:
        (sentence,) = re.findall(r"^> A \*\*runner\*\*(?:.*\n>)*.*", page, re.MULTILINE)
        return re.findall(r"\*\*(.+?)\*\*", sentence.replace("\n> ", " "))

    readme = nouns((ROOT / "README.md").read_text())
    assert nouns(PAGE) == readme
    assert len(readme) == len(set(readme)) >= 10


def hops(way: str) -> list[str]:
    """The functions of a way, in order."""
    section = PAGE.partition(WAYS[way])[2].partition("\n## ")[0]
    numbered = re.findall(r"^(\d+)\. `(.+?)`", section, re.MULTILINE)
    assert [int(number) for number, _ in numbered] == list(range(1, len(numbered) + 1))
    assert re.search(rf"\b{len(numbered)} hops:", section), f"{len(numbered)} hops are listed"
    return [name for _, name in numbered]


@pytest.fixture(scope="module")
def called(tmp_path_factory) -> set[str]:
    """Every function of the package that a small sweep and a look at its leaderboard call."""
    folder = tmp_path_factory.mktemp("way")
    file = folder / "sweep.toml"
    file.write_text(SWEEP + '[run]\nview_budget = "0GiB"\n')
    found: set[tuple[str, str]] = set()
    # Imports would be noted call by call.
    for registry in (STIMULI, EVALUATIONS):
        registry.things()
    source_of("timm/test_vit")

    def note(frame: FrameType, _event: str, _value: Any) -> None:
        found.add((frame.f_code.co_filename, frame.f_code.co_qualname))

    before = sys.gettrace()
    sys.settrace(note)
    # Images are decoded by threads, which are started anew.
    threading.settrace(note)
    ahead._pool.cache_clear()
    try:
        sweep.run(sweep.SweepOptions(file, folder, runner="local"), lambda line: None)
        rows = connect(Store(str(folder / "store"))).rows("SELECT top1 FROM leaderboard")
    finally:
        sys.settrace(before)
        threading.settrace(None)
        ahead._pool.cache_clear()
    assert len(rows) == 1
    inside = f"{PACKAGE}{os.sep}"
    return {f"{file.removeprefix(inside)}:{name}" for file, name in list(found) if inside in file}


@pytest.mark.parametrize("way", WAYS)
def test_every_hop_is_taken_and_stands_once(way, called):
    listed = hops(way)
    assert len(set(listed)) == len(listed)
    assert [hop for hop in listed if hop not in called] == []
