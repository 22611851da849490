"""LAION-fMRI's images: JPEG files in one HDF5 file, named row by row by the CSV beside it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from zoo_eval.errors import BadInput
from zoo_eval.files import csv_table
from zoo_eval.files.csv_table import Line
from zoo_eval.files.hdf5_bytes import Hdf5Bytes
from zoo_eval.paths import SweepPath
from zoo_eval.stimuli.decoding import Exif
from zoo_eval.stimuli.encoded import Encoded
from zoo_eval.stimuli.ids import Lookup, listed
from zoo_eval.stimuli.stimulus_set import StimuliSection, StimulusSet, Sweepmates

NAME, PARTICIPANT, SHARED = "image_name", "participant", "unique_or_shared"
SEPARATED = re.compile(r"[;,\s]+")


class LaionSection(StimuliSection):
    """The images in task-images_stimuli.h5, by the rows of task-images_metadata.csv; ids are image_name.

    `participant` ("sub-01") takes the shared images and that participant's own, "shared" the shared
    ones; `include` names ids, in a list or in a text file, one a line.
    """

    kind: Literal["laion"] = "laion"
    path: SweepPath
    metadata: SweepPath
    dataset: str = "images"
    participant: str | None = None
    include: tuple[str, ...] | SweepPath | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    exif: Exif = "ignore"

    @property
    def is_whole(self) -> bool:
        return (self.participant, self.include, self.limit) == (None, None, None)

    def read(self, name: str, known: Sweepmates) -> StimulusSet:
        path, metadata = self.path.resolve(), self.metadata.resolve()
        where = f"stimuli {name!r}: {metadata}"
        lines = csv_table.read(where, metadata, (NAME,), (PARTICIPANT, SHARED)).lines
        if not lines:
            raise BadInput(f"{where} has no rows; give the one with a row for each image")
        rows = Hdf5Bytes(f"stimuli {name!r}: {path}", path, self.dataset)
        if len(rows) != len(lines):
            raise BadInput(
                f"stimuli {name!r}: {path} has {len(rows)} images, but {metadata} {len(lines)} rows; give "
                "the two that belong together"
            )
        chosen = list(range(len(lines)))
        if self.participant is not None:
            chosen = _of_participant(where, lines, self.participant)
        names = [line[NAME] for line in lines]
        if self.include is not None:
            given = self.include
            wanted = listed(given.resolve()) if isinstance(given, SweepPath) else given
            chosen = _included(f"stimuli {name!r}: include", names, wanted, set(chosen))
        chosen = chosen[: self.limit]
        ids = tuple(names[one] for one in chosen)
        return StimulusSet(name, ids, JpegRows(rows, tuple(chosen), self.exif), groups=ids)


@dataclass(frozen=True, eq=False)
class JpegRows(Encoded):
    """Images whose files are rows of bytes in HDF5."""

    rows: Hdf5Bytes
    chosen: tuple[int, ...]
    exif: Exif = "ignore"

    def __len__(self) -> int:
        return len(self.chosen)

    def content(self, number: int) -> bytes:
        return self.rows.row(self.chosen[number])

    def where(self, number: int) -> str:
        return f"{self.rows.path}: row {self.chosen[number] + 1} of {self.rows.dataset!r}"

    @property
    def sources(self) -> tuple[Sequence[Path], Any]:
        return [self.rows.path], [self.rows.dataset, self.chosen]


def _of_participant(where: str, lines: Sequence[Line], participant: str) -> list[int]:
    shared = [number for number, line in enumerate(lines) if line[SHARED].casefold() == "shared"]
    if participant == "shared":
        found = shared
    else:
        own = [
            number
            for number, line in enumerate(lines)
            if line[SHARED].casefold() != "shared" and participant in _people(line)
        ]
        found = sorted([*shared, *own]) if own else []
    if not found:
        known = sorted({one for line in lines for one in _people(line)} - {""})
        raise BadInput(
            f"{where} has no image of participant {participant!r}; known: {', '.join(known[:12])}, shared"
        )
    return found


def _people(line: Line) -> list[str]:
    return SEPARATED.split(line[PARTICIPANT])


def _included(where: str, names: Sequence[str], wanted: Sequence[str], left: set[int]) -> list[int]:
    lookup = Lookup(names)
    found = [lookup.meant(where, one) for one in wanted]
    if missing := [one for one, number in zip(wanted, found, strict=True) if number not in left]:
        raise BadInput(
            f"{where}: {missing[0]!r} is not among the images ({len(missing)} such; "
            f"{lookup.nearest(missing[0])}); correct it"
        )
    return [number for number in found if number is not None]
