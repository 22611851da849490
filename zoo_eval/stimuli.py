"""StimulusSet: decoded images with ids, labels and groups; its identity is its content."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from zoo_eval.digests import bytes_digest, canonical_json
from zoo_eval.errors import BadInput

Pixels = npt.NDArray[np.uint8]
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


@dataclass(frozen=True, eq=False)
class StimulusSet:
    """Decoded images, each uint8 (row, column, RGB), of any size.

    `groups` names what must stay in one fold (crops of one photo); `labels` are class indices.

    Raises:
        BadInput: no images, ids that repeat, or a length that differs.
    """

    name: str
    ids: tuple[str, ...]
    images: tuple[Pixels, ...]
    groups: tuple[str, ...]
    labels: tuple[int, ...] | None = None
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        if not self.images:
            raise BadInput(f"stimuli {self.name!r}: no images; check the path and `include`")
        if len(set(self.ids)) != len(self.ids):
            twice = next(i for i in self.ids if self.ids.count(i) > 1)
            raise BadInput(f"stimuli {self.name!r}: id {twice!r} stands twice; ids must be unique")
        for part, values in (("ids", self.ids), ("groups", self.groups), ("labels", self.labels)):
            if values is not None and len(values) != len(self.images):
                raise BadInput(
                    f"stimuli {self.name!r}: {len(self.images)} images but {len(values)} {part}"
                )
        described = [
            self.ids,
            self.groups,
            self.labels,
            [list(image.shape) for image in self.images],
        ]
        chunks = [canonical_json(described).encode()]
        chunks += [np.ascontiguousarray(image).tobytes() for image in self.images]
        object.__setattr__(self, "digest", bytes_digest(chunks))

    def __len__(self) -> int:
        return len(self.images)


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


def folder(
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


def crops(
    name: str,
    sources: Sequence[StimulusSet],
    *,
    n: int,
    size_px: int,
    seed: int,
    smallest: float = 0.35,
    largest: float = 0.85,
) -> StimulusSet:
    """`n` seeded random square crops of the sources' images, resized to `size_px`.

    A crop's side is uniform between `smallest` and `largest` of its photo's shorter side; photos
    take turns, and `groups` holds the photo, so that its crops stay in one fold.
    """
    photos = [(f"{s.name}/{i}", image) for s in sources for i, image in zip(s.ids, s.images)]
    rng = np.random.default_rng(seed)
    ids, groups, images = [], [], []
    for index in range(n):
        photo, pixels = photos[index % len(photos)]
        height, width = pixels.shape[:2]
        side = round(rng.uniform(smallest, largest) * min(height, width))
        top = int(rng.integers(height - side + 1))
        left = int(rng.integers(width - side + 1))
        crop = Image.fromarray(pixels[top : top + side, left : left + side])
        images.append(np.asarray(crop.resize((size_px, size_px), Image.Resampling.BICUBIC)))
        ids.append(f"{photo}#{index // len(photos):03d}")
        groups.append(photo)
    return StimulusSet(name, tuple(ids), tuple(images), groups=tuple(groups))


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


def joined(first: StimulusSet, second: StimulusSet) -> StimulusSet:
    """The images of one set followed by those of another, unlabelled; ids carry their set's name."""
    return StimulusSet(
        f"{first.name} + {second.name}",
        tuple(f"{part.name}/{one}" for part in (first, second) for one in part.ids),
        (*first.images, *second.images),
        groups=tuple(f"{part.name}/{group}" for part in (first, second) for group in part.groups),
    )
