"""Functions stay short and take few parameters; nothing asks which readout or recording it has."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "zoo_eval"
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 50
MOST_PARAMETERS = 5
MOST_WITH_MORE = 12
READOUTS = {path.stem for path in (PACKAGE / "readouts").glob("*.py")} & {
    "pls", "ridge", "rsa", "cka", "procrustes",
}  # fmt: skip


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Names of what a caller may give, whether by place or by name; not the value itself."""
    a = function.args
    return [
        one.arg
        for one in [*a.posonlyargs, *a.args, *a.kwonlyargs]
        if one.arg not in ("self", "cls")
    ]


def test_no_function_is_long():
    long = {
        f"{path.relative_to(PACKAGE)}:{one.name}": n
        for path in FILES
        for one in functions(path)
        if (n := (one.end_lineno or one.lineno) - one.lineno + 1) > MOST_LINES
    }
    assert not long


def test_few_functions_take_more_than_five_parameters():
    many = {
        f"{path.relative_to(PACKAGE)}:{one.name}": names
        for path in FILES
        for one in functions(path)
        if len(names := parameters(one)) > MOST_PARAMETERS
    }
    assert len(many) <= MOST_WITH_MORE, many


def test_a_readouts_name_stands_in_its_own_file_alone():
    assert len(READOUTS) == 5
    sites = []
    for path in [*FILES, *PACKAGE.rglob("*.sql")]:
        if path.parent == PACKAGE / "readouts" and path.stem in READOUTS:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(rf"""(==|!=|<>|\bin\b|\bIN\b|=)\s*[(\[{{]?\s*(["'])({"|".join(READOUTS)})\2""", line):  # fmt: skip
                sites.append(f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}")
    # The default of a section's field names two; that is a choice, not a question.
    assert all("readouts: " in site for site in sites), sites


def test_nobody_asks_which_kind_of_recording_it_is():
    sites = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in FILES
        if path.parent != PACKAGE / "recordings"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "isinstance"
        and "Recording" in ast.unparse(node.args[1])
    ]
    assert not sites
