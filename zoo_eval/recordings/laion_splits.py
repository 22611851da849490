"""Published splits of LAION-fMRI: JSON files of train_ids and test_ids, by name."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo_eval.errors import BadInput
from zoo_eval.files import reading, text
from zoo_eval.recordings.presentations import Side


def read(
    where: str, path: Path | None, shown: Sequence[str]
) -> tuple[Mapping[str, Sequence[Side]], tuple[Path, ...]]:
    """The part that each presentation is in, by the split's name, and the files read.

    A name that has `variants` counts them, tau-1 being the second.

    Args:
        where: what is read, for messages.
        path: a JSON file, or a folder of them; None for none.
        shown: the label of each presentation.

    Raises:
        BadInput: a file is no split, or names no image that was shown, or one on both sides.
    """
    if path is None:
        return {}, ()
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise BadInput(f"{where}: {path} has no .json of a split; name the folder of one pool")
    found: dict[str, Sequence[Side]] = {}
    for file in files:
        place = f"{where}: split {file}"
        with reading.told(place, file, "is not a split that can be read"):
            held = json.loads(text.read(place, file, "JSON"))
            variants = list(held["variants"])
            name = str(held.get("name", file.stem))
        for number, variant in enumerate(variants):
            called = name if number == 0 else f"{name}-{number}"
            if called in found:
                raise BadInput(f"{place}: split {called!r} stands twice; give one pool's splits")
            found[called] = _sides(place, variant, shown)
    return found, tuple(files)


def _sides(where: str, variant: Any, shown: Sequence[str]) -> list[Side]:
    sides: tuple[tuple[Side, str], ...] = (("train", "train_ids"), ("test", "test_ids"))
    known: dict[str, Side] = {}
    for side, key in sides:
        listed = variant.get(key) if isinstance(variant, dict) else None
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            raise BadInput(f"{where} has no list `{key}` of labels; fetch the file itself")
        for one in listed:
            if known.setdefault(one, side) != side:
                raise BadInput(f"{where}: {one!r} is in train and test; keep it in one")
    found: list[Side] = [known.get(one, "") for one in shown]
    for side, _ in sides:
        if side not in found:
            raise BadInput(
                f"{where}: no image of its {side} part was shown; give the splits of this subject's pool"
            )
    return found
