"""Ledger: commits in one order, and which of them counts for each trial.

A commit's files are its own: their names hold its id, which nobody else has. Its record in the
ledger names them, with sizes and digests, and the trials they belong to. Records are numbered
(`records.py`), so commits are in one order, and the rule needs no key for each trial: **of a trial's
attempt the first commit counts, and none after the trial was ok**. That is the same as one
create-only key per trial attempt, with one request per commit in place of one per trial; and it is
stable: what counts once can not be overtaken by a commit that comes later, however long its writer
slept. Whoever lost is invisible, and swept up when files are merged.

A record may also say that a commit is void, before or after that commit's own: nothing of it counts.
So a stray file can be swept up even while its writer sleeps, and a repair is one record.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo_eval.digests import bytes_digest

FOLDER = "ledger"
# What the package itself names so; anything else is somebody's, and never removed.
COMMIT_FILE = re.compile(r"([0-9a-f]{32})\.parquet")
SEGMENT_FILE = re.compile(r"segment-[0-9a-f]{32}\.parquet")
# Trial, attempt, status.
Row = tuple[str, int, str]


@dataclass(frozen=True)
class Ledger:
    """What the store says of each trial: its last status, and how many attempts there were."""

    status: Mapping[str, str]
    attempts: Mapping[str, int]


@dataclass(frozen=True)
class Named:
    """A file that counts: what its table is, how large it is, and whose rows it has.

    `digest` is empty for one that was written by version 0.1.0, which made none.
    """

    path: str
    size: int
    digest: str
    commits: Sequence[str]

    @property
    def table(self) -> str:
        return self.path.partition("/")[0]

    @property
    def is_segment(self) -> bool:
        """Whether it is merged of the files of many commits."""
        return SEGMENT_FILE.fullmatch(self.path.rpartition("/")[2]) is not None

    @classmethod
    def of(cls, path: str, content: bytes, commits: Sequence[str]) -> "Named":
        return cls(path, len(content), bytes_digest([content]), commits)

    def as_json(self) -> list[Any]:
        """All but whose rows it has."""
        return [self.path, self.size, self.digest]

    @classmethod
    def from_json(cls, content: list[Any], commits: Sequence[str] = ()) -> "Named":
        """What `as_json` gave.

        Raises:
            ValueError: it is something else.
        """
        path, size, hexadecimal = content
        path, hexadecimal = texts([path, hexadecimal])
        return cls(path, int(size), hexadecimal, commits)

    def is_of(self, content: bytes) -> bool:
        """Whether these are its bytes."""
        if len(content) != self.size:
            return False
        return not self.digest or bytes_digest([content]) == self.digest


@dataclass(frozen=True)
class Commit:
    """Some trials' results: its files, and what became of each trial."""

    id: str
    files: Sequence[Named]
    trials: Sequence[Row]

    def as_json(self) -> dict[str, Any]:
        files = {one.path: [one.size, one.digest] for one in self.files}
        return {"commit": self.id, "files": files, "trials": [list(row) for row in self.trials]}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Commit":
        (own,) = texts([content["commit"]])
        files = [
            Named.from_json([path, size, hexadecimal], (own,))
            for path, (size, hexadecimal) in sorted(content["files"].items())
        ]
        texts(text for trial, _, status in content["trials"] for text in (trial, status))
        return cls(own, files, [(trial, int(n), status) for trial, n, status in content["trials"]])


@dataclass(frozen=True)
class Entry:
    """One record of the ledger.

    Attributes:
        commits: those that it makes count.
        void: commits of which nothing counts.
        kept: files that belong to no trial, by what they are (`inputs/NAME`, `declared/NAME`, a derived
            table): the last of a name counts; None says that there is none any more.
    """

    commits: Sequence[Commit] = ()
    void: Sequence[str] = ()
    kept: Mapping[str, Named | None] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "commits": [one.as_json() for one in self.commits],
            "void": list(self.void),
            "kept": {name: one and one.as_json() for name, one in self.kept.items()},
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Entry":
        """What `as_json` gave.

        Raises:
            ValueError: it is something else.
        """
        try:
            commits = [Commit.from_json(one) for one in content["commits"]]
            kept = {n: one and Named.from_json(one) for n, one in content["kept"].items()}
            return cls(commits, texts(content["void"]), kept)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("damaged") from error


def texts(values: Iterable[Any]) -> list[str]:
    """The values.

    Raises:
        TypeError: one is no text.
    """
    found = list(values)
    if not all(isinstance(one, str) for one in found):
        raise TypeError("no text")
    return found


@dataclass
class Count:
    """Which commit counts for each trial, as commits come in order."""

    status: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    seen: dict[tuple[str, int], str] = field(default_factory=dict)
    lost: set[tuple[str, int, str]] = field(default_factory=set)
    ok_in: dict[str, str] = field(default_factory=dict)

    def takes(self, commit: str, rows: Iterable[Row]) -> bool:
        """Counts a commit's trials; whether any of them counts."""
        any_counts = False
        for trial, attempt, status in rows:
            if self.seen.get((trial, attempt)) == commit:
                continue  # its record was made twice
            if trial in self.ok_in or (trial, attempt) in self.seen:
                self.lost.add((trial, attempt, commit))
                continue
            any_counts = True
            self.seen[trial, attempt] = commit
            if status == "ok":
                self.ok_in[trial] = commit
            if attempt >= self.attempts.get(trial, 0):
                self.attempts[trial], self.status[trial] = attempt, status
        return any_counts

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.status, self.attempts)
