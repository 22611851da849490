"""Brain-Score's stimulus sets: a CSV of ids and files, and the ZIP archive or folder of these files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import csv_table, members
from zoo_eval.files.csv_table import Line, Table
from zoo_eval.files.members import Member
from zoo_eval.paths import SweepPath
from zoo_eval.stimuli.decoding import Exif
from zoo_eval.stimuli.encoded import Encoded
from zoo_eval.stimuli.folder import Files
from zoo_eval.stimuli.stimulus_set import Images, StimuliSection, StimulusSet, Sweepmates

# The first that is there; older sets say image for stimulus.
ID_COLUMNS = ("stimulus_id", "image_id")
FILE_COLUMNS = ("filename", "image_file_name", "stimulus_path_within_store")


class BrainScoreSection(StimuliSection):
    """A stimulus set of Brain-Score: its CSV (`path`), and its ZIP archive, or the folder it was unpacked to.

    Ids are the column stimulus_id, or image_id in older sets; files are in the column filename, or are
    named by `filename`. A column `groups` keeps images of one value in one fold; of each value of a
    column `strata` the protocol `brainscore` tests the same share. There are no labels: names such as
    object_name are not ImageNet's classes.
    """

    kind: Literal["brainscore"] = "brainscore"
    path: SweepPath
    images: SweepPath
    filename: str | None = None
    groups: str | None = None
    strata: str | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    exif: Exif = "ignore"

    @property
    def is_whole(self) -> bool:
        return self.limit is None

    def read(self, name: str, known: Sweepmates) -> StimulusSet:
        where = f"stimuli {name!r}: {self.path.resolve()}"
        table = csv_table.read(where, self.path.resolve(), (), [*ID_COLUMNS, *FILE_COLUMNS])
        id_column = _column(where, table, None, ID_COLUMNS)
        file_column = _column(where, table, self.filename, FILE_COLUMNS)
        lines = table.lines[: self.limit]
        if not lines:
            raise BadInput(f"{where} has no rows; write one for each image")
        for line in lines:
            if not line[id_column] or not line[file_column]:
                raise BadInput(f"{line.where}: no {id_column} or no {file_column}; fill it in")
        files = [line[file_column] for line in lines]
        images = _images(where, f"stimuli {name!r}", self.images.resolve(), files, self.exif)
        ids = tuple(line[id_column] for line in lines)
        groups = _values(where, table, lines, self.groups) or ids
        strata = _values(where, table, lines, self.strata)
        return StimulusSet(name, ids, images, groups=groups, strata=strata)


@dataclass(frozen=True, eq=False)
class MemberImages(Encoded):
    """The images of some members of archives."""

    members: tuple[Member, ...]
    exif: Exif = "ignore"

    def __len__(self) -> int:
        return len(self.members)

    def content(self, number: int) -> bytes:
        return self.members[number].read()

    def where(self, number: int) -> str:
        return self.members[number].where

    @property
    def sources(self) -> tuple[Sequence[Path], Any]:
        paths = sorted({one.path for one in self.members})
        return paths, [[paths.index(one.path), one.start] for one in self.members]


def _column(where: str, table: Table, named: str | None, usual: Sequence[str]) -> str:
    wanted = usual if named is None else (named,)
    found = next((one for one in wanted if one in table.columns), None)
    if found is None:
        there = ", ".join(table.columns) or "none"
        raise BadInput(f"{where} has no column {' or '.join(wanted)} (columns: {there}); name it")
    return found


def _values(
    where: str, table: Table, lines: Sequence[Line], named: str | None
) -> tuple[str, ...] | None:
    """What rows have in a column; None where none is named.

    Raises:
        BadInput: no such column, or a row without it.
    """
    if named is None:
        return None
    column = _column(where, table, named, ())
    for line in lines:
        if not line[column]:
            raise BadInput(f"{line.where}: no {column}; fill it in")
    return tuple(line[column] for line in lines)


def _images(where: str, of_set: str, path: Path, files: Sequence[str], exif: Exif) -> Images:
    """The files that rows name, each of which must be there."""
    if path.is_dir():
        paths = [path / _inside(where, file) for file in files]
        missing = [file for file, one in zip(files, paths, strict=True) if not one.is_file()]
        if missing:
            raise _missing(where, path, missing, [one.name for one in path.iterdir()])
        return Files(tuple(paths), exif)
    there = members.of_zip(f"{of_set}: {path}", path)
    by_name = {one.name: one for one in there}
    # An archive of a folder has its name before each file.
    by_file = {PurePosixPath(one.name).name: one for one in there}
    unique = by_file if len(by_file) == len(there) else {}
    found = [by_name.get(file) or unique.get(file) for file in files]
    if missing := [file for file, one in zip(files, found, strict=True) if one is None]:
        raise _missing(where, path, missing, by_name)
    return MemberImages(tuple(one for one in found if one is not None), exif)


def _inside(where: str, file: str) -> PurePosixPath:
    place = PurePosixPath(file)
    if place.is_absolute() or ".." in place.parts:
        raise BadInput(f"{where}: {file!r} leads out of the folder of images; write names of files")
    return place


def _missing(where: str, path: Path, missing: Sequence[str], there: Any) -> BadInput:
    return BadInput(
        f"{where} names {missing[0]!r}, which {path} does not have ({len(missing)} such; "
        f"{nearest(missing[0], there)}); give the images of this CSV"
    )
