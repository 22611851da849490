"""Imports point one way; ray and duckdb are imported in one place; `import zoo_eval` is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "zoo_eval"

# Each layer may import from those above it and from its own; a folder stands for its files.
LAYERS = [
    ["errors", "digests", "sizes", "heap"],
    [
        "paths",
        "tables",
        "stimuli",
        "transforms",
        "numerics",
        "catalog",
        "submission",
        "formats",
        "anatomy",
        "activations",
    ],
    [
        "blocks",
        "tokens",
        "footprint",
        "scratch",
        "accumulation",
        "recordings",
        "importance",
        "provenance",
        "trial",
        "store",
        "grading",
        "facts",
    ],
    ["sources", "inputs"],
    ["measuring"],
    ["models"],
    ["representations", "saliency"],
    ["evaluations"],
    ["sweep", "queries"],
    ["roster"],
    ["loading"],
    ["planning"],
    ["runners", "report"],
    ["estimates"],
    ["sweeping", "listing", "attack_listing", "doctor"],
    ["cli"],
    ["__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Absolute names of what a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer(name: str) -> str:
    return name.split(".")[1]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_own_layer_and_those_above(path):
    relative = path.relative_to(PACKAGE).with_suffix("")
    if relative.parts == ("__init__",):
        assert not {name for name in imports(path) if not name.startswith("zoo_eval")}
        return
    own = relative.parts[0]
    assert own in LEVEL, f"{own} has no layer; add it to LAYERS"
    for name in imports(path):
        if name.startswith("zoo_eval.") and name != "zoo_eval.__version__":
            other = layer(name)
            assert LEVEL[other] <= LEVEL[own], f"{relative} imports {name} from a layer below"


def importers(library: str, folder: Path) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in folder.rglob("*.py")
        if any(name.split(".")[0] == library for name in imports(path))
    }


def test_ray_is_imported_in_one_place():
    assert importers("ray", PACKAGE) == {"zoo_eval/runners/on_ray.py"}


def test_duckdb_is_imported_in_one_place():
    assert importers("duckdb", PACKAGE) == {"zoo_eval/queries/connection.py"}


def test_nothing_imports_the_recipes():
    assert importers("jobs", PACKAGE) == set()
    assert importers("benchmarks", PACKAGE) == set()


def test_numerics_know_nothing_of_files_or_tables():
    forbidden = {"pyarrow", "pathlib", "ray", "duckdb", "pydantic"}
    for path in (PACKAGE / "numerics").rglob("*.py"):
        assert not {name.split(".")[0] for name in imports(path)} & forbidden, path


@pytest.mark.parametrize("module", ["zoo_eval", "zoo_eval.cli"])
def test_importing_the_package_and_the_command_is_light(module):
    code = (
        f"import sys, {module}; print([m for m in ('torch', 'ray', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_file_is_long():
    long = {str(p): n for p in MODULES if (n := len(p.read_text().splitlines())) > 400}
    assert not long
