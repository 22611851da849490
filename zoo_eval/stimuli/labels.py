"""Labels of a folder's images: from a CSV, from their names, or from their folders' names."""

import math
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from time import monotonic

import regex  # type: ignore[import-untyped]  # it has none

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import csv_table
from zoo_eval.stimuli import classes
from zoo_eval.stimuli.ids import Lookup, stem

# What a pattern may take on all names: a second, and a millisecond each, of which a good one needs
# a hundredth.
MOST_S, EACH_S = 1.0, 1e-3
# How often a pattern may say that something repeats, all in all; it is written out when compiled.
MOST_REPEATS = 10_000
COUNTED = re.compile(r"\{([0-9]*)(?:,([0-9]*))?\}")
# What a plan says of labels that nobody asked for.
BY_FOLDER = "are labelled by their folders, whose names are WordNet ids of ImageNet's classes"


def from_csv(name: str, path: Path, ids: Sequence[str], *, exact: bool) -> tuple[int, ...]:
    """The class of each image, from a CSV with columns image and label.

    Args:
        name: the stimuli's.
        path: the CSV; its rows may be in any order, its images with their suffix or without.
        ids: the images.
        exact: whether a label of no image is an error.

    Raises:
        BadInput: the file is wrong, a label says no class, or an image has none or two.
    """
    where, lookup = f"stimuli {name!r}: {path}", Lookup(ids)
    known: dict[int, int] = {}
    extra: list[str] = []
    for line in csv_table.read(where, path, ("image", "label")).lines:
        number = lookup.meant(line.where, line["image"])
        if number is None:
            extra.append(line["image"])
        elif number in known:
            raise BadInput(f"{line.where}: labels {ids[number]!r} twice; keep one of the two")
        else:
            known[number] = classes.label(line.where, line["label"], line.separator)
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


def from_names(name: str, pattern: str, ids: Sequence[str]) -> tuple[int, ...]:
    """The class that the first group of a pattern finds in each id.

    Raises:
        BadInput: the pattern is wrong, finds nothing, finds no class, or takes too long.
    """
    where = f"stimuli {name!r}: label_pattern {pattern!r}"
    compiled, most_s = _compiled(where, pattern), MOST_S + EACH_S * len(ids)
    ends = monotonic() + most_s

    def found(stimulus_id: str) -> int:
        try:
            # A timeout has to be positive.
            left = max(ends - monotonic(), EACH_S)
            return _found(where, stimulus_id, compiled.search(stimulus_id, timeout=left))
        except TimeoutError as error:
            raise BadInput(
                f"{where} takes more than {most_s:.3g} s on names such as {stimulus_id!r}; write it "
                "without one repetition inside another"
            ) from error

    return tuple(map(found, ids))


def _compiled(where: str, pattern: str) -> "regex.Pattern[str]":
    counts = (max(int(one[:9] or 1) for one in some) for some in COUNTED.findall(pattern))
    repeats = math.prod(max(1, count) for count in counts)
    if repeats > MOST_REPEATS:
        raise BadInput(
            f"{where} repeats something up to {repeats} times; write it with counts whose product is at "
            f"most {MOST_REPEATS}, or with + or *"
        )
    try:
        return regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError) as error:
        raise BadInput(f"{where} is no regular expression ({error}); correct it") from error


def _found(where: str, stimulus_id: str, match: "regex.Match[str] | None") -> int:
    if match is None or not match.groups() or not match.group(1):
        raise BadInput(
            f"{where} finds no number in {stimulus_id!r}; its first group must match the class index, "
            "WordNet id or name"
        )
    return classes.label(f"{where} in {stimulus_id!r}", match.group(1))


def from_folders(name: str, ids: Sequence[str]) -> tuple[int, ...]:
    """The class that the name of each image's folder says.

    Raises:
        BadInput: an image is in no folder, or a folder's name says no class, or several.
    """
    return tuple(
        classes.label(f"stimuli {name!r}: the folder of {one!r}", _folder(one)) for one in ids
    )


def by_wordnet_ids(ids: Sequence[str]) -> tuple[int, ...] | None:
    """The classes of images that all are below folders named by WordNet ids of ImageNet's classes."""
    folders = [*map(_folder, ids)]
    if not all(map(classes.WORDNET_ID.fullmatch, folders)):
        return None
    known = classes.imagenet().by_id
    return tuple(known[one] for one in folders) if set(folders) <= known.keys() else None


def _folder(stimulus_id: str) -> str:
    """The folder that labels an image: the innermost whose name is a WordNet id, or else the innermost.

    Tiny ImageNet has n01443537/images/n01443537_0.JPEG.
    """
    inwards = PurePosixPath(stimulus_id).parent.parts
    named = (one for one in reversed(inwards) if classes.WORDNET_ID.fullmatch(one))
    return next(named, inwards[-1] if inwards else "")
