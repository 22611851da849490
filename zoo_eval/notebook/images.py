"""Live stimuli: images that exist as arrays or PIL images, or lie in files, with ids and labels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import index
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from PIL import Image
from pydantic import ConfigDict

from zoo_eval.errors import BadInput
from zoo_eval.stimuli import classes, decoding
from zoo_eval.stimuli import labels as by_name
from zoo_eval.stimuli.folder import FOLDERS, Files, read_folder
from zoo_eval.stimuli.ids import Lookup
from zoo_eval.stimuli.order import disputed
from zoo_eval.stimuli.stimulus_set import Pixels, StimuliSection, StimulusSet, Sweepmates

Names: TypeAlias = Sequence[Any] | Mapping[Any, Any]
NOUN = "images"


class LiveStimuliSection(StimuliSection):
    """Images that exist already; no sweep file can name them."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    kind: Literal["live"] = "live"
    images: StimulusSet

    def __repr__(self) -> str:
        return f"<{len(self.images)} images, {self.images.ids[0]!r} to {self.images.ids[-1]!r}>"

    def read(self, name: str, known: Sweepmates) -> StimulusSet:
        return replace(self.images, name=name)


def images(
    source: Any,
    *,
    ids: Sequence[Any] | None = None,
    labels: Names | Literal["folders"] | None = None,
    groups: Names | None = None,
) -> LiveStimuliSection:
    """Stimuli for `zoo_eval.run(stimuli={"NAME": ...})`.

    Args:
        source: an array uint8 (image, row, column, RGB), a list of such arrays (row, column, RGB) of
            any sizes, a list of PIL images, a list of paths, or a folder, whose images are taken in
            the order of their names as text. PIL images and files are decoded to RGB as in
            docs/stimuli.md: grey is repeated, transparency dropped, 16 bits are divided by 257. Arrays are copied.
        ids: one name per image, as text; by default their numbers from 0, for files their names,
            for a folder paths relative to it.
        labels: class indices (of ImageNet's 1000, for accuracy and attacks), or WordNet ids or names
            of ImageNet's classes, in the order of the images or by id, with its suffix or without;
            "folders" takes the names of the files' folders.
        groups: names of what must stay in one fold (crops of one photo), in the order of the images
            or by id; by default every image is alone.

    Raises:
        BadInput: values that are no pixels, ids that repeat, or a part of another length, or one in
            the order of a folder's images where the numbers in their names have another.
    """
    found = _stimuli(source)
    if isinstance(source, str | Path):
        listed = None if isinstance(labels, str) else labels
        for part, given in (("ids", ids), ("labels", listed), ("groups", groups)):
            _check_order(part, given, found.ids)
    if ids is not None:
        names = tuple(map(str, ids))
        found = replace(found, ids=names, groups=names)
    if groups is not None:
        found = replace(
            found, groups=tuple(str(one) for one in _ordered("groups", groups, found.ids))
        )
    if isinstance(labels, str):
        found = replace(found, labels=_by_folders(labels, found))
    elif labels is not None:
        found = replace(found, labels=tuple(map(_label, _ordered("labels", labels, found.ids))))
    return LiveStimuliSection(images=found)


def _stimuli(source: Any) -> StimulusSet:
    if isinstance(source, str | Path):
        return _of_folder(Path(source).expanduser())
    parts = list(source) if isinstance(source, Sequence) else source
    if isinstance(parts, list) and parts and all(isinstance(one, str | Path) for one in parts):
        paths = tuple(Path(one).expanduser().absolute() for one in parts)
        names = tuple(path.name for path in paths)
        return StimulusSet(NOUN, names, Files(paths), groups=names)
    pixels = tuple(_pixels(one, number) for number, one in enumerate(_each(parts)))
    names = tuple(str(number) for number in range(len(pixels)))
    return StimulusSet(NOUN, names, pixels, groups=names)


def _of_folder(folder: Path) -> StimulusSet:
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder; correct the path, or give a list of files")
    return read_folder(str(folder), folder.absolute())


def _each(source: Any) -> Sequence[Any]:
    """The images of a list or of one array."""
    if isinstance(source, list):
        return source
    array = np.asarray(source)
    if array.ndim != 4:
        raise BadInput(
            f"images: expected an array (image, row, column, RGB), got shape {array.shape}; give that, "
            "a list of images, paths or a folder"
        )
    return list(array)


def _pixels(one: Any, number: int) -> Pixels:
    if isinstance(one, Image.Image):
        try:
            return decoding.decoded(one)
        except BadInput as error:
            raise BadInput(f"image {number}: {error}") from error
    array = np.asarray(one)
    where = f"image {number}"
    if array.dtype.kind == "f":
        raise BadInput(
            f"{where}: floats may mean [0, 1], 0 to 255 or normalised values; give uint8, from [0, 1] by "
            '(images * 255).round().astype("uint8")'
        )
    if array.ndim == 3 and array.shape[0] == 3 and array.shape[2] != 3:
        raise BadInput(
            f"{where}: shape {array.shape} has its colours first; give (row, column, RGB), by "
            "images.transpose(0, 2, 3, 1)"
        )
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise BadInput(
            f"{where}: expected uint8 (row, column, RGB), got {array.dtype} {array.shape}; convert it"
        )
    # Whoever gave it may write to it later.
    return np.array(array, dtype=np.uint8, order="C")


def _check_order(part: str, given: Names | None, ids: Sequence[str]) -> None:
    """Refuses what is in the order of a folder's images where that is anyone's guess."""
    if given is None or isinstance(given, Mapping) or (dispute := disputed(ids)) is None:
        return
    first, second = map(repr, dispute)
    raise BadInput(
        f"{part}: the folder's images are in the order of text, {first} before {second}, and by "
        f"number {second} comes first; give "
        + ("the files in your order, as a list" if part == "ids" else "them by id, as a dict")
    )


def _ordered(part: str, given: Names, ids: Sequence[str]) -> Sequence[Any]:
    if not isinstance(given, Mapping):
        return list(given)
    lookup = Lookup(ids)
    by_number: dict[int, Any] = {}
    unknown = []
    for key, value in given.items():
        number = lookup.meant(part, str(key))
        if number is None:
            unknown.append(str(key))
        elif number in by_number:
            raise BadInput(f"{part}: image {ids[number]!r} is named twice; keep one of the two")
        else:
            by_number[number] = value
    if unknown:
        raise BadInput(
            f"{part}: {unknown[0]!r} is no image's id ({len(unknown)} such; "
            f"{lookup.nearest(unknown[0])}); correct it"
        )
    if missing := [one for number, one in enumerate(ids) if number not in by_number]:
        raise BadInput(f"{part}: none for image {missing[0]!r} ({len(missing)} such); add them")
    return [by_number[number] for number in range(len(ids))]


def _label(value: Any) -> int:
    if isinstance(value, str):
        return classes.label("labels", value)
    if isinstance(value, float):
        # As pandas has whole numbers where one is missing.
        return classes.index("labels", value)
    try:
        return classes.index("labels", index(value))
    except TypeError as error:
        raise BadInput(f"label {value!r} is no class index; give whole numbers from 0") from error


def _by_folders(given: str, found: StimulusSet) -> tuple[int, ...]:
    if given != FOLDERS or not isinstance(found.images, Files):
        raise BadInput(
            f'labels {given!r}: give a list, a dict by id, or of files "{FOLDERS}", by the names of '
            "their folders"
        )
    return by_name.from_folders(NOUN, [path.as_posix() for path in found.images.paths])
