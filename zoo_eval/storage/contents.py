"""Contents: a store's tables as they were at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from zoo_eval.errors import StoreError, one_line
from zoo_eval.storage import inputs, leases, manifest
from zoo_eval.storage.ledger import Ledger
from zoo_eval.storage.objects import Objects, each
from zoo_eval.storage.records import Records
from zoo_eval.storage.snapshot import GONE, UNREADABLE, Damage, Snapshot
from zoo_eval.tables import TRIALS, Table

DERIVED = "derived.parquet"
CHECKED = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)


@dataclass(frozen=True)
class Contents:
    """What counts, to be read; `name` is the store's in messages."""

    name: str
    objects: Objects
    tables: Mapping[str, Table]
    snapshot: Snapshot

    @property
    def ledger(self) -> Ledger:
        return self.snapshot.ledger

    def dataset(self, table: str, schema: pa.Schema | None = None) -> ds.Dataset:
        """A table's committed files as an Arrow dataset, with the declared or a wider schema."""
        schema = schema or self.tables[table].schema
        files = self.paths(table)
        if not files:
            return ds.dataset(schema.empty_table())
        found = ds.dataset(
            [self.objects.arrow_path(path) for path in files],
            schema=schema,
            format=CHECKED,
            filesystem=self.objects.arrow(self._sizes(table)),
        )
        if table == TRIALS.name and self.snapshot.hides_trials:
            return ds.dataset(self.snapshot.counting(found.to_table()))
        return found

    def _sizes(self, table: str) -> dict[str, int]:
        return {one.path: one.size for one in self.snapshot.files.get(table, ())}

    def paths(self, table: str) -> list[str]:
        """The files that hold a table's rows."""
        if table == TRIALS.name or self.tables[table].ledgered:
            return sorted(one.path for one in self.snapshot.files.get(table, ()))
        derived = f"{table}/{DERIVED}"
        return [derived] if self.objects.head(derived) is not None else []

    def read(
        self, table: str, schema: pa.Schema | None = None, columns: list[str] | None = None
    ) -> pa.Table:
        """A table's committed rows, in memory.

        Raises:
            StoreError: a file is damaged; it is named.
        """
        try:
            return self.dataset(table, schema).to_table(columns=columns)
        except UNREADABLE as error:
            raise StoreError(self.damage() or f"store {self.name}: {one_line(error)}") from error

    def damage(self) -> str | None:
        """What is damaged, on one line with what to do; None if nothing. Every file is read."""
        found = self.damages()
        return said(self.name, found) if found else None

    def damages(self) -> list[Damage]:
        """Every damaged file of all tables. Every file is read."""
        known = {one.path for one in self.snapshot.damages}
        named = {
            one.path: one
            for some in self.snapshot.files.values()
            for one in some
            if one.path not in known
        }
        others = [
            path
            for name, table in self.tables.items()
            if name != TRIALS.name and not table.ledgered
            for path in self.paths(name)
        ]

        def looked_at(path: str) -> Damage | None:
            one = named.get(path)
            commits = one.commits if one else ()
            try:
                held = self.objects.get(path)
                if not (one.is_of(held) if one else inputs.is_whole(path, held)):
                    return Damage(path, "is damaged", commits)
                if one and not one.digest:
                    pq.ParquetFile(pa.BufferReader(held), page_checksum_verification=True).read()
            except FileNotFoundError:
                return Damage(path, GONE, commits)
            except UNREADABLE:
                return Damage(path, "is damaged", commits)
            return None

        others += inputs.paths(self.objects)
        found = each(self.objects, looked_at, [*sorted(named), *others])
        found.append(self._unlike_its_manifest())
        number, told, _ = leases.newest(self.objects)
        if number and told is None:
            found.append(Damage(Records(self.objects, leases.FOLDER).path(number), "is damaged"))
        return [*self.snapshot.damages, *(one for one in found if one is not None)]

    def _unlike_its_manifest(self) -> Damage | None:
        """A copy of the manifest that is not its copy."""
        path = Records(self.objects, manifest.FOLDER).path(self.snapshot.manifest.number)
        copy = path + manifest.COPY
        if not self.snapshot.manifest.number or path in {d.path for d in self.snapshot.damages}:
            return None
        try:
            held = self.objects.get(copy)
        except FileNotFoundError:
            return Damage(copy, GONE)
        return None if held == self.objects.get(path) else Damage(copy, "is damaged")


def said(name: str, damages: list[Damage]) -> str:
    """Damage on one line, and what to do."""
    first, *more = damages
    others = f", and {len(more)} more files are damaged or gone" if more else ""
    return (
        f"store {name}: {first.path} {first.what}{others}; restore what is missing, or run "
        f"`zoo-eval doctor --store {name} --repair`: the trials concerned run again"
    )
