"""Manifest: the merged files, and how far into the ledger they reach.

`manifest/00000042.json` is written by a compaction alone; the highest number counts. Readers take its
files and the ledger's records after `ledger`. Beside it lies a copy, made after it: should one of the
two be damaged, the other says the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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

    def as_json(self) -> dict[str, Any]:
        # Most commits are in the segments of several tables: each is written out once.
        commits = sorted({commit for one in self.segments for commit in one.commits})
        place = {commit: number for number, commit in enumerate(commits)}
        segments = [
            {
                "path": one.path,
                "size": one.size,
                "digest": one.digest,
                "commits": sorted(place[commit] for commit in one.commits),
            }
            for one in self.segments
        ]
        return {
            "ledger": self.ledger,
            "commits": commits,
            "segments": segments,
            "void": list(self.void),
            "dropped": list(self.dropped),
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
                Named(s["path"], s["size"], s["digest"], [commits[place] for place in s["commits"]])
                for s in content["segments"]
            ]
            return cls(number, content["ledger"], segments, content["void"], content["dropped"])
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError("damaged") from error
