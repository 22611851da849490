"""A folder of images, labelled by a CSV or by the files' names."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import PIL
from pydantic import Field

from zoo_eval.digests import digest
from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.stimuli import decoding
from zoo_eval.stimuli import labels as by_name
from zoo_eval.stimuli.ahead import Ahead
from zoo_eval.stimuli.decoding import Exif, opened
from zoo_eval.stimuli.identities import Shape
from zoo_eval.stimuli.listing import listed
from zoo_eval.stimuli.stimulus_set import (
    Images,
    Pixels,
    StimuliSection,
    StimulusSet,
    Sweepmates,
)

HEADERS_AHEAD = 256
FOLDERS: Literal["folders"] = "folders"


class FolderSection(StimuliSection):
    """Images of a folder, labelled by a CSV (columns image, label), by their names or their folders.

    A label is a class index, a WordNet id or a name of one of ImageNet's classes; folders that are
    all named by WordNet ids label their images unless something else does. They are in the order of
    their names as text, folder by folder. Links are followed, hidden files and folders left out. `exif`
    says whether a photo is turned as its EXIF orientation says; the libraries' own evaluation code does
    not.
    """

    kind: Literal["folder"] = "folder"
    path: SweepPath
    include: tuple[str, ...] = ("*",)
    labels: Literal["folders"] | SweepPath | None = None
    label_pattern: str | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    exif: Exif = "ignore"

    @property
    def is_whole(self) -> bool:
        return self.include == ("*",) and self.limit is None

    def read(self, name: str, known: Sweepmates) -> StimulusSet:
        return read_folder(
            name,
            self.path.resolve(),
            include=self.include,
            labels=self.labels.resolve() if isinstance(self.labels, SweepPath) else self.labels,
            label_pattern=self.label_pattern,
            limit=self.limit,
            exif=self.exif,
        )


@dataclass(frozen=True, eq=False)
class Files(Images):
    """The images of some files; `exif` as in `decoding.decoded`."""

    paths: tuple[Path, ...]
    exif: Exif = "ignore"

    def __len__(self) -> int:
        return len(self.paths)

    def decode(self, number: int) -> Pixels:
        """An image as uint8 (row, column, RGB), see `decoding.decoded`.

        Raises:
            BadInput: the file is not a readable image; it is named.
        """
        with opened(self.paths[number]) as image:
            return decoding.decoded(image, self.exif)

    def remark(self, number: int) -> str | None:
        return decoding.remark(self.paths[number], self.exif)

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        headers = Ahead(self._shape, len(self), HEADERS_AHEAD)
        return tuple(headers[[number]][0] for number in range(len(self)))

    def _shape(self, number: int) -> Shape:
        with opened(self.paths[number]) as image:
            return decoding.shape(image, self.exif)

    @cached_property
    def stamp(self) -> str | None:
        # Another version may decode a JPEG to other pixels.
        files = [stamp(path) for path in self.paths]
        return digest([PIL.__version__, decoding.VERSION, self.exif, files])


def stamp(path: Path) -> list[str | int]:
    """What changes when a file does, or is another one."""
    found = path.stat()
    return [
        str(path),
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    ]


def read_folder(
    name: str,
    path: Path,
    *,
    include: Sequence[str] = ("*",),
    labels: Path | Literal["folders"] | None = None,
    label_pattern: str | None = None,
    limit: int | None = None,
    exif: Exif = "ignore",
) -> StimulusSet:
    """The images of a folder, sorted by name, decoded when shown; ids are paths relative to it.

    Links to files and folders are followed; what is hidden, and what is no image by its suffix, is
    left out and counted in `notes`. Labels come from a CSV with columns `image` and `label`, from the
    first group of `label_pattern` searched in each id, or from the names of folders ("folders", or
    where all of them are WordNet ids); see `classes.label`.

    Raises:
        BadInput: no image, or labels that do not match the images.
    """
    found = listed(path, include)
    files = found.images[:limit]
    ids = tuple(file.relative_to(path).as_posix() for file in files)
    notes = found.notes
    classes: tuple[int, ...] | None
    if labels is not None and label_pattern is not None:
        raise BadInput(f"stimuli {name!r}: `labels` and `label_pattern` say both; remove one")
    if labels == FOLDERS:
        classes = by_name.from_folders(name, ids)
    elif isinstance(labels, Path):
        classes = by_name.from_csv(name, labels, ids, exact=limit is None)
    elif label_pattern is not None:
        classes = by_name.from_names(name, label_pattern, ids)
    elif classes := by_name.by_wordnet_ids(ids):
        notes = (*notes, f"images {by_name.BY_FOLDER}")
    return StimulusSet(
        name, ids, Files(tuple(files), exif), groups=ids, labels=classes, notes=notes
    )
