"""`import zoo_eval` loads nothing; its names are there, documented, and what the types say."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import zoo_eval

NAMES = [name for name in zoo_eval.__all__ if name != "__version__"]


def test_importing_it_loads_nothing_else():
    code = (
        "import importlib, typing, sys; before = set(sys.modules); import zoo_eval; "
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['zoo_eval']"


WITHOUT_FRAMES = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pandas", "polars"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import zoo_eval
try:
    zoo_eval.open("nothing")
except zoo_eval.BadInput:
    print([m for m in ("ray", "timm") if m in sys.modules])
"""


def test_opening_a_store_needs_neither_frames_nor_a_cluster_nor_a_library_of_models(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_FRAMES],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_there_and_says_what_it_is(name):
    thing = getattr(zoo_eval, name)
    assert thing.__doc__
    assert thing.__name__ == name
    assert name in dir(zoo_eval)


@pytest.mark.parametrize("name", ["run", "model", "images", "responses", "open"])
def test_what_is_called_says_its_arguments_and_errors(name):
    said = getattr(zoo_eval, name).__doc__
    assert "Args:" in said
    assert "Raises:" in said


def test_types_are_told_of_the_same_names():
    """Names that a type checker is shown are those that are there, from the same files."""
    told = {}
    for node in ast.walk(ast.parse(Path(zoo_eval.__file__).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("zoo_eval"):
            told |= {alias.asname: (node.module, alias.name) for alias in node.names}
    assert set(told) == set(NAMES)
    for name, (module, original) in told.items():
        assert getattr(importlib.import_module(module), original) is getattr(zoo_eval, name)


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        _ = zoo_eval.runn
