"""Store: Parquet tables under one URI; a commit's rows become visible all at once, exactly once.

A commit writes each table's rows to a file of its own, `<table>/<commit id>.parquet`, then one record
of the ledger that names them (`storage/ledger.py`). Only what the ledger or the manifest names is
read: a crash before the record leaves nothing visible, and strays never matter.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from zoo_eval.digests import digest
from zoo_eval.errors import BadInput, StoreError
from zoo_eval.privacy import places
from zoo_eval.privacy.addresses import shown
from zoo_eval.storage import address, compaction, kept, leases, marker, repair, strays
from zoo_eval.storage.contents import Contents
from zoo_eval.storage.damage import Damage, reading, said, writing
from zoo_eval.storage.ledger import Commit, Entry, Named
from zoo_eval.storage.ledger import Ledger as Ledger
from zoo_eval.storage.local_folder import LocalFolder
from zoo_eval.storage.marker import MARKER as MARKER
from zoo_eval.storage.objects import PATIENCE_S, each
from zoo_eval.storage.parquet import parquet
from zoo_eval.storage.snapshot import Register
from zoo_eval.tables import SCHEMA_VERSION, TABLES, TRIALS, Table, View, declared

# Whoever makes such a commit merges those before it.
MERGED_EVERY = 256
# No request takes so long; less than any grace period.
LONG_S = 300.0


class Store:
    """The tables under a local folder or a prefix of a bucket (`s3://`, `gs://`, `az://`).

    A store that is full or cannot be reached is waited for `patience_s` before it is an error.

    Raises:
        BadInput: the store was written by a newer version, or cannot be reached or created.
    """

    def __init__(self, uri: str, *, create: bool = False, patience_s: float = 0.0) -> None:
        self.uri = uri
        self.name = shown(uri)
        self.objects = address.opened(uri)
        self.objects.patience_s = patience_s
        self.is_local = self.objects.is_local
        self._last = 0
        self._lease: leases.Lease | None = None
        self._declared: dict[str, Table] = {}
        try:
            if self.objects.head(MARKER) is None:
                self._create(create)
            self._check_version()
        except OSError as error:
            raise BadInput(
                f"store {self.name} cannot be opened ({error}); check the address"
            ) from error

    @property
    def root(self) -> str:
        """The folder of a local store."""
        assert isinstance(self.objects, LocalFolder)
        return str(self.objects.root)

    def contents(self) -> Contents:
        """What counts now: it is one moment's, however many tables are read of it.

        Raises:
            StoreError: what counts is damaged or gone; it is named.
        """
        found = self.look()
        if found.snapshot.damages:
            raise StoreError(said(self.name, found.snapshot.damages))
        return found

    def look(self) -> Contents:
        """As `contents`, damaged or not.

        Raises:
            StoreError: the store cannot be read.
        """
        with reading(self.name):
            self._register.at_least = leases.reached(self.objects)
            found = self._register.snapshot()
            others, damages = kept.declarations(self.objects, found.kept)
        tables = {**TABLES, **{one.name: one for one in others if isinstance(one, Table)}}
        views = [one for one in others if isinstance(one, View)]
        known = {one.path for one in found.damages}
        damages = [one for one in damages if one.path not in known]
        found = replace(found, damages=[*found.damages, *damages])
        return Contents(self.name, self.objects, tables, views, found)

    def ledger(self) -> Ledger:
        """The last status and the number of attempts of every trial.

        Raises:
            StoreError: what counts is damaged or gone; it is named.
        """
        return self.contents().ledger

    def dataset(self, table: str, schema: pa.Schema | None = None) -> ds.Dataset:
        """A table's committed files as an Arrow dataset, with the declared or a wider schema."""
        return self.contents().dataset(table, schema)

    def read(
        self, table: str, schema: pa.Schema | None = None, columns: list[str] | None = None
    ) -> pa.Table:
        """A table's committed rows, in memory.

        Raises:
            StoreError: a file is damaged; it is named.
        """
        return self.contents().read(table, schema, columns)

    def damage(self) -> str | None:
        """What is damaged, on one line with what to do; None if nothing. Every file is read.

        Raises:
            StoreError: the store cannot be read.
        """
        _, damages = self._damages()
        return said(self.name, damages) if damages else None

    def strays(self) -> list[str]:
        """Files beside the store's own, which are never read."""
        with reading(self.name):
            return strays.strays(self.look())

    def _damages(self) -> tuple[Contents, list[Damage]]:
        """What is damaged of what counts, after every file was read, which may take long."""
        with reading(self.name):
            found = self.look()
            if not (damages := found.damages()):
                return found, damages
            # What was merged meanwhile, and removed, is not gone.
            before, again = found.snapshot.named(), self.look()
            now = again.snapshot.named()
            left = [one for one in damages if one.path in now or one.path not in before]
            return again, left

    def repair(self) -> tuple[int, int]:
        """Has nothing count that is damaged or gone; how many files that was, and how many trials.

        Those trials are pending: the next sweep runs them again.

        Raises:
            StoreError: the store is full or cannot be written.
        """
        with writing(self.name):
            found, damages = self._damages()
            if repair.mend_manifest(self.objects, damages, found.snapshot):
                n_files, n_trials = self.repair()
                return n_files + 1, n_trials
            self._upgrade(found)
            repair.mend_records(self.objects, damages, found.snapshot)
            entry, trials = repair.voiding(found, damages)
            if entry.void or entry.kept:
                last = found.snapshot.last
                self._last = self._register.records.append(entry.as_json(), last)
            self.objects.delete(*repair.to_remove(found, damages))
        return len(damages), len(trials)

    def commit(
        self, rows: Mapping[str, Sequence[Mapping[str, Any]]], trials: Sequence[Mapping[str, Any]]
    ) -> str:
        """Makes rows and the trials they belong to visible, all at once; the commit's id.

        Of a trial's attempt the first commit counts; whoever comes later is never seen.

        Raises:
            ValueError: a row does not fit its table, or there is no such table.
            StoreError: the store is full or cannot be written.
        """
        whose = sorted([trial["trial_id"], trial["attempt"]] for trial in trials)
        commit_id = digest([whose, uuid4().hex])
        # Every table is checked before anything is written; the ledger comes last.
        tables = {
            name: self._table(name).arrow([{**row, "commit_id": commit_id} for row in some])
            for name, some in [*rows.items(), (TRIALS.name, trials)]
        }
        files = {f"{name}/{commit_id}.parquet": parquet(table) for name, table in tables.items()}
        with writing(self.name):
            self._upgrade()
            each(self.objects, lambda path: self.objects.create(path, files[path]), files)
            named = [Named.of(path, held, (commit_id,)) for path, held in files.items()]
            statuses = [(t["trial_id"], t["attempt"], t["status"]) for t in trials]
            entry = Entry([Commit(commit_id, named, statuses)])
            self._record(entry)
        if self._last % MERGED_EVERY == 0:
            # The commit is made: whatever is wrong with this, the next sweep says.
            with suppress(Exception):
                compaction.keep_up(self.contents())
        return commit_id

    def _record(self, entry: Entry) -> None:
        """Makes the next record of the ledger."""
        began = time.time()
        if not self._last:
            # Where all was merged there may be no record that says how far they are.
            self._last = self.look().snapshot.last
        self._last = self._register.records.append(entry.as_json(), self._last)
        if abs(time.time() - began) > LONG_S:
            # Who slept on its way may have made one of a number that was merged and removed meanwhile.
            reached = self.look().snapshot.manifest.ledger
            if reached >= self._last:
                self._last = self._register.records.append(entry.as_json(), reached)

    def replace(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replaces a derived table (one that belongs to no trial) as a whole."""
        held = parquet(self._table(table).arrow(rows))
        self._keep(table, f"{table}/{uuid4().hex}.parquet", held)

    def _keep(self, name: str, path: str, held: bytes) -> None:
        with writing(self.name):
            self._upgrade()
            began = time.time()
            self.objects.create(path, held)
            self._record(Entry(kept={name: Named.of(path, held, ())}))
            if abs(time.time() - began) > LONG_S:
                # A file that nothing named for so long may have been taken for a crash's.
                self.objects.create(path, held)

    def declare(self, tables: Sequence[Table], views: Sequence[View] = ()) -> None:
        """Keeps tables and views that are not built in, so that any machine can query them.

        Raises:
            BadInput: a name is taken, or the store cannot keep it.
            StoreError: the store is full or cannot be written.
        """
        wanted: list[Table | View] = [*tables, *views]
        if not wanted:
            return
        there = set(self.look().snapshot.kept)
        for name, path, held in map(kept.declaration, wanted):
            if name not in there:
                self._keep(name, path, held)
                there.add(name)
        found = self.look()
        known: dict[str, Table | View] = {**found.tables, **{one.name: one for one in found.views}}
        for one in wanted:
            if one.name in known:
                declared.check_same(one, known[one.name])

    def tables(self) -> Mapping[str, Table]:
        """The built-in tables and those declared in this store, by name.

        Raises:
            StoreError: what counts is damaged or gone; it is named.
        """
        return self.contents().tables

    def _table(self, name: str) -> Table:
        found = TABLES.get(name) or self._declared.get(name)
        if found is None:
            self._declared = dict(self.tables())
            found = self._declared.get(name)
        if found is None:
            raise ValueError(f"no table {name!r} is declared in this store")
        return found

    @contextmanager
    def claim(self) -> Iterator[leases.Lease]:
        """Holds the store for one sweep; nothing is cleared: a commit may be in flight.

        Raises:
            BadInput: another sweep holds the store.
            StoreError: the store cannot be written.
        """
        with ExitStack() as stack:
            with writing(self.name):
                locked = stack.enter_context(leases.locked(self.objects, self.name))
                self._upgrade(is_locked=True)
                own = address.opened(self.uri)
                self._lease = stack.enter_context(
                    leases.held(own, self.name, self._reached, locked=locked)
                )
            self.objects.patience_s = PATIENCE_S
            try:
                yield self._lease
            finally:
                # Whoever leaves has no time: a lease that is left behind expires.
                self.objects.patience_s = 0.0

    def check_held(self) -> None:
        """Nothing, while no other sweep has taken over what `claim` holds, and nobody has cancelled it.

        Raises:
            StoreError: one has: this one must have stood still.
            Cancelled: somebody has.
        """
        if self._lease is not None:
            self._lease.check()

    def _reached(self) -> int:
        return max(self._register.records.found(self._last), default=self._last)

    def compact(self, grace_s: float = compaction.GRACE_S) -> compaction.Compacted:
        """Merges the small files into few; what was replaced is removed after the grace period.

        Raises:
            StoreError: a file is damaged, or the store cannot be written; nothing was merged.
        """
        with writing(self.name):
            self._upgrade()
            return compaction.compact(self.contents(), grace_s)

    def write_input(self, name: str, table: pa.Table) -> None:
        """Keeps something generated (a planted recording), under its digest; the first stays."""
        name, held = self._input(name), parquet(table)
        if name not in self.look().snapshot.kept:
            self._keep(name, f"{name}.{uuid4().hex}.parquet", held)

    def read_input(self, name: str) -> pa.Table | None:
        """What `write_input` kept, if anything.

        Raises:
            StoreError: it is damaged.
        """
        name, found = self._input(name), self.contents()
        if (one := found.snapshot.kept.get(name)) is None:
            return None
        with reading(self.name):
            held = self.objects.get(one.path)
            if not kept.is_whole(one, held):
                raise StoreError(said(self.name, [Damage(one.path, "is damaged")]))
            return pq.read_table(pa.BufferReader(held))

    def _input(self, name: str) -> str:
        if not places.is_plain(name):
            raise StoreError(f"store {self.uri}: {name!r} is no name of an input; rename it")
        return f"{kept.INPUTS}/{name}"

    def check_space(self) -> None:
        """Refuses a local store whose disk is nearly full.

        Raises:
            BadInput: less than 64 MiB is free.
        """
        if isinstance(self.objects, LocalFolder):
            with reading(self.name):
                self.objects.check_space(self.name)

    def _create(self, wanted: bool) -> None:
        if marker.records(self.objects):
            raise BadInput(
                f"store {self.name}: {MARKER} is gone, and its records are there; restore it, or run "
                f"`zoo-eval doctor --store {self.name} --repair`"
            )
        if not wanted:
            raise BadInput(f"no store at {self.name}; run a sweep first or correct --store")
        # A bucket that ignores conditions would lose commits: that is found out before any.
        self.objects.check_exclusive()
        self.objects.create(MARKER, marker.content())

    def _check_version(self) -> None:
        try:
            version = marker.version(self.objects)
        except ValueError as error:
            raise BadInput(
                f"store {self.name}: {MARKER} is damaged; restore it, or run "
                f"`zoo-eval doctor --store {self.name} --repair`"
            ) from error
        if version > SCHEMA_VERSION:
            raise BadInput(
                f"store {self.name} has schema {version}, newer than this version's "
                f"{SCHEMA_VERSION}; upgrade zoo_eval or choose another --store"
            )
        self._version = version
        self._register = Register(self.objects, version)

    def _upgrade(self, found: Contents | None = None, *, is_locked: bool = False) -> None:
        """Has a store of version 0.1.0 named by the ledger: its files stay as they are.

        `found` is what is named, damaged or not; all of it must be whole without.

        Raises:
            StoreError: some of them cannot be read.
        """
        if self._version == SCHEMA_VERSION:
            return
        # A sweep of version 0.1.0 that goes on would write what nothing names.
        with nullcontext() if is_locked else leases.locked(self.objects, self.name):
            if not self._register.records.found():
                self.objects.check_exclusive()
                entry = (found or self.contents()).snapshot.entries[1]
                self._register.records.create(1, entry.as_json())
            # Only now: a marker that is newer than the ledger would hide everything.
            self.objects.replace(MARKER, marker.content())
            self._check_version()
