"""Manifest: the merged files, and how far into the ledger they reach.

`manifest/00000042.json` is written by a compaction alone; the highest number counts. Readers take its
files and the ledger's records after `ledger`. Beside it lies a copy, made after it: should one of the
two be damaged, the other says the same.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo_eval.storage.ledger import Named, texts
from zoo_eval.storage.objects import Objects
from zoo_eval.storage.records import Records, from_bytes

FOLDER = "manifest"
COPY = ".copy"
NAME = re.compile(r"(\d{8})\.json(\.copy)?")


@dataclass(frozen=True)
class Manifest:
    """Number 0 is that of a store in which nothing was merged yet."""

    number: int = 0
    ledger: int = 0
    segments: Sequence[Named] = ()
    void: Sequence[str] = ()
    kept: Mapping[str, Named] = field(default_factory=dict)

    @property
    def commits(self) -> set[str]:
        """Those whose rows were merged."""
        return {commit for one in self.segments for commit in one.commits}

    def as_json(self) -> dict[str, Any]:
        # Most commits are in the segments of several tables: each is written out once.
        commits = sorted(self.commits)
        place = {commit: number for number, commit in enumerate(commits)}
        segments = [
            [one.as_json(), sorted(place[commit] for commit in one.commits)]
            for one in self.segments
        ]
        return {
            "ledger": self.ledger,
            "commits": commits,
            "segments": segments,
            "void": list(self.void),
            "kept": {name: one.as_json() for name, one in self.kept.items()},
        }

    @classmethod
    def from_json(cls, number: int, content: dict[str, Any]) -> "Manifest":
        """What `as_json` gave.

        Raises:
            ValueError: it is something else.
        """
        try:
            commits = texts(content["commits"])
            segments = [
                Named.from_json(told, [commits[place] for place in places])
                for told, places in content["segments"]
            ]
            kept = {name: Named.from_json(told) for name, told in content["kept"].items()}
            return cls(number, int(content["ledger"]), segments, texts(content["void"]), kept)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError("damaged") from error


def newest(objects: Objects) -> tuple[int, list[str]]:
    """The number of the newest manifest, and the names of all there are, copies among them."""
    listed = [one.name for one in objects.listed(FOLDER)]
    named = [name for name in listed if NAME.fullmatch(name)]
    return max((int(name[:8]) for name in named), default=0), named


def intact(objects: Objects, number: int) -> Manifest | None:
    """What the copy beside a manifest says, or else the newest that is whole; under this number.

    What an older one says is true too: what it names stays as long as it does, with the ledger after it.
    """
    path = Records(objects, FOLDER).path
    _, names = newest(objects)
    older = sorted({int(name[:8]) for name in names} - {number}, reverse=True)
    for place in [path(number) + COPY, *(path(n) + end for n in older for end in ("", COPY))]:
        try:
            return Manifest.from_json(number, from_bytes(objects.get(place)))
        except (ValueError, FileNotFoundError):
            continue
    return None
