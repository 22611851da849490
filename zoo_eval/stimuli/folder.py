"""A folder of images, labelled by a CSV or by the files' names."""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import PIL
from PIL import Image, UnidentifiedImageError
from pydantic import Field

from zoo_eval.digests import digest
from zoo_eval.errors import BadInput, nearest
from zoo_eval.paths import SweepPath
from zoo_eval.stimuli.ids import IMAGE_SUFFIXES, Lookup, stem
from zoo_eval.stimuli.stimulus_set import (
    Images,
    Pixels,
    Shape,
    StimuliSection,
    StimulusSet,
    Sweepmates,
)

UNREADABLE = (
    UnidentifiedImageError,
    Image.DecompressionBombError,
    OSError,
    SyntaxError,
    ValueError,
)


class FolderSection(StimuliSection):
    """Images of a folder, labelled by a CSV (columns image, label) or by their names.

    They are in the order of their names as text, folder by folder.
    """

    kind: Literal["folder"] = "folder"
    path: SweepPath
    include: tuple[str, ...] = ("*",)
    labels: SweepPath | None = None
    label_pattern: str | None = None
    limit: Annotated[int, Field(ge=1)] | None = None

    @property
    def is_whole(self) -> bool:
        return self.include == ("*",) and self.limit is None

    def read(self, name: str, known: Sweepmates) -> StimulusSet:
        return read_folder(
            name,
            self.path.resolve(),
            include=self.include,
            labels=None if self.labels is None else self.labels.resolve(),
            label_pattern=self.label_pattern,
            limit=self.limit,
        )


@dataclass(frozen=True, eq=False)
class Files(Images):
    """The images of some files."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def decode(self, number: int) -> Pixels:
        """An image as uint8 (row, column, RGB); grey is repeated, transparency dropped.

        Raises:
            BadInput: the file is not a readable image; it is named.
        """
        with _opened(self.paths[number]) as image:
            return np.asarray(image.convert("RGB"))

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        found = []
        for path in self.paths:
            with _opened(path) as image:
                found.append((image.height, image.width, 3))
        return tuple(found)

    @cached_property
    def stamp(self) -> str | None:
        # Another version may decode a JPEG to other pixels.
        return digest([PIL.__version__, [_stamp(path) for path in self.paths]])


def _stamp(path: Path) -> list[str | int]:
    found = path.stat()
    return [str(path.resolve()), found.st_size, found.st_mtime_ns, found.st_ctime_ns]


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except UNREADABLE as error:
        raise BadInput(
            f"{path}: cannot be decoded as an image ({error}); replace or remove the file"
        ) from error


def read_folder(
    name: str,
    path: Path,
    *,
    include: Sequence[str] = ("*",),
    labels: Path | None = None,
    label_pattern: str | None = None,
    limit: int | None = None,
) -> StimulusSet:
    """The images of a folder, sorted by name, decoded when shown; ids are paths relative to it.

    Labels come from a CSV with columns `image` and `label`, or from the first group of
    `label_pattern` searched in each file's name.

    Raises:
        BadInput: no image, or labels that do not match the images.
    """
    files = sorted(
        {
            file
            for pattern in include
            for file in path.rglob(pattern)
            if file.is_file() and file.suffix.lower() in IMAGE_SUFFIXES
        }
    )[:limit]
    ids = tuple(file.relative_to(path).as_posix() for file in files)
    if labels is not None:
        classes: tuple[int, ...] | None = _labels_from_csv(name, labels, ids, exact=limit is None)
    elif label_pattern is not None:
        classes = tuple(_label_from_name(name, label_pattern, i) for i in ids)
    else:
        classes = None
    return StimulusSet(name, ids, Files(tuple(files)), groups=ids, labels=classes)


def _labels_from_csv(name: str, path: Path, ids: Sequence[str], *, exact: bool) -> tuple[int, ...]:
    where, lookup = f"stimuli {name!r}: {path}", Lookup(ids)
    known: dict[int, int] = {}
    extra: list[str] = []
    for image, label in _rows(where, path):
        number = lookup.meant(where, image)
        if number is None:
            extra.append(image)
        elif number in known:
            raise BadInput(f"{where} labels {ids[number]!r} twice; keep one of the two")
        else:
            known[number] = label
    if missing := [one for number, one in enumerate(ids) if number not in known]:
        close = f"; {nearest(missing[0], extra, by=stem)}" if extra else ""
        raise BadInput(
            f"{where} has no label for {missing[0]!r} ({len(missing)} such images{close}); "
            "add them or narrow `include`"
        )
    if exact and extra:
        raise BadInput(
            f"{where} labels {min(extra)!r}, which is not among the images "
            f"({len(extra)} such labels); remove them or widen `include`"
        )
    return tuple(known[number] for number in range(len(ids)))


def _rows(where: str, path: Path) -> list[tuple[str, int]]:
    """Image and label of each row."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return [(row["image"] or "", int(row["label"])) for row in csv.DictReader(file)]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise BadInput(
            f"{where}: expected columns image,label with integer labels ({error}); correct it"
        ) from error


def _label_from_name(name: str, pattern: str, stimulus_id: str) -> int:
    match = re.search(pattern, stimulus_id)
    if match is None or not match.groups() or not match.group(1).isdigit():
        raise BadInput(
            f"stimuli {name!r}: label_pattern {pattern!r} finds no number in {stimulus_id!r}; "
            "its first group must match the class index"
        )
    return int(match.group(1))
