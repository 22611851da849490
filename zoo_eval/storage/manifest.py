"""Manifest: the merged files, and how far into the ledger they reach.

`manifest/00000042.json` is written by a compaction alone; the highest number counts. Readers take its
files and the ledger's records after `ledger`. Beside it lies a copy, made after it: should one of the
two be damaged, the other says the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo_eval.storage.ledger import Named

FOLDER = "manifest"
COPY = ".copy"


@dataclass(frozen=True)
class Manifest:
    """Number 0 is that of a store in which nothing was merged yet."""

    number: int = 0
    ledger: int = 0
    segments: Sequence[Named] = ()
    void: Sequence[str] = ()
    dropped: Sequence[str] = ()
    kept: Mapping[str, Named] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        # Most commits are in the segments of several tables: each is written out once.
        commits = sorted({commit for one in self.segments for commit in one.commits})
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
            "dropped": list(self.dropped),
            "kept": {name: one.as_json() for name, one in self.kept.items()},
        }

    @classmethod
    def from_json(cls, number: int, content: dict[str, Any]) -> "Manifest":
        """What `as_json` gave.

        Raises:
            ValueError: it is something else.
        """
        try:
            commits = content["commits"]
            segments = [
                Named.from_json(told, [commits[place] for place in places])
                for told, places in content["segments"]
            ]
            kept = {name: Named.from_json(told) for name, told in content["kept"].items()}
            void, dropped = content["void"], content["dropped"]
            return cls(number, content["ledger"], segments, void, dropped, kept)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError("damaged") from error
