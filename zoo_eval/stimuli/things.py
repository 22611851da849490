"""THINGS: a folder of JPEG files by object, of which a list says which were shown, and in which order."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import csv_table
from zoo_eval.files.reading import MOST_BYTES
from zoo_eval.paths import SweepPath
from zoo_eval.stimuli import ids as listed_ids
from zoo_eval.stimuli import matlab_lists
from zoo_eval.stimuli.decoding import Exif
from zoo_eval.stimuli.folder import Files
from zoo_eval.stimuli.listing import listed
from zoo_eval.stimuli.order import lexicographic
from zoo_eval.stimuli.stimulus_set import StimuliSection, StimulusSet, Sweepmates

Part = Literal["train", "test"]
PARTS: tuple[Part, ...] = ("train", "test")
# TVSD's structure of each part, and its field.
IMAGES, PLACE = "_imgs", "things_path"
COLUMNS = ("stimulus", "image", "image_name", "filename", "things_path", "path")


class ThingsSection(StimuliSection):
    """Images of THINGS by a list of those that were shown: a text file, a CSV, or TVSD's things_imgs.mat.

    Entries are paths within the folder (aardvark/aardvark_01b.jpg, also with backslashes) or names of
    files alone; an id is the entry, with slashes. Of a CSV `column` says which, of things_imgs.mat
    `part` whether train or test; both are read where it says neither. `order` is that of the list, or
    of the ids as text.
    """

    kind: Literal["things"] = "things"
    path: SweepPath
    images: SweepPath
    column: str | None = None
    part: Part | None = None
    order: Literal["list", "sorted"] = "list"
    limit: Annotated[int, Field(ge=1)] | None = None
    exif: Exif = "ignore"

    @property
    def is_whole(self) -> bool:
        # A list is already a part of what the folder has.
        return self.limit is None and self.part is None

    def read(self, name: str, known: Sweepmates) -> StimulusSet:
        folder, path = self.path.resolve(), self.images.resolve()
        where = f"stimuli {name!r}: {path}"
        given = [_slashed(one) for one in self._entries(where, path, known.memory_budget_bytes)]
        # A list of trials, such as a table of responses, names an image each time.
        entries = list(dict.fromkeys(given))
        if self.order == "sorted":
            entries.sort(key=lexicographic)
        entries = entries[: self.limit]
        if not entries:
            raise BadInput(f"{where} names no image; give the list of those that were shown")
        files = _found(where, folder, entries)
        ids = tuple(entries)
        notes = (f"{len(files)} images of the list are used",)
        return StimulusSet(name, ids, Files(files, self.exif), groups=ids, notes=notes)

    def _entries(self, where: str, path: Path, most_bytes: int) -> Sequence[str]:
        suffix = path.suffix.lower()
        if suffix == ".mat":
            return [
                entry
                for part in (PARTS if self.part is None else (self.part,))
                for entry in tvsd_images(where, path, part, most_bytes)
            ]
        if self.part is not None:
            raise BadInput(f"{where}: `part` is of TVSD's things_imgs.mat; leave it out")
        if suffix in (".csv", ".tsv"):
            return _of_table(where, path, self.column)
        return [one for one in listed_ids.listed(path) if one]


def tvsd_images(where: str, path: Path, part: Part, most_bytes: int = MOST_BYTES) -> list[str]:
    """The images of a part of TVSD's things_imgs.mat, in its order, with slashes.

    Raises:
        BadInput: the file is damaged, or has no such part.
    """
    texts = matlab_lists.texts(where, path, (f"{part}{IMAGES}", PLACE), most_bytes)
    if texts is None:
        raise BadInput(f"{where} has no variable '{part}{IMAGES}'; give TVSD's things_imgs.mat")
    return [*map(_slashed, texts)]


def n_tvsd_images(where: str, path: Path, part: Part, most_bytes: int = MOST_BYTES) -> int:
    """How many images a part of TVSD's things_imgs.mat lists, whose names are not read: it has thousands.

    Raises:
        BadInput: as `tvsd_images` does.
    """
    found = matlab_lists.n_texts(where, path, (f"{part}{IMAGES}", PLACE), most_bytes)
    if found is None:
        raise BadInput(f"{where} has no variable '{part}{IMAGES}'; give TVSD's things_imgs.mat")
    return found


def _of_table(where: str, path: Path, column: str | None) -> list[str]:
    table = csv_table.read(where, path, () if column is None else (column,), COLUMNS)
    chosen = column or next((one for one in COLUMNS if one in table.columns), None)
    if chosen is None:
        there = ", ".join(table.columns)
        raise BadInput(f"{where}: no column {', '.join(COLUMNS)} (columns: {there}); set `column`")
    if blank := next((line for line in table.lines if not line[chosen]), None):
        raise BadInput(f"{blank.where}: {chosen} is empty; fill it in")
    return [line[chosen] for line in table.lines]


def _slashed(entry: str) -> str:
    return entry.strip().replace("\\", "/").removeprefix("./")


def _found(where: str, folder: Path, entries: Sequence[str]) -> tuple[Path, ...]:
    """The file of each entry: at its path from the folder or from one below it, or of its name alone."""
    files = listed(folder, ("*",)).images
    by_end = defaultdict(list)
    for file in files:
        parts = file.relative_to(folder).parts
        for start in range(len(parts)):
            by_end["/".join(parts[start:])].append(file)
    if several := [one for one in entries if len(by_end.get(one, ())) > 1]:
        first, second = by_end[several[0]][:2]
        raise BadInput(
            f"{where}: {several[0]!r} may be {first} or {second} ({len(several)} such); write the folder, "
            "too"
        )
    if missing := [one for one in entries if one not in by_end]:
        raise BadInput(
            f"{where} names {missing[0]!r}, which is not in {folder} ({len(missing)} of "
            f"{len(entries)} images; {nearest(missing[0], [file.relative_to(folder).as_posix() for file in files])}); unpack all of THINGS, or name the "
            "images that are there"
        )
    return tuple(by_end[one][0] for one in entries)
