"""Classes: what a label says, as the index that ImageNet's networks give; never an order of folders."""

import csv
import importlib.util
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unicodedata import normalize

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files.csv_table import number

WORDNET_ID = re.compile(r"n[0-9]{8}")
# Beyond any network's classes; tables hold labels as 32-bit integers.
N_LABELS = 2**31


@dataclass(frozen=True)
class Classes:
    """ImageNet's 1000 classes: index by WordNet id, ids that a name may mean, first names by index."""

    by_id: dict[str, int]
    by_name: dict[str, tuple[str, ...]]
    names: tuple[str, ...]


@cache
def imagenet() -> Classes:
    """By timm's own files, in the order of its networks' outputs.

    Raises:
        BadInput: timm is not installed, or not with these files.
    """
    # Found, not imported: that takes seconds, and files need none of it.
    spec = importlib.util.find_spec("timm")
    try:
        folder = Path(str(spec and spec.origin)).parent / "data" / "_info"
        ids = (folder / "imagenet_synsets.txt").read_text().split()
        lemmas = (folder / "imagenet_synset_to_lemma.txt").read_text().splitlines()
    except OSError as error:
        raise BadInput(
            "names of ImageNet's classes come with timm, which has no such file here "
            f"({error.filename}); install timm, or label by class index"
        ) from error
    by_name = defaultdict(list)
    described = dict(csv.reader(lemmas, delimiter="\t"))
    for one in ids:
        whole = described[one]
        for name in dict.fromkeys([_folded(whole), *map(_folded, whole.split(","))]):
            by_name[name].append(one)
    return Classes(
        {one: index for index, one in enumerate(ids)},
        {name: tuple(some) for name, some in by_name.items()},
        tuple(described[one].partition(",")[0] for one in ids),
    )


def label(where: str, text: str, separator: str = ",") -> int:
    """The class index that a label says: a number from 0, a WordNet id, or a name of a class.

    Args:
        where: what the label stands in, for messages.
        text: it. Of names, each of those that WordNet lists will do, in any case.
        separator: of the table that it stands in, which says how numbers may be written.

    Raises:
        BadInput: it says none, or a name of several classes (their ids are named).
    """
    try:
        return index(where, number(text, separator))
    except ValueError:
        pass
    if WORDNET_ID.fullmatch(text):
        if text not in (known := imagenet().by_id):
            raise BadInput(
                f"{where}: {text!r} is none of ImageNet's 1000 classes; {nearest(text, known)}; label "
                "by class index, or leave it out"
            )
        return known[text]
    return _named(where, text)


def index(where: str, value: float) -> int:
    """A number as a class index.

    Raises:
        BadInput: it is not whole, or out of range.
    """
    if not 0 <= value < N_LABELS or value != int(value):
        try:
            shown = f"{value:g}"
        except OverflowError:
            shown = "beyond 1e308"
        raise BadInput(
            f"{where}: label {shown} is no class index; give whole numbers from 0, WordNet ids or "
            "names of ImageNet's classes"
        )
    return int(value)


def _named(where: str, text: str) -> int:
    known = imagenet()
    meant = known.by_name.get(_folded(text), ())
    if len(meant) > 1:
        both = " and ".join(f"{one} (class {known.by_id[one]})" for one in meant)
        raise BadInput(f"{where}: {text!r} names {both}; write the id")
    if not meant:
        raise BadInput(
            f"{where}: label {text!r} is no class index, no WordNet id and no name of ImageNet's "
            f"classes; {nearest(_folded(text), known.by_name)}"
        )
    return known.by_id[meant[0]]


def _folded(name: str) -> str:
    return " ".join(normalize("NFC", name).casefold().replace("_", " ").split())
