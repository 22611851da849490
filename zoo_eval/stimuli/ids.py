"""Ids: by which files say which stimulus they mean, with the suffix of its image file or without."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from unicodedata import normalize

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import text
from zoo_eval.stimuli.stimulus_set import StimulusSet

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
# Of files that hold an image: the lab format has one in each .pth.
_OF_IMAGES = IMAGE_SUFFIXES | {".pth"}
# A number as MATLAB and spreadsheets hold it.
_WHOLE = re.compile(r"([0-9]+)\.0+")
# An image of NSD: by its own number (from 1), as a file of the shared thousand, or by the number alone.
_NSD = re.compile(r"(?:shared[0-9]{4}_)?nsd[-_]?([0-9]{1,5})")
_NUMBER = re.compile(r"([0-9]{1,9})(?:\.0+)?")


def stem(stimulus_id: str) -> str:
    """The id without the suffix of an image file; what follows any other point is part of the name."""
    name, _, suffix = stimulus_id.rpartition(".")
    return name if name and f".{suffix.lower()}" in _OF_IMAGES else stimulus_id


class Lookup:
    """Some stimulus ids, to be found by names with an image's suffix or without.

    A number may be a float: 3.0 means the id 3, or 3.png. Unicode is compared in composed form, for
    a Mac's file names are not; folders may be separated by backslashes, and begin with "./".
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = ids

    @cached_property
    def _composed(self) -> list[str]:
        return [normalize("NFC", one) for one in self.ids]

    @cached_property
    def _numbers(self) -> dict[str, list[int]]:
        found = defaultdict(list)
        for number, one in enumerate(self._composed):
            found[one].append(number)
        return dict(found)

    @cached_property
    def _by_stem(self) -> dict[str, list[int]]:
        found = defaultdict(list)
        for number, one in enumerate(self._composed):
            found[stem(one)].append(number)
        return dict(found)

    @cached_property
    def _by_nsd(self) -> dict[int, list[int]]:
        found = defaultdict(list)
        for number, one in enumerate(self._composed):
            if match := _NSD.fullmatch(_file_name(stem(one))):
                found[int(match[1])].append(number)
        return dict(found)

    @cached_property
    def _by_file_name(self) -> dict[str, list[int]]:
        found = defaultdict(list)
        for number, one in enumerate(self._composed):
            found[stem(_file_name(one))].append(number)
        return dict(found)

    def published(self, where: str, name: str) -> int | None:
        """As `meant`, and where that is none: by the keys of published sets.

        An image of NSD is found by its number among the 73,000, from 1 (2951, nsd-02951,
        shared0001_nsd02951.png), any by the name of its file without its folder.

        Raises:
            BadInput: it may mean several.
        """
        if (found := self.meant(where, name)) is not None:
            return found
        composed = normalize("NFC", name).replace("\\", "/")
        match = _NSD.fullmatch(_file_name(stem(composed))) or _NUMBER.fullmatch(composed)
        if match and (alike := self._by_nsd.get(int(match[1]), [])):
            return self._one(where, name, alike, "keep one of them")
        if "/" in composed:
            return None
        alike = self._by_file_name.get(stem(composed), [])
        if stem(composed) != composed:
            alike = [one for one in alike if _file_name(self._composed[one]) == composed]
        return self._one(where, name, alike, "write the folder, too")

    def _one(self, where: str, name: str, alike: Sequence[int], how: str) -> int | None:
        if len(alike) > 1:
            several = " or ".join(ascii(self.ids[number]) for number in alike[:3])
            raise BadInput(f"{where}: {name!r} may be {several}; {how}")
        return alike[0] if alike else None

    def meant(self, where: str, name: str) -> int | None:
        """The number of the id that a name means, from 0; None where it means none of them.

        Raises:
            BadInput: it may mean several, which differ in their suffix, or in how their letters are
                composed; `where` it stands is said.
        """
        composed = normalize("NFC", name)
        alike = self._alike(composed) or self._alike(composed.replace("\\", "/").removeprefix("./"))
        if len(alike) > 1:
            several = " or ".join(ascii(self.ids[number]) for number in alike)
            how = "write the suffix"
            if len({self._composed[number] for number in alike}) == 1:
                how = "their letters are composed in two ways: rename one"
            raise BadInput(f"{where}: {name!r} may be {several}; {how}")
        return alike[0] if alike else None

    def _alike(self, name: str) -> list[int]:
        """Numbers of the ids that a name in composed form may mean."""
        if name in self._numbers:
            return self._numbers[name]
        alike = self._by_stem.get(stem(name), [])
        if stem(name) != name:
            return [number for number in alike if self._composed[number] == stem(name)]
        if not alike and (whole := _WHOLE.fullmatch(name)):
            return self._by_stem.get(whole[1], [])
        return alike

    def nearest(self, name: str) -> str:
        """The ids closest to a name that means none, as the tail of a message."""
        composed = normalize("NFC", name).replace("\\", "/")
        if alike := self._by_file_name.get(stem(_file_name(composed))):
            other = self.ids[alike[0]]
            folders = _folder(self._composed[alike[0]]) != _folder(composed)
            differ = "folder" if folders else "extension"
            return f"it differs from {other!r} by its {differ} alone"
        return nearest(name, self.ids, by=stem)


