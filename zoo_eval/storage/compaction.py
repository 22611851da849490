"""Compaction: many small files merged into few large ones, which a new manifest names.

Nothing that is read is changed or removed: the merged files are new, the manifest that names them is
made by `create`, and what it replaces stays for a grace period, for those who read by the old one. So
it is safe beside a running sweep, beside readers, and beside a second compaction: of two that began
from one manifest, one makes the next, and the other removes what it wrote.

What is removed is void first. A commit's writer may sleep between its files and its record in the
ledger; before such files are removed, the ledger says that their commit is void, so that the record
of a writer who wakes later does not count. Likewise no merged file that nothing names is removed
without a new manifest, which any sleeping compaction loses to.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from zoo_eval.errors import StoreError
from zoo_eval.storage import ledger, manifest, parts
from zoo_eval.storage.contents import Contents
from zoo_eval.storage.damage import UNREADABLE, Damage, said
from zoo_eval.storage.ledger import COMMIT_FILE, SEGMENT_FILE, Entry, Named
from zoo_eval.storage.legacy import DERIVED
from zoo_eval.storage.manifest import Manifest
from zoo_eval.storage.objects import Found, Objects, each
from zoo_eval.storage.parquet import parquet
from zoo_eval.storage.records import Records, as_bytes
from zoo_eval.tables import TRIALS, Table

# A segment of this size is not merged again.
LARGE_BYTES = 128 * 2**20
# Files of about so many bytes are merged at once: their rows are in memory then.
AT_ONCE_BYTES = 256 * 2**20
GRACE_S = 86_400.0
# So many small segments of a table are let be where there is little time.
MOST_SMALL = 8
SWEPT_EVERY = 16


@dataclass(frozen=True)
class Compacted:
    """What a compaction did: files merged into segments, and files removed.

    `is_other` says that another one made the manifest first, so that nothing was merged.
    """

    n_files: int
    n_segments: int
    n_removed: int
    is_other: bool = False


def compact(contents: Contents, grace_s: float = GRACE_S) -> Compacted:
    """Merges what is small, and removes what was replaced or abandoned longer than the grace period ago.

    Raises:
        StoreError: a file is damaged; nothing was merged.
        OSError: the store cannot be written.
    """
    merged = _merge(contents, all_small=True)
    removed = _Sweeping(contents, grace_s).removed()
    return Compacted(*merged, removed) if merged else Compacted(0, 0, removed, is_other=True)


def keep_up(contents: Contents) -> None:
    """Merges what is new, so that nobody who opens the store meets many small files.

    Now and then it does as `compact`, or a long sweep would leave everything twice.

    Raises:
        StoreError: a file is damaged; nothing was merged.
        OSError: the store cannot be written.
    """
    _merge(contents, all_small=False)
    if (contents.snapshot.manifest.number + 1) % SWEPT_EVERY == 0:
        _Sweeping(contents, GRACE_S).removed()


def _merge(contents: Contents, *, all_small: bool) -> tuple[int, int] | None:
    """The numbers of files and segments; None if another compaction was first."""
    now = contents.snapshot
    if not now.entries:
        return 0, 0
    ok = pa.array([f"{trial}/{commit}" for trial, commit in now.count.ok_in.items()], pa.string())
    segments: list[Named] = []
    n_files, made = 0, list[Named]()
    try:
        for table, named in now.files.items():
            if table not in contents.tables:
                # Its declaration is gone until the next sweep that brings it.
                segments += named
                continue
            small = _small(named, all_small)
            chosen = {one.path for one in small}
            segments += [one for one in named if one.path not in chosen]
            n_files += len(small)
            for some in _bundles(small):
                held = _rows(contents, contents.tables[table], some, ok)
                if held.num_rows:
                    made.append(_segment(contents.objects, table, held))
    except BaseException:
        contents.objects.delete(*(one.path for one in made))
        raise
    number = now.manifest.number + 1
    found = Manifest(number, now.last, [*segments, *made], sorted(now.void), now.kept)
    # Should this end in an error, nobody knows whether the manifest was made: its files stay.
    if not publish(contents.objects, found):
        contents.objects.delete(*(one.path for one in made))
        return None
    return n_files, len(made)


def publish(objects: Objects, found: Manifest) -> bool:
    """Makes a manifest the newest, and its copy; whether nobody was first."""
    path, held = Records(objects, manifest.FOLDER).path(found.number), as_bytes(found.as_json())
    if not objects.create(path, held):
        return False
    objects.create(path + manifest.COPY, held)
    return True


def _small(files: Sequence[Named], all_small: bool) -> list[Named]:
    """Those of a table that are merged; small segments not each time, or all rows were written each time."""
    new = [one for one in files if not one.is_segment]
    small = [one for one in files if one.is_segment and one.size < LARGE_BYTES]
    return new + small if all_small or len(small) >= MOST_SMALL else new


def _bundles(files: Sequence[Named]) -> Iterator[list[Named]]:
    bundle, size = list[Named](), 0
    for one in files:
        if bundle and size + one.size > AT_ONCE_BYTES:
            yield bundle
            bundle, size = [], 0
        bundle.append(one)
        size += one.size
    if bundle:
        yield bundle


def _rows(contents: Contents, table: Table, files: Sequence[Named], ok: pa.Array) -> pa.Table:
    """The rows of files that count, sorted."""

    def read(path: str) -> pa.Table:
        held = contents.objects.get(path)
        try:
            if not known[path].is_of(held):
                raise ValueError
            found = pq.read_table(
                pa.BufferReader(held), schema=table.schema, page_checksum_verification=True
            )
        except UNREADABLE as error:
            damage = Damage(path, "is damaged", known[path].commits)
            raise StoreError(said(contents.name, [damage])) from error
        if table.name == TRIALS.name:
            return contents.snapshot.counting(found)
        keys = pc.binary_join_element_wise(found["trial_id"], found["commit_id"], "/")
        return found.filter(pc.is_in(keys, ok))

    known = {one.path: one for one in files}
    held = pa.concat_tables(each(contents.objects, read, known))
    by = [name for name in ("model", "trial_id", "attempt") if name in held.column_names]
    return held.sort_by([(name, "ascending") for name in by])


def _segment(objects: Objects, table: str, held: pa.Table) -> Named:
    content = parquet(held)
    path = f"{table}/segment-{uuid4().hex}.parquet"
    objects.create(path, content)
    return Named.of(path, content, sorted(set(held["commit_id"].to_pylist())))


@dataclass(frozen=True)
class _Sweeping:
    """Removes what nobody reads any more.

    Who opened the store within the grace period saw the manifest that was the newest at its beginning,
    or a later one, and the ledger's records after that: all that these name stays.
    """

    contents: Contents
    grace_s: float

    def removed(self) -> int:
        """How many files were removed."""
        objects = self.contents.objects
        before = objects.now() - self.grace_s
        manifests = Records(objects, manifest.FOLDER)
        found = manifests.found()
        aged = [number for number, one in found.items() if one.modified <= before]
        oldest = max(aged, default=0)
        read = self._manifests(found, oldest)
        kept = [one for one in read if one.number >= oldest]
        first = kept[0] if oldest and kept else Manifest()
        old = self._settled(self._unread(before, kept, first), kept)
        if not self._superseded(old, read):
            old = [one for one in old if not SEGMENT_FILE.fullmatch(one.name)]
        gone = [one.path for one in old]
        records = Records(objects, ledger.FOLDER)
        # The last one stays: from its number on writers count.
        gone += [records.path(number) for number in records.found() if number < first.ledger]
        for number in (n for n in found if n < oldest):
            gone += [manifests.path(number), manifests.path(number) + manifest.COPY]
        gone += [one.path for one in objects.leftovers() if one.modified <= before]
        gone += parts.leftovers(objects, self.contents.ledger.status)
        objects.delete(*gone)
        return len(gone)

    def _manifests(self, numbers: Iterable[int], oldest: int) -> list[Manifest]:
        """Those that are there, but for damaged ones that nobody reads any more."""
        manifests = Records(self.contents.objects, manifest.FOLDER)

        def read(number: int) -> Manifest | None:
            try:
                return Manifest.from_json(number, manifests.read(number))
            except FileNotFoundError:
                return None  # another compaction was here
            except ValueError as error:
                if number < oldest:
                    return None
                damage = Damage(manifests.path(number), f"is {error}")
                raise StoreError(said(self.contents.name, [damage])) from error

        read_ = each(self.contents.objects, read, numbers)
        return [one for one in read_ if one is not None]

    def _entries(self, after: int) -> dict[int, Entry]:
        """The records after one, those that are gone meanwhile left out."""
        records = Records(self.contents.objects, ledger.FOLDER)
        known = self.contents.snapshot.entries

        def read(number: int) -> Entry | None:
            try:
                return known.get(number) or Entry.from_json(records.read(number))
            except FileNotFoundError:
                return None
            except ValueError as error:
                damage = Damage(records.path(number), f"is {error}")
                raise StoreError(said(self.contents.name, [damage])) from error

        numbers = list(records.found(after))
        read_ = each(self.contents.objects, read, numbers)
        return {n: one for n, one in zip(numbers, read_, strict=True) if one is not None}

    def _unread(self, before: float, kept: Sequence[Manifest], first: Manifest) -> list[Found]:
        """Files that nobody can read any more who opened the store since the first of these manifests."""
        named = {one.path for some in kept for one in [*some.segments, *some.kept.values()]}
        # The originals of what was merged since.
        late = {commit for one in kept for commit in one.commits} - first.commits
        old = [one for one in self._old(before) if one.path not in named]
        found = [one for one in old if _commit(one) not in late]
        if all(map(self._is_of_trials, found)):
            return found
        # What was replaced since is known to the records alone.
        since = [path for one in self._entries(first.ledger).values() for path in _kept(one)]
        return [one for one in found if one.path not in since]

    def _old(self, before: float) -> Iterator[Found]:
        for table in self.contents.tables:
            for one in self.contents.objects.listed(table):
                is_own = _commit(one) or SEGMENT_FILE.fullmatch(one.name)
                if (is_own or one.name == DERIVED) and one.modified <= before:
                    yield one

    def _settled(self, old: list[Found], kept: Sequence[Manifest]) -> list[Found]:
        """Has what is removed count for nothing, should its writer wake up; what may be removed then.

        The record that says so is the one after all that were looked at: a writer who woke meanwhile has
        made that one, and keeps its files.
        """
        records = Records(self.contents.objects, ledger.FOLDER)
        known = {commit for one in kept for commit in one.commits}
        known |= set(self.contents.snapshot.void)
        last = kept[-1].ledger if kept else 0
        while True:
            entries = self._entries(last)
            last = max(entries, default=last)
            new = {file.path for one in entries.values() for c in one.commits for file in c.files}
            new |= {path for one in entries.values() for path in _kept(one)}
            old = [one for one in old if one.path not in new]
            unknown = {_commit(one) for one in old if self._is_of_trials(one)} - known - {""}
            if not unknown or records.create(last + 1, Entry(void=sorted(unknown)).as_json()):
                return old

    def _is_of_trials(self, file: Found) -> bool:
        return self.contents.is_of_trials(file.path.partition("/")[0])

    def _superseded(self, old: Sequence[Found], read: Sequence[Manifest]) -> bool:
        """Makes a manifest that a sleeping compaction loses to, if there are files that may be its own."""
        known = {one.path for some in read for one in some.segments}
        if not any(SEGMENT_FILE.fullmatch(one.name) and one.path not in known for one in old):
            return True
        newest = read[-1] if read else Manifest()
        return publish(self.contents.objects, replace(newest, number=newest.number + 1))


def _commit(file: Found) -> str:
    """The commit that wrote a file; empty for a merged one."""
    match = COMMIT_FILE.fullmatch(file.name)
    return match[1] if match else ""


def _kept(entry: Entry) -> list[str]:
    return [one.path for one in entry.kept.values() if one is not None]
