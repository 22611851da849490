"""Contents: a store's tables as they were at one moment."""

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.dataset as ds

from zoo_eval.errors import StoreError, one_line
from zoo_eval.storage import kept, leases, ledger, manifest, marker
from zoo_eval.storage.damage import GONE, UNREADABLE, Damage, reading, said
from zoo_eval.storage.ledger import Ledger, Named
from zoo_eval.storage.objects import Objects, each
from zoo_eval.storage.records import Records, from_bytes
from zoo_eval.storage.snapshot import Snapshot
from zoo_eval.tables import TRIALS, Table, View

CHECKED = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)


@dataclass(frozen=True)
class Contents:
    """What counts, to be read.

    Attributes:
        name: the store's, in messages.
        tables: the built-in ones and those that are declared in the store, by name.
        views: those that are declared in the store.
    """

    name: str
    objects: Objects
    tables: Mapping[str, Table]
    views: Sequence[View]
    snapshot: Snapshot

    @property
    def ledger(self) -> Ledger:
        return self.snapshot.ledger

    def is_past(self) -> bool:
        """Whether something was committed or merged since: two listings say it, no file is read.

        Raises:
            StoreError: the store is gone, or cannot be read.
        """
        with reading(self.name):
            if self.objects.head(marker.MARKER) is None:
                raise StoreError(f"store {self.name} is gone; bring it back, or correct --store")
            number, _ = manifest.newest(self.objects)
            # The last one is asked for too: a store that was made anew has others.
            before = max(self.snapshot.last - 1, 0)
            last = max(Records(self.objects, ledger.FOLDER).found(before), default=0)
        return (number, last) != (self.snapshot.manifest.number, self.snapshot.last)

    def dataset(
        self, table: str, schema: pa.Schema | None = None, paths: Sequence[str] | None = None
    ) -> ds.Dataset:
        """A table's committed files as an Arrow dataset, with the declared or a wider schema.

        Those of a bucket are fetched. `paths` are those that are wanted; all by default.

        Raises:
            OSError: they cannot be.
        """
        schema = schema or self.tables[table].schema
        if not (files := self.paths(table) if paths is None else paths):
            return ds.dataset(schema.empty_table())
        found = ds.dataset(self.objects.on_disk(files), schema=schema, format=CHECKED)
        if table == TRIALS.name and self.snapshot.hides_trials:
            return ds.dataset(self.snapshot.counting(found.to_table()))
        return found

    def paths(self, table: str) -> list[str]:
        """The files that hold a table's rows, in the order in which they were committed."""
        return [one.path for one in self.files(table)]

    def is_of_trials(self, table: str) -> bool:
        """Whether a table's files are commits' (those of others are replaced as a whole)."""
        return table == TRIALS.name or self.tables[table].ledgered

    def files(self, table: str) -> Sequence[Named]:
        if self.is_of_trials(table):
            return self.snapshot.files.get(table, ())
        derived = self.snapshot.kept.get(table)
        return [] if derived is None else [derived]

    def read(
        self, table: str, schema: pa.Schema | None = None, columns: list[str] | None = None
    ) -> pa.Table:
        """A table's committed rows, in memory.

        Raises:
            StoreError: a file is damaged; it is named.
        """
        with self.complaining():
            return self.dataset(table, schema).to_table(columns=columns)

    @contextmanager
    def complaining(self) -> Iterator[None]:
        """Has what cannot be read said with what to do.

        Raises:
            StoreError: a file is damaged; it is named.
        """
        try:
            yield
        except UNREADABLE as error:
            raise StoreError(self.damage() or f"store {self.name}: {one_line(error)}") from error

    def weights_digests(self) -> dict[str, list[str]]:
        """Every model's weights digests, the last recorded first."""
        columns = ["model", "weights_digest", "started_at"]
        table = self.read(TRIALS.name, columns=columns)
        found: dict[str, list[str]] = {}
        for row in table.sort_by([("started_at", "descending")]).to_pylist():
            known = found.setdefault(row["model"], [])
            if row["weights_digest"] is not None and row["weights_digest"] not in known:
                known.append(row["weights_digest"])
        return found

    def damage(self) -> str | None:
        """What is damaged, on one line with what to do; None if nothing. Every file is read.

        Raises:
            StoreError: the store cannot be read.
        """
        with reading(self.name):
            found = self.damages()
        return said(self.name, found) if found else None

    def damages(self) -> list[Damage]:
        """Every damaged file of all tables. Every file is read."""
        known = {one.path for one in self.snapshot.damages}
        named = {path: one for path, one in self.snapshot.named().items() if path not in known}

        def looked_at(path: str) -> Damage | None:
            try:
                if kept.is_whole(named[path], self.objects.get(path)):
                    return None
                return Damage(path, "is damaged", named[path].commits)
            except FileNotFoundError:
                return Damage(path, GONE, named[path].commits)
            except OSError as error:
                # A disk that is broken here; anything else may pass, and is no damage.
                if error.errno != errno.EIO:
                    raise
                return Damage(path, "cannot be read from its disk", named[path].commits)

        found = each(self.objects, looked_at, sorted(named))
        found.append(self._unlike_its_manifest())
        found += self._of_the_past()
        number, told, _ = leases.newest(self.objects)
        if number and told is None:
            found.append(Damage(Records(self.objects, leases.FOLDER).path(number), "is damaged"))
        return [*self.snapshot.damages, *(one for one in found if one is not None)]

    def _of_the_past(self) -> list[Damage | None]:
        """Manifests that were replaced, and records that were merged, which a compaction still reads."""
        now = self.snapshot.manifest
        records, manifests = (
            Records(self.objects, one) for one in (ledger.FOLDER, manifest.FOLDER)
        )

        def looked_at(path: str) -> Damage | None:
            try:
                from_bytes(self.objects.get(path))
            except FileNotFoundError:
                return None  # removed just now
            except ValueError as error:
                return Damage(path, f"is {error}")
            return None

        replaced = [manifests.path(number) for number in manifests.found() if number < now.number]
        old = [path + end for path in replaced for end in ("", manifest.COPY)]
        old += [records.path(number) for number in records.found() if number <= now.ledger]
        return each(self.objects, looked_at, old)

    def _unlike_its_manifest(self) -> Damage | None:
        """A copy of the manifest that is not its copy."""
        path = Records(self.objects, manifest.FOLDER).path(self.snapshot.manifest.number)
        copy = path + manifest.COPY
        if not self.snapshot.manifest.number or path in {d.path for d in self.snapshot.damages}:
            return None
        try:
            held = self.objects.get(copy)
        except FileNotFoundError:
            # A compaction that was killed has not made it yet.
            return Damage(copy, GONE, is_spare=True)
        if held == self.objects.get(path):
            return None
        return Damage(copy, "is damaged", is_spare=True)
