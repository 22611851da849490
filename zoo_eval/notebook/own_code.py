"""Own code: what no installed package owns, so that no version tells which it is; and its text."""

import __future__

import ast
import dis
import inspect
import linecache
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache, reduce
from operator import or_
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

# This package, wherever it stands: versions of evaluations tell what it computes.
PACKAGE = __name__.partition(".")[0]

# What `from __future__ import` changed for a code.
FUTURES = reduce(
    or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)


@cache
def _libraries() -> tuple[str, ...]:
    """The folders that packages are installed to, and Python's own."""
    places = {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib", "platstdlib")}
    places |= {*site.getsitepackages(), site.getusersitepackages()}
    return tuple(str(Path(place).resolve()) + "/" for place in places)


def is_own(module: str | None) -> bool:
    """Whether a module of that name is neither Python's nor of an installed package.

    A package that is installed for editing changes without its version: it counts as own.
    """
    name = module or ""
    top = name.partition(".")[0]
    if name == "__main__":
        # A notebook or a script, even where a tool started it.
        return True
    if top in sys.stdlib_module_names or top == PACKAGE:
        return False
    # A part that was compiled into its package has no file of its own.
    place = _place(name) or _place(top)
    return place is None or not _is_of_library(place)


def _place(module: str) -> str | None:
    found = sys.modules.get(module)
    file = getattr(found, "__file__", None)
    return file or next(iter(getattr(found, "__path__", ())), None)


@cache
def _is_of_library(place: str) -> bool:
    resolved = Path(place).resolve()
    if str(resolved).startswith(_libraries()):
        return True
    # Packages may be installed to any folder: what describes them stands beside them.
    return any(any(folder.glob("*.dist-info")) for folder in resolved.parents[:2])


def text_of(function: FunctionType) -> str | None:
    """A function's source text; None where there is none, or where it is not what would run.

    A file that was edited after it was imported holds other code than the function.
    """
    code = function.__code__
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    if not text:
        return None
    try:
        tree, codes = _parsed(text, code.co_filename, code.co_flags & FUTURES)
    except (SyntaxError, ValueError):
        return None
    if not any(_same(other, code) for other in codes):
        return None
    return _segment(text, tree, code)


@lru_cache(maxsize=64)
def _parsed(text: str, file: str, flags: int) -> tuple[ast.Module, tuple[CodeType, ...]]:
    """A file's tree and every code in it: compiled as a whole, and (as notebooks do) by statement."""
    tree = ast.parse(text)
    units: list[ast.Module] = [tree, *(ast.Module([node], []) for node in tree.body)]
    compiled = (compile(one, file, "exec", flags=flags, dont_inherit=True) for one in units)
    return tree, tuple(code for one in compiled for code in _codes(one))


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


def _same(one: CodeType, other: CodeType) -> bool:
    """Whether two codes do the same, wherever they stand."""
    alike = (
        one.co_name == other.co_name
        and one.co_firstlineno == other.co_firstlineno
        and one.co_code == other.co_code
        and one.co_names == other.co_names
        and len(one.co_consts) == len(other.co_consts)
    )
    return alike and all(
        _same(a, b) if isinstance(a, CodeType) and isinstance(b, CodeType) else _equal(a, b)
        for a, b in zip(one.co_consts, other.co_consts)
    )


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _segment(text: str, tree: ast.Module, code: CodeType) -> str | None:
    """The text of the function or lambda whose code begins on that line; the line's, of several."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, kinds)
        and code.co_firstlineno == min([node.lineno, *_decorated(node)])
        and getattr(node, "name", "<lambda>") == code.co_name
    ]
    parts = [ast.get_source_segment(text, node) for node in found]
    return "\n".join(inspect.cleandoc(part) for part in parts if part) or None


def _decorated(node: ast.AST) -> list[int]:
    return [one.lineno for one in getattr(node, "decorator_list", ())]


def names_used(function: FunctionType) -> Mapping[str, Any]:
    """The globals that a function reads, by name, those of functions within it too."""
    names = {
        instruction.argval
        for code in _codes(function.__code__)
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    return {
        name: function.__globals__[name] for name in sorted(names & function.__globals__.keys())
    }


def files_of(module: ModuleType) -> list[Path] | None:
    """The file of an own module and of the own modules that it takes from; None without a file."""
    found: dict[str, Path] = {}
    waiting = [module.__name__]
    while waiting:
        name = waiting.pop()
        if name in found or not is_own(name) or name not in sys.modules:
            continue
        file = getattr(sys.modules[name], "__file__", None)
        if file is None:
            return None
        found[name] = Path(file)
        for value in vars(sys.modules[name]).values():
            is_module = isinstance(value, ModuleType)
            waiting.append(value.__name__ if is_module else str(getattr(value, "__module__", "")))
    return [found[name] for name in sorted(found)]
