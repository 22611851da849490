"""Snapshot: what a store holds at one moment: files that count, trials, and what is damaged."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from zoo_eval.errors import one_line
from zoo_eval.storage import ledger, manifest, versions
from zoo_eval.storage.damage import GONE, UNREADABLE, Damage
from zoo_eval.storage.ledger import Count, Entry, Ledger, Named
from zoo_eval.storage.manifest import Manifest
from zoo_eval.storage.objects import Objects, each
from zoo_eval.storage.records import Records, name_of
from zoo_eval.tables import SCHEMA_VERSION, SUMMARIES, TRIALS

# So many files of a table are asked for one by one: beside them may lie thousands that were merged.
FEW = 20
MOST_MISSING = 100_000
KEY = ["trial_id", "attempt", "commit_id"]
COUNTED = ["trial_id", "attempt", "status", "commit_id"]


@dataclass(frozen=True)
class Snapshot:
    """What counts. It stays readable for the grace period of a compaction, whatever is written.

    Attributes:
        manifest: the newest.
        last: the number of the ledger's last record.
        entries: the ledger's records after the manifest's, by number.
        count: which commit counts for each trial.
        void: commits of which nothing counts.
        files: those of trials that count, by table.
        kept: those of no trial that count, by what they are.
        damages: what of all this is gone or not as it was written.
    """

    manifest: Manifest
    last: int
    entries: Mapping[int, Entry]
    count: Count
    void: Collection[str]
    files: Mapping[str, Sequence[Named]]
    kept: Mapping[str, Named]
    damages: Sequence[Damage]

    @property
    def ledger(self) -> Ledger:
        return self.count.ledger

    @property
    def hides_trials(self) -> bool:
        """Whether files of the trials table have rows that do not count."""
        own = self.files.get(TRIALS.name, ())
        return bool(self.count.lost) or any(c in self.void for one in own for c in one.commits)

    def counting(self, trials: pa.Table) -> pa.Table:
        """Of rows (of the trials table) those that count."""
        keys = zip(*(trials[column].to_pylist() for column in KEY))
        lost, void = self.count.lost, self.void
        keep = [key not in lost and key[2] not in void for key in keys]
        return trials.filter(pa.array(keep, pa.bool_()))

    def named(self) -> dict[str, Named]:
        """All files that count, by path."""
        of_trials = {one.path: one for some in self.files.values() for one in some}
        return of_trials | {one.path: one for one in self.kept.values()}


@dataclass
class Register:
    """Reads snapshots of a store, each record once.

    `schema` is what the marker says; `at_least` is a number that the ledger is
    known to have reached.
    """

    objects: Objects
    schema: int = SCHEMA_VERSION
    at_least: int = 0
    _entries: dict[int, Entry] = field(default_factory=dict)
    _manifest: Manifest = field(default_factory=Manifest)
    _kept_rows: dict[str, pa.Table] = field(default_factory=dict)

    @property
    def records(self) -> Records:
        return Records(self.objects, ledger.FOLDER)

    @property
    def manifests(self) -> Records:
        return Records(self.objects, manifest.FOLDER)

    def snapshot(self) -> Snapshot:
        """What the store holds now."""
        found = self._read()
        if any(damage.what == GONE for damage in found.damages):
            # A compaction may have been between the listing of its manifest and of its files.
            found = self._read()
        return found

    def _read(self) -> Snapshot:
        damages: list[Damage] = []
        newest = self._newest(damages)
        entries, last = self._tail(newest, damages)
        void = set(newest.void).union(*(one.void for one in entries.values()))
        count = Count()
        files = [one for one in newest.segments if not void.issuperset(one.commits)]
        self._count([one for one in files if one.table == TRIALS.name], count, void, damages)
        for number in sorted(entries):
            for commit in entries[number].commits:
                if commit.id not in void and count.takes(commit.id, commit.trials):
                    files += commit.files
        kept = _kept(newest, entries)
        by_table: dict[str, list[Named]] = {}
        for one in files:
            by_table.setdefault(one.table, []).append(one)
        many = [t for t, some in by_table.items() if len(some) > FEW or not newest.number]
        named = {**by_table, "": list(kept.values())}
        damages += self._unlike(named, many, {one.path for one in damages})
        damages = _needed(damages, kept)
        return Snapshot(newest, last, entries, count, void, by_table, kept, damages)

    def _newest(self, damages: list[Damage]) -> Manifest:
        number, listed = manifest.newest(self.objects)
        if not number:
            return Manifest()
        if number == self._manifest.number and name_of(number) in listed:
            return self._manifest
        path = self.manifests.path(number)
        try:
            read = Manifest.from_json(number, self.manifests.read(number))
        except (ValueError, FileNotFoundError) as error:
            damages.append(Damage(path, _what(error)))
            return manifest.intact(self.objects, number) or Manifest(number)
        self._manifest = read
        return read

    def _tail(self, newest: Manifest, damages: list[Damage]) -> tuple[dict[int, Entry], int]:
        # The last that was merged stays where it is: from its number on writers count.
        numbers = self.records.found(max(newest.ledger - 1, 0))
        if newest.ledger and numbers.pop(newest.ledger, None) is None:
            damages.append(Damage(self.records.path(newest.ledger), GONE))
        if self.schema < SCHEMA_VERSION and not numbers and not newest.number:
            return {1: self._adopted(damages)}, 0
        last = max([*numbers, newest.ledger, self.at_least])
        wanted = range(newest.ledger + 1, last + 1)
        if len(wanted) > MOST_MISSING + len(numbers):
            path = self.records.path(last)
            raise OSError(f"{path} is far beyond the others; if it is no record, move it away")
        entries = {n: one for n, one in self._entries.items() if n in numbers}

        def read(number: int) -> Entry | Damage:
            try:
                return Entry.from_json(self.records.read(number))
            except (ValueError, FileNotFoundError) as error:
                return Damage(self.records.path(number), _what(error))

        unread = [number for number in wanted if number not in entries]
        for number, one in zip(unread, each(self.objects, read, unread), strict=True):
            if isinstance(one, Entry):
                entries[number] = one
            else:
                damages.append(one)
        self._entries = entries
        return dict(entries), last

    def _adopted(self, damages: list[Damage]) -> Entry:
        def unreadable(path: str, error: Exception) -> None:
            damages.append(Damage(path, f"cannot be read ({one_line(error)})"))

        return versions.after(self.schema).adopted(self.objects, unreadable)

    def _count(
        self,
        segments: Sequence[Named],
        count: Count,
        void: Collection[str],
        damages: list[Damage],
    ) -> None:
        """Counts the trials of merged commits, of which each attempt is in one alone."""
        self._kept_rows = {
            one.path: self._kept_rows[one.path] for one in segments if one.path in self._kept_rows
        }
        found = list[tuple[str, int, str, str]]()
        for segment in segments:
            if segment.path not in self._kept_rows:
                rows = self._rows(segment)
                if isinstance(rows, Damage):
                    damages.append(rows)
                    continue
                self._kept_rows[segment.path] = rows
            rows = self._kept_rows[segment.path]
            if any(commit in void for commit in segment.commits):
                rows = rows.filter(pc.invert(pc.is_in(rows["commit_id"], pa.array(sorted(void)))))
            found += zip(*(rows[name].to_pylist() for name in COUNTED), strict=True)
        # A later attempt may be in an earlier segment.
        found.sort(key=itemgetter(1))
        for commit, own in groupby(found, key=itemgetter(3)):
            count.takes(commit, (row[:3] for row in own))

    def _rows(self, segment: Named) -> pa.Table | Damage:
        try:
            held = self.objects.get(segment.path)
        except FileNotFoundError:
            return Damage(segment.path, GONE, segment.commits)
        try:
            if segment.is_of(held):
                return pq.read_table(pa.BufferReader(held), columns=COUNTED)
        except UNREADABLE:
            pass
        return Damage(segment.path, "is damaged", segment.commits)

    def _unlike(
        self, files: Mapping[str, Sequence[Named]], many: Sequence[str], known: Collection[str]
    ) -> list[Damage]:
        """Files that are not there, or not as large as they were written; `many` are tables to list."""
        found = []
        sizes = self._sizes(files, many)
        for one in (one for some in files.values() for one in some if one.path not in known):
            size = sizes.get(one.path)
            if size is None:
                found.append(Damage(one.path, GONE, one.commits))
            elif size != one.size:
                what = f"has {size} bytes of the {one.size} that were written"
                found.append(Damage(one.path, what, one.commits))
        return found

    def _sizes(self, files: Mapping[str, Sequence[Named]], many: Sequence[str]) -> dict[str, int]:
        """Those of the files that are there: one listing for a table of many, or else one by one."""
        listed = each(self.objects, self.objects.listed, many)
        sizes = {one.path: one.size for some in listed for one in some}
        asked = [one.path for some in files.values() for one in some if one.path not in sizes]
        heads = each(self.objects, self.objects.head, asked)
        return sizes | {one.path: one.size for one in heads if one is not None}


def _kept(newest: Manifest, entries: Mapping[int, Entry]) -> dict[str, Named]:
    kept = dict(newest.kept)
    for number in sorted(entries):
        for name, one in entries[number].kept.items():
            if one is None:
                kept.pop(name, None)
            else:
                kept[name] = one
    return kept


def _needed(damages: Sequence[Damage], kept: dict[str, Named]) -> list[Damage]:
    """Damages but that of summaries, which then do not count: all that they say is said by rows."""
    summary = kept.get(SUMMARIES.name)
    if summary is None or summary.path not in {one.path for one in damages}:
        return list(damages)
    del kept[SUMMARIES.name]
    return [one for one in damages if one.path != summary.path]


def _what(error: Exception) -> str:
    return GONE if isinstance(error, FileNotFoundError) else f"is {error}"
