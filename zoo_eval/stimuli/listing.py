"""Listing: the image files of a folder, through links; what is left out is counted aloud."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from zoo_eval.errors import BadInput
from zoo_eval.stimuli.ids import IMAGE_SUFFIXES

# Left behind by archives and network drives.
HIDDEN = ("__MACOSX", "@eaDir")
MOST_KINDS = 5


@dataclass(frozen=True)
class Listed:
    """A folder's image files in the order of their names, folder by folder, and what was left out."""

    images: list[Path]
    notes: tuple[str, ...]


def listed(folder: Path, include: Sequence[str]) -> Listed:
    """The image files below a folder whose path from there, or its end, fits a pattern.

    Raises:
        BadInput: a pattern that is empty or absolute, or a folder that cannot be opened.
    """
    for pattern in include:
        if not pattern or PurePath(pattern).is_absolute():
            raise BadInput(
                f"include {pattern!r}: a pattern is a name or a relative path with * or ?"
            )
    patterns = [PurePath(pattern).parts for pattern in include]
    images, hidden, others = [], 0, Counter[str]()
    for file in _files(folder):
        parts = file.relative_to(folder).parts
        if not any(_fits(parts, pattern) for pattern in patterns):
            continue
        if any(part.startswith(".") or part in HIDDEN for part in parts):
            hidden += 1
        elif file.suffix.lower() in IMAGE_SUFFIXES:
            images.append(file)
        else:
            others[file.suffix.lower() or "without suffix"] += 1
    return Listed(sorted(images), tuple(_notes(hidden, others)))


def _notes(hidden: int, others: Counter[str]) -> Iterator[str]:
    if hidden:
        yield f"{hidden} hidden files are left out"
    if others:
        first = sorted(others.items(), key=lambda one: (-one[1], one[0]))[:MOST_KINDS]
        told = ", ".join(f"{n} {suffix}" for suffix, n in first)
        more = "" if len(others) <= MOST_KINDS else ", ..."
        yield f"{others.total()} files are no images by their suffix ({told}{more}) and left out"


def _files(folder: Path) -> Iterator[Path]:
    """Every file below a folder; a folder that is linked to from within itself is entered once."""

    def fail(error: OSError) -> None:
        raise BadInput(
            f"{error.filename}: cannot be opened ({error.strerror}); check its permissions"
        )

    entered: dict[Path, set[tuple[int, int]]] = {folder: {_node(folder)}}
    for place, folders, names in os.walk(folder, followlinks=True, onerror=fail):
        here = Path(place)
        above = entered.pop(here)
        for name in list(folders):
            node = _node(here / name)
            if node in above:
                folders.remove(name)
            else:
                entered[here / name] = above | {node}
        for name in names:
            if (file := here / name).is_file():
                yield file


def _node(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a pattern fits the end of a path; `**` stands for any folders."""
    return any(_fits_whole(parts[start:], pattern) for start in range(len(parts)))


def _fits_whole(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits_whole(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits_whole(parts[1:], pattern[1:])
