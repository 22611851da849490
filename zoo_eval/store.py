"""Store: Parquet tables under one URI; a commit's rows become visible all at once, exactly once.

A commit writes each table's rows to `<table>/<commit id>.parquet`, then its trials to
`trials/<commit id>.parquet`: the ledger. Rows count only once the ledger names their commit, so a
crash between the two leaves nothing visible; and since a commit's id is the digest of its trials
and attempts, running it again writes the same files, of which the first stays.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from zoo_eval.digests import digest
from zoo_eval.errors import BadInput, StoreError, one_line
from zoo_eval.files import foreign
from zoo_eval.paths import refuse_key
from zoo_eval.privacy import files as private
from zoo_eval.privacy import places
from zoo_eval.tables import SCHEMA_VERSION, TABLES, TRIALS, Table, View, declared

MARKER = "zoo_eval_store.json"
TEMPORARY = ".uncommitted"
LOCK = ".lock"
DECLARED = "declared"
# Below this a sweep is not started: tables are small, but a full disk must not be met half-way.
LEAST_FREE_BYTES = 64 * 2**20
# What Arrow raises on a damaged file.
UNREADABLE = (pa.ArrowException, OSError, ValueError)
CHECKED = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)


@dataclass(frozen=True)
class Ledger:
    """What the store says of each trial: its last status, and how many attempts there were."""

    status: Mapping[str, str]
    attempts: Mapping[str, int]


class Store:
    """The tables under a local folder or an object-store prefix (`s3://bucket/prefix`).

    Raises:
        BadInput: the store was written by a newer version, or cannot be reached or created.
    """

    def __init__(self, uri: str, *, create: bool = False) -> None:
        self.uri = uri
        self.fs, self.root = _filesystem(uri)
        self.is_local = isinstance(self.fs, fs.LocalFileSystem)
        try:
            if self._exists(MARKER):
                self._check_version()
            elif create:
                self._create()
            else:
                raise BadInput(f"no store at {uri}; run a sweep first or correct --store")
        except OSError as error:
            raise BadInput(f"store {uri} cannot be opened ({error}); check the address") from error

    def ledger(self) -> Ledger:
        """The last status and the number of attempts of every trial."""
        columns = ["trial_id", "attempt", "status"]
        table = self.read(TRIALS.name, columns=columns).sort_by("attempt")
        ids, attempts, statuses = (table[column].to_pylist() for column in columns)
        return Ledger(dict(zip(ids, statuses)), dict(zip(ids, attempts)))

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

    def dataset(self, table: str, schema: pa.Schema | None = None) -> ds.Dataset:
        """A table's committed files as an Arrow dataset, with the declared or a wider schema."""
        found = self._table(table)
        schema = schema or found.schema
        files = self._files(table)
        if found.ledgered:
            committed = {Path(file).name for file in self._files(TRIALS.name)}
            files = [file for file in files if Path(file).name in committed]
        if not files:
            return ds.dataset(schema.empty_table())
        return ds.dataset(files, schema=schema, format=CHECKED, filesystem=self.fs)

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
            raise StoreError(self.damage() or f"store {self.uri}: {one_line(error)}") from error

    def damage(self) -> str | None:
        """Which of the files of all tables is damaged, the first of them, and what to do; None if none."""
        for name in self.tables():
            for file in self._files(name):
                try:
                    pq.ParquetFile(file, filesystem=self.fs, page_checksum_verification=True).read()
                except UNREADABLE:
                    what = foreign.told(Path(file)) if self.is_local else "it is damaged"
                    return (
                        f"store {self.uri}: {name}/{Path(file).name} cannot be read: {what}; or restore "
                        "it, or remove it and its namesakes in the other tables: their trials run again"
                    )
        return None

    def commit(
        self, rows: Mapping[str, Sequence[Mapping[str, Any]]], trials: Sequence[Mapping[str, Any]]
    ) -> str:
        """Makes rows and the trials they belong to visible, all at once; the commit's id.

        Raises:
            ValueError: a row does not fit its table, or there is no such table.
            StoreError: the store is full or cannot be written.
        """
        commit_id = digest(sorted([trial["trial_id"], trial["attempt"]] for trial in trials))
        # Every table is checked before anything is written; the ledger comes last.
        tables = {
            name: self._table(name).arrow([{**row, "commit_id": commit_id} for row in some])
            for name, some in [*rows.items(), (TRIALS.name, trials)]
        }
        for name, table in tables.items():
            self._write(f"{name}/{commit_id}.parquet", table, replace=False)
        return commit_id

    def replace(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replaces a derived table (one that belongs to no trial) as a whole."""
        self._write(f"{table}/derived.parquet", self._table(table).arrow(rows), replace=True)

    def declare(self, tables: Sequence[Table], views: Sequence[View] = ()) -> None:
        """Keeps tables and views that are not built in, so that any machine can query them.

        Raises:
            BadInput: a name is taken, or the store cannot keep it.
            StoreError: the store is full or cannot be written.
        """
        everything: list[Table | View] = [*tables, *views]
        for one in everything:
            declared.check(one)
            path = f"{DECLARED}/{one.name}.json"
            self._written(path, declared.to_json(one).encode(), replace=False)
            # Whoever was first is kept: that is compared with.
            declared.check_same(one, self._declaration(path))

    def tables(self) -> Mapping[str, Table]:
        """The built-in tables and those declared in this store, by name.

        Raises:
            BadInput: a declaration is damaged.
        """
        others = {one.name: one for one in self._declarations() if isinstance(one, Table)}
        return {**TABLES, **others}

    def views(self) -> Sequence[View]:
        """The views declared in this store.

        Raises:
            BadInput: a declaration is damaged.
        """
        return [one for one in self._declarations() if isinstance(one, View)]

    def _declarations(self) -> Iterator[Table | View]:
        for file in filter(lambda file: file.endswith(".json"), self._files(DECLARED)):
            yield self._declaration(f"{DECLARED}/{Path(file).name}")

    def _declaration(self, relative: str) -> Table | View:
        with self.fs.open_input_stream(self._path(relative)) as stream:
            content = stream.read()
        try:
            return declared.from_json(content.decode())
        except ValueError as error:
            raise BadInput(
                f"store {self.uri}: {relative} is damaged ({error}); restore it, or choose another "
                "--store"
            ) from error

    def _table(self, name: str) -> Table:
        found = TABLES.get(name) or self.tables().get(name)
        if found is None:
            raise ValueError(f"no table {name!r} is declared in this store")
        return found

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Holds a local store for one sweep, after clearing what a crash left uncommitted.

        The claim ends with the process, however that ends. An object store has no claims: there a
        commit's first writer wins and nothing is cleared.

        Raises:
            BadInput: another sweep holds the store.
        """
        if not self.is_local:
            yield
            return
        with self._lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BadInput(
                    f"store {self.uri} is being written by another sweep; wait for it or choose "
                    "another --store"
                ) from error
            self._remove_uncommitted()
            yield

    def _lock(self) -> IO[str]:
        try:
            return private.opened(Path(self.root, LOCK), "w", follow=False)
        except OSError as error:
            raise self._unwritable(error) from error

    def _remove_uncommitted(self) -> None:
        """Removes files that no ledger entry names: the holder of the claim alone may."""
        committed = {Path(file).name for file in self._files(TRIALS.name)}
        orphans = [
            file
            for name, table in self.tables().items()
            if table.ledgered
            for file in self._files(name)
            if Path(file).name not in committed
        ]
        orphans += self._files(TEMPORARY)
        try:
            for file in orphans:
                places.check_inside(self.root, file)
                self.fs.delete_file(file)
        except OSError as error:
            raise self._unwritable(error) from error

    def write_input(self, name: str, table: pa.Table) -> None:
        """Keeps something generated (a planted recording), under its digest; the first stays."""
        self._write(self._input(name), table, replace=False)

    def read_input(self, name: str) -> pa.Table | None:
        """What `write_input` kept, if anything."""
        path = self._input(name)
        if not self._exists(path):
            return None
        try:
            return pq.read_table(
                self._path(path), filesystem=self.fs, page_checksum_verification=True
            )
        except UNREADABLE:
            # It is made again, and the same.
            self.fs.delete_file(self._path(path))
            return None

    def _input(self, name: str) -> str:
        if not places.is_plain(name):
            raise StoreError(f"store {self.uri}: {name!r} is no name of an input; rename it")
        return f"inputs/{name}.parquet"

    def check_space(self) -> None:
        """Refuses a local store whose disk is nearly full.

        Raises:
            BadInput: less than 64 MiB is free.
        """
        if not self.is_local:
            return
        usage = os.statvfs(self.root)
        if usage.f_bavail * usage.f_frsize < LEAST_FREE_BYTES:
            raise BadInput(
                f"store {self.uri}: less than {LEAST_FREE_BYTES // 2**20} MiB free; "
                "free disk space or choose another --store"
            )

    def _create(self) -> None:
        if self.is_local:
            private.make_folder(Path(self.root))
        else:
            self.fs.create_dir(self.root, recursive=True)
        self._put(MARKER, json.dumps({"schema_version": SCHEMA_VERSION}).encode(), replace=False)

    def _check_version(self) -> None:
        with self.fs.open_input_stream(self._path(MARKER)) as stream:
            content = stream.read()
        try:
            version = int(json.loads(content)["schema_version"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"store {self.uri}: {MARKER} is damaged; restore it, or choose another --store"
            ) from error
        if version > SCHEMA_VERSION:
            raise BadInput(
                f"store {self.uri} has schema {version}, newer than this version's "
                f"{SCHEMA_VERSION}; upgrade zoo_eval or choose another --store"
            )

    def _path(self, relative: str) -> str:
        return f"{self.root}/{places.plain(relative)}"

    def _exists(self, relative: str) -> bool:
        return bool(self.fs.get_file_info(self._path(relative)).type != fs.FileType.NotFound)

    def _files(self, folder: str) -> list[str]:
        infos = self.fs.get_file_info(fs.FileSelector(self._path(folder), allow_not_found=True))
        return sorted(info.path for info in infos if info.is_file)

    def _write(self, relative: str, table: pa.Table, *, replace: bool) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
        self._written(relative, sink.getvalue().to_pybytes(), replace=replace)

    def _written(self, relative: str, content: bytes, *, replace: bool) -> None:
        try:
            self._put(relative, content, replace=replace)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StoreError:
        full = error.errno == errno.ENOSPC
        reason = "no space is left" if full else str(error)
        return StoreError(
            f"store {self.uri} cannot be written: {reason}; what was committed is kept: "
            f"{'free space' if full else 'mend it'} and run the same command again"
        )

    def _put(self, relative: str, content: bytes, *, replace: bool) -> None:
        """Makes one file visible, whole: local files by link, objects by one upload."""
        path = self._path(relative)
        if not self.is_local:
            # An upload is visible only when complete; a second writer's file has the same rows.
            if replace or not self._exists(relative):
                with self.fs.open_output_stream(path) as stream:
                    stream.write(content)
            return
        aside = Path(self.root) / TEMPORARY / uuid4().hex
        for one in (Path(path), aside):
            places.check_inside(self.root, one)
            private.make_folder(one.parent)
        try:
            with private.opened(aside, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                os.replace(aside, path)
            else:
                _link_first(aside, Path(path))
        finally:
            aside.unlink(missing_ok=True)
        _sync_folder(Path(path).parent)


def _link_first(aside: Path, path: Path) -> None:
    try:
        os.link(aside, path)
    except FileExistsError:
        return  # the first writer's rows stay; they are the same


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    refuse_key(uri)
    try:
        if "://" in uri:
            filesystem, path = fs.FileSystem.from_uri(uri)
            if not path.strip("/"):
                raise pa.ArrowInvalid("no bucket or folder is named")
            return filesystem, path.rstrip("/")
        return fs.LocalFileSystem(), str(Path(uri).expanduser().resolve())
    except (pa.ArrowInvalid, OSError) as error:
        raise BadInput(
            f"store {uri!r} is no folder or object-store address ({error}); "
            "expected a path or s3://bucket/prefix"
        ) from error
