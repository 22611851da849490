"""A folder of images, labelled by a CSV or by the files' names."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from zoo_eval.errors import BadInput
from zoo_eval.stimuli.stimulus_set import Pixels, StimulusSet

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def decode(path: Path) -> Pixels:
    """An image file as uint8 (row, column, RGB); grey is repeated, transparency dropped.

    Raises:
        BadInput: the file is not a readable image; it is named.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        SyntaxError,
        ValueError,
    ) as error:
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
    """The images of a folder, sorted by name; ids are paths relative to it.

    Labels come from a CSV with columns `image` and `label`, or from the first group of
    `label_pattern` searched in each file's name.

    Raises:
        BadInput: no image, an undecodable image, or labels that do not match the images.
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
    images = tuple(decode(file) for file in files)
    return StimulusSet(name, ids, images, groups=ids, labels=classes)


def _labels_from_csv(name: str, path: Path, ids: Sequence[str], *, exact: bool) -> tuple[int, ...]:
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        known = {row["image"]: int(row["label"]) for row in rows}
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise BadInput(
            f"stimuli {name!r}: {path}: expected columns image,label with integer labels ({error})"
        ) from error
    if len(known) != len(rows):
        names = [row["image"] for row in rows]
        twice = next(n for n in names if names.count(n) > 1)
        raise BadInput(f"stimuli {name!r}: {path} labels {twice!r} twice; keep one of the two")
    if missing := [i for i in ids if i not in known]:
        raise BadInput(
            f"stimuli {name!r}: {path} has no label for {missing[0]!r} "
            f"({len(missing)} such images); add them or narrow `include`"
        )
    if exact and (extra := sorted(known.keys() - set(ids))):
        raise BadInput(
            f"stimuli {name!r}: {path} labels {extra[0]!r}, which is not among the images "
            f"({len(extra)} such labels); remove them or widen `include`"
        )
    return tuple(known[i] for i in ids)


def _label_from_name(name: str, pattern: str, stimulus_id: str) -> int:
    match = re.search(pattern, stimulus_id)
    if match is None or not match.groups() or not match.group(1).isdigit():
        raise BadInput(
            f"stimuli {name!r}: label_pattern {pattern!r} finds no number in {stimulus_id!r}; "
            "its first group must match the class index"
        )
    return int(match.group(1))
