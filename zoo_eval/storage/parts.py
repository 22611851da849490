"""Parts: what is finished of a long trial, kept in the store until the trial is committed.

`parts/<trial id>.<first>-<end>.<digest>.parquet` holds the rows of some of a trial's images, from the
first up to the end; a fit counts as one. Whoever runs the trial after a process was killed, on whatever
node, goes on behind them.
A part is no result: nothing reads it but that run, and the ledger names none. One that is not,
to the bit, what was written for this very trial by this very version is as if it were not there.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zoo_eval import __version__
from zoo_eval.digests import bytes_digest, canonical_json
from zoo_eval.storage.damage import UNREADABLE
from zoo_eval.storage.objects import Objects
from zoo_eval.storage.parquet import parquet
from zoo_eval.tables import SCHEMA_VERSION

FOLDER = "parts"
NAME = re.compile(r"([0-9a-f]{32})\.(\d{8})-(\d{8})\.([0-9a-f]{32})\.parquet")
# Less is quickly done again: of what takes no longer, nothing is written.
KEPT_EVERY_S = 10.0
# The key of what a part is of, in its file.
ABOUT = b"part"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """A part by its name: of which trial, and of which of its images, by number."""

    path: str
    trial_id: str
    first: int
    end: int
    digest: str

    @classmethod
    def of(cls, path: str) -> "Part | None":
        """The part of that name; None where it is no part's."""
        found = NAME.fullmatch(path.removeprefix(f"{FOLDER}/"))
        return found and cls(path, found[1], int(found[2]), int(found[3]), found[4])


def present(objects: Objects) -> list[Part]:
    """The parts that are there, by their names."""
    found = (Part.of(one.path) for one in objects.listed(FOLDER))
    return [one for one in found if one is not None]


def leftovers(objects: Objects, status: Mapping[str, str]) -> list[str]:
    """Paths of parts that nobody will go on from: those of trials that are done.

    One that failed may be tried again, and goes on then.
    """
    return [one.path for one in present(objects) if status.get(one.trial_id) in ("ok", "refused")]


@dataclass(frozen=True)
class Writer:
    """Who makes rows: parts of others are not read, for theirs may have other columns or numbers."""

    evaluation_version: int
    schema: int = SCHEMA_VERSION
    package: str = __version__

    def about(self, trial_id: str, first: int, end: int) -> bytes:
        """What is written into a part."""
        return canonical_json({"trial": trial_id, "images": [first, end], **vars(self)}).encode()


@dataclass(eq=False)
class Begun:
    """A trial that is under way: the rows of its first `n_done` images, in order."""

    trial_id: str
    writer: Writer
    parts: "Parts | None" = None
    rows: list[Row] = field(default_factory=list)
    n_done: int = 0
    _kept_rows: int = 0
    _kept_images: int = 0
    _kept_at: float = field(default_factory=lambda: time.monotonic())

    def add(self, rows: Iterable[Row], n_images: int) -> None:
        """Adds the rows of the next images, and keeps what is new if that was long in the making."""
        self.rows += rows
        self.n_done += n_images
        is_long = time.monotonic() - self._kept_at >= KEPT_EVERY_S
        if is_long and self.parts is not None and self.parts.sound():
            self._keep(self.parts)

    def _keep(self, parts: "Parts") -> None:
        first, end = self._kept_images, self.n_done
        about = self.writer.about(self.trial_id, first, end)
        # A part that cannot be kept costs its time alone; a store that is full says so at a commit.
        with suppress(*UNREADABLE):
            held = _as_bytes(self.rows[self._kept_rows :], about)
            parts.create(self.trial_id, first, end, held)
            self._kept_rows, self._kept_images = len(self.rows), end
        self._kept_at = time.monotonic()

    def go_on(self) -> None:
        """Takes over whatever parts follow one another from the first image on."""
        if self.parts is None:
            return
        found = self.parts.of(self.trial_id)
        for one in sorted(found, key=lambda one: (one.first, -one.end)):
            if one.first != self.n_done:
                continue
            about = self.writer.about(self.trial_id, one.first, one.end)
            if (rows := self.parts.read(one, about)) is not None:
                self.rows += rows
                self.n_done = one.end
        self._kept_rows, self._kept_images = len(self.rows), self.n_done


@dataclass(eq=False)
class Parts:
    """The parts of a store: found once, written, and removed with their trial's commit.

    None is written while `sound` says that what is computed is not what its identity says.
    """

    objects: Objects
    sound: Callable[[], bool] = lambda: True
    _found: dict[str, list[Part]] | None = None

    def of(self, trial_id: str) -> list[Part]:
        """A trial's parts, by their names."""
        if self._found is None:
            self._found = {}
            # Whoever does not see them begins anew.
            with suppress(OSError):
                for one in present(self.objects):
                    self._found.setdefault(one.trial_id, []).append(one)
        return self._found.setdefault(trial_id, [])

    def read(self, one: Part, about: bytes) -> list[Row] | None:
        """A part's rows; None where it is not, to the bit, one that was written about this."""
        try:
            held = self.objects.get(one.path)
            if bytes_digest([held]) != one.digest:
                return None
            table = pq.read_table(pa.BufferReader(held))
        except UNREADABLE:
            return None
        rows: list[Row] = table.to_pylist()
        return rows if (table.schema.metadata or {}).get(ABOUT) == about else None

    def create(self, trial_id: str, first: int, end: int, held: bytes) -> None:
        """Writes a part.

        Raises:
            OSError: the store cannot be written.
        """
        own = bytes_digest([held])
        path = f"{FOLDER}/{trial_id}.{first:08d}-{end:08d}.{own}.parquet"
        self.objects.create(path, held)
        self.of(trial_id).append(Part(path, trial_id, first, end, own))

    def remove(self, trial_ids: Iterable[str]) -> None:
        """Removes the parts of trials that are committed; nobody is asked where there are none."""
        paths = [one.path for trial in trial_ids for one in (self._found or {}).pop(trial, [])]
        if paths:
            # What stays is a leftover: whoever compacts the store removes it.
            with suppress(OSError):
                self.objects.delete(*paths)


def _as_bytes(rows: Sequence[Row], about: bytes) -> bytes:
    names = dict.fromkeys(name for row in rows for name in row)
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    return parquet(table.replace_schema_metadata({ABOUT: about}))
