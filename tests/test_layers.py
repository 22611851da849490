"""Imports point one way; ray and duckdb are imported in one place; `import zoo_eval` is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "zoo_eval"

# From the ground up. A room (a folder, or a file beside the folders) imports from its own and from
# those on the floors below it; rooms of one floor know nothing of each other.
FLOORS = [
    ["privacy"],
    ["errors", "digests", "units", "pictures"],
    ["paths", "registry", "tables", "files"],
    ["section", "numerics", "trial", "storage"],
    ["store", "networks"],
    ["stimuli"],
    ["transforms"],
    ["views"],
    ["recordings", "importance", "catalog", "pipelines"],
    ["inputs", "weights"],
    ["sources"],
    ["models"],
    ["representations"],
    ["readouts"],
    ["evaluations", "queries"],
    ["sweep", "trends"],
    ["figures"],
    ["runners", "report"],
    ["explorer", "harmonizer"],
    ["commands"],
    ["notebook"],
    ["cli"],
    ["__main__"],
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_LOOSE_FILES = 15


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


def room(name: str) -> str:
    return name.split(".")[1]


def named(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMED = {named(path): path for path in MODULES}


def imported_files(path: Path) -> set[str]:
    """Dotted names of the package's files that a file imports."""
    found = set()
    for name in imports(path):
        for one in (name, name.rpartition(".")[0]):
            if one in NAMED and one != "zoo_eval":
                found.add(one)
                break
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_from_its_own_room_and_from_floors_below(path):
    relative = path.relative_to(PACKAGE).with_suffix("")
    if relative.parts == ("__init__",):
        light = ("zoo_eval", "typing", "importlib")
        assert not {name for name in imports(path) if not name.startswith(light)}
        return
    own = relative.parts[0]
    assert own in FLOOR, f"{own} has no floor; add it to FLOORS"
    for name in imports(path):
        if name.startswith("zoo_eval.") and name != "zoo_eval.__version__":
            other = room(name)
            assert other == own or FLOOR[other] < FLOOR[own], f"{relative} imports {name}"


def test_no_two_files_import_each_other_even_in_a_round():
    graph = {name: imported_files(path) - {name} for name, path in NAMED.items()}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*way, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


def test_few_files_stand_beside_the_rooms():
    loose = [path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py"]
    assert len(loose) <= MOST_LOOSE_FILES, loose


def importers(library: str, folder: Path) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in folder.rglob("*.py")
        if any(name.split(".")[0] == library for name in imports(path))
    }


def test_ray_is_imported_in_one_place():
    place = "zoo_eval/runners/on_ray/"
    assert {one.removeprefix(place) for one in importers("ray", PACKAGE)} == {
        "actors.py", "runner.py", "session.py", "zoo_eval/harmonizer/on_ray.py",
    }  # fmt: skip


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


# Each takes a second or two to import, in every process that evaluates.
SLOW = {"sklearn", "captum"}


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_slow_libraries_are_imported_where_they_are_used(path):
    top = ast.parse(path.read_text()).body
    found = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    found |= {str(node.module) for node in top if isinstance(node, ast.ImportFrom)}
    assert not {name.partition(".")[0] for name in found} & SLOW