def _file_name(path: str) -> str:
    return path.rpartition("/")[2]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def numbers(
    where: str, given: Collection[str], stimuli: StimulusSet, *, partial: bool | None = None
) -> dict[str, int]:
    """The number of the stimulus that each name means, from 0; of `partial` those that mean one.

    Args:
        where: what gave the names, for messages.
        given: the names, each once.
        stimuli: the set that was shown.
        partial: whether names that mean no stimulus are left out; None where nobody can say so.

    Raises:
        BadInput: a name means no stimulus (the nearest are offered) or several, or two mean one.
    """
    lookup = Lookup(stimuli.ids)
    found = {name: lookup.published(where, name) for name in given}
    unknown = sorted(name for name, number in found.items() if number is None)
    if unknown and (not partial or len(unknown) == len(found)):
        hint = ", or set partial = true" if partial is False and len(unknown) < len(found) else ""
        raise BadInput(
            f"{where}: stimulus {unknown[0]!r} is not in stimuli {stimuli.name!r} "
            f"({len(unknown)} such; {lookup.nearest(unknown[0])}); name the set that was shown{hint}"
        )
    known = {name: number for name, number in found.items() if number is not None}
    names: dict[int, str] = {}
    for name, number in known.items():
        if (other := names.setdefault(number, name)) != name:
            raise BadInput(
                f"{where}: {other!r} and {name!r} both mean {stimuli.ids[number]!r}; write one of them"
            )
    return known


def rows(where: str, given: Sequence[str], stimuli: StimulusSet) -> list[int]:
    """Which row belongs to each stimulus, of rows with one id each.

    Raises:
        BadInput: an id is blank, stands twice, or is none of the stimuli's, or one of theirs is
            missing.
    """
    if "" in given:
        raise BadInput(f"{where}: id number {given.index('') + 1} is blank; fill it in")
    if twice := [name for name, n in Counter(given).items() if n > 1]:
        raise BadInput(f"{where}: id {twice[0]!r} stands twice; write each once")
    known = numbers(where, given, stimuli)
    place = {known[name]: row for row, name in enumerate(given)}
    if missing := [one for number, one in enumerate(stimuli.ids) if number not in place]:
        raise BadInput(
            f"{where}: no row for {missing[0]!r} of stimuli {stimuli.name!r} ({len(missing)} such); "
            "leave those out of the stimuli"
        )
    return [place[number] for number in range(len(stimuli))]


def listed(path: Path) -> tuple[str, ...]:
    """The ids in a text file, one a line.

    Raises:
        BadInput: it is no text.
    """
    found = text.lines(text.read(str(path), path, "list of ids, one a line,").rstrip())
    return tuple(line.strip() for line in found)
