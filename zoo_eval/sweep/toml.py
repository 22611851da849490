"""TOML: a file as a section; what is wrong in it is said with its line and the next step."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from zoo_eval import section
from zoo_eval.errors import BadInput, one_line
from zoo_eval.files import text
from zoo_eval.section import Section, WrongSection

S = TypeVar("S", bound=Section)


def read(path: Path, kind: type[S], home: Path | None) -> S:
    """A section from a whole file.

    Args:
        path: the file.
        kind: the section's class.
        home: the folder that relative paths in it start from; None where nobody knows.

    Raises:
        BadInput: the file is absent, is not TOML, or has a wrong key or value (with its line).
    """
    written, content = opened(path)
    try:
        return section.read(kind, content, home)
    except WrongSection as error:
        raise explained(path, written, error) from error


def opened(path: Path) -> tuple[str, dict[str, Any]]:
    """A file's text, and the tables and keys in it.

    Raises:
        BadInput: it cannot be read, or is not TOML.
    """
    written = text.read(f"file {path}", path, "TOML")
    try:
        # TOML knows no line end of an old Mac.
        return written, tomllib.loads("\n".join(text.lines(written)))
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path}: not valid TOML: {error}; correct it") from error
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits, and lists within lists within lists.
        raise BadInput(
            f"{path}: TOML that cannot be held ({one_line(error)}); simplify it"
        ) from error


def explained(path: Path, written: str, error: WrongSection) -> BadInput:
    """What is wrong, on one line, with the file, the line and the key."""
    key = ".".join(str(part) for part in error.place)
    where = f"{path}, line {line_of(written, error.place)}: {key or 'the file'}"
    return BadInput(f"{where}: {error.message}")


def line_of(written: str, place: Sequence[int | str]) -> int:
    """The line (from 1) where a key stands, or else its section's header; 1 if neither is found."""
    lines = text.lines(written)
    for length in range(len(place), -1, -1):
        header = ".".join(str(part) for part in place[:length] if isinstance(part, str))
        number = next((part for part in place[:length] if isinstance(part, int)), 0)
        pattern = rf"\s*\[\[?\s*{re.escape(header)}\s*\]"
        hits = [i for i, line in enumerate(lines) if header and re.match(pattern, line)]
        if header and number >= len(hits):
            continue
        start = hits[number] if header else -1
        for i in range(start + 1, len(lines)):
            if re.match(r"\s*\[", lines[i]):
                break
            if any(
                re.match(rf"\s*[\"']?{re.escape(str(p))}[\"']?\s*=", lines[i])
                for p in place[length:]
            ):
                return i + 1
        return max(1, start + 1)
    return 1
