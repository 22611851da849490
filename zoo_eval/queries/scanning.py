"""Scanning: the files of a store's tables, as DuckDB may read them: those that count, and nothing else.

DuckDB reads Parquet itself, only the columns and rows that a query needs, through this file system, the
one thing that it may open. A table is `zoo://<table>/*`: an empty file with all of its columns, then those
that the ledger names. There is nothing to write with and no name leads elsewhere, so that a query cannot
either, whatever it says; and what is read is compared with what was written (`storage/ranges.py`), which
DuckDB itself does not. Of a bucket, small files are fetched at once, of large ones the columns that are wanted.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

from zoo_eval.storage.contents import Contents
from zoo_eval.storage.ledger import Named
from zoo_eval.storage.parquet import parquet
from zoo_eval.storage.ranges import Ranges
from zoo_eval.tables import TRIALS

PROTOCOL = "zoo"
ROOT = f"{PROTOCOL}://"
# Of a bucket these are fetched whole: a request more takes longer.
FETCHED_BYTES = 4 * 2**20
# Files never change.
WRITTEN = datetime(2000, 1, 1, tzinfo=UTC)
# More small files of a table than these are read at once, unless they are too much.
MOST_FILES = 32
AT_ONCE_BYTES = 32 * 2**20
NO_ROWS = "no-rows.parquet"


def source(table: str) -> str:
    """The SQL that reads a table's files: every column of its declaration, null where a file has none."""
    return f"read_parquet('{ROOT}{table}/*', union_by_name = true)"


class Files(AbstractFileSystem):  # type: ignore[misc]
    """Files that count, by path; nothing but these can be opened, and only to be read.

    `failed` says whether any could not be read, or was not what was written.
    """

    protocol = PROTOCOL
    cachable = False

    def __init__(self, contents: Contents) -> None:
        super().__init__()
        self._contents = contents
        self._found: dict[str, Ranges | bytes] = {}
        self._of_table: dict[str, list[str]] = {}
        self.failed = False

    def announce(self, table: str, schema: pa.Schema) -> None:
        """Has a table be there, without rows, with the columns of a schema."""
        self._put(table, {}, schema)

    def hold(self, paths: Mapping[str, bytes]) -> None:
        """Has files be there that are in memory, by what `source` of them says."""
        self._found |= {_stripped(path): held for path, held in paths.items()}

    def bring(self, table: str) -> None:
        """Has an announced table have its rows.

        Raises:
            OSError: they cannot be fetched.
            StoreError: a file that is read at once is damaged.
        """
        contents, named = self._contents, self._contents.files(table)
        loose = [one for one in named if one.size <= FETCHED_BYTES]
        if not contents.objects.is_local:
            contents.objects.on_disk([one.path for one in loose])
        hides = table == TRIALS.name and contents.snapshot.hides_trials
        if hides or (len(loose) > MOST_FILES and sum(one.size for one in loose) <= AT_ONCE_BYTES):
            # A query opens each file again for every view that reads it: many small ones cost more so.
            read = dict.fromkeys(one.path for one in (named if hides else loose))
            rows = self._rows(table, list(read))
            others = (one for one in named if one.path not in read)
            self._put(table, {f"{table}/rows.parquet": rows} | self._ranges(others))
        else:
            self._put(table, self._ranges(named))

    def _rows(self, table: str, paths: Sequence[str]) -> bytes:
        schema = self._contents.tables[table].schema_in_sql
        with self._contents.complaining():
            return parquet(self._contents.dataset(table, schema, paths).to_table())

    def _ranges(self, named: Iterable[Named]) -> dict[str, Ranges | bytes]:
        return {one.path: Ranges(self._contents.objects, one) for one in named}

    def _put(
        self, table: str, files: Mapping[str, Ranges | bytes], schema: pa.Schema | None = None
    ) -> None:
        empty = f"{table}/{NO_ROWS}"
        if schema is not None:
            self._found[empty] = parquet(schema.empty_table())
        self._found |= files
        self._of_table[table] = [empty, *files]

    def glob(self, path: str, **_: Any) -> list[str]:
        """The files of a table, for `<table>/*`; else the one of that name."""
        asked = _stripped(path)
        table = asked.removesuffix("/*")
        if table != asked:
            return [ROOT + one for one in self._of_table.get(table, [])]
        return [ROOT + asked] if asked in self._found else []

    def exists(self, path: str, **_: Any) -> bool:
        """Whether there is such a file."""
        return _stripped(path) in self._found

    def info(self, path: str, **_: Any) -> Mapping[str, Any]:
        """Its size; FileNotFoundError without one."""
        return {"name": path, "size": self._size(self._file(path)), "type": "file"}

    def modified(self, path: str) -> datetime:
        """When it was made: files never change."""
        return WRITTEN

    def open(self, path: str, mode: str = "rb", **_: Any) -> "File":
        """A file to be read; PermissionError to write one."""
        if mode != "rb":
            raise PermissionError("the store is read-only here")
        found = self._file(path)
        return File(self, found, self._size(found))

    def _file(self, path: str) -> Ranges | bytes:
        found = self._found.get(_stripped(path))
        if found is None:
            raise FileNotFoundError(f"{path} is no file of this store's tables")
        return found

    def _size(self, found: Ranges | bytes) -> int:
        return len(found) if isinstance(found, bytes) else found.named.size


def _stripped(path: str) -> str:
    return path.removeprefix(ROOT)


@dataclass
class File:
    """An open file; each of the threads that read it has a place of its own."""

    files: Files
    content: Ranges | bytes
    size: int
    place: threading.local = field(default_factory=threading.local)

    def seek(self, place: int, whence: int = 0) -> int:
        """Where the next reading by this thread begins."""
        self.place.now = place + (0, self.tell(), self.size)[whence]
        return self.tell()

    def tell(self) -> int:
        """Where it begins now."""
        place: int = getattr(self.place, "now", 0)
        return place

    def read(self, n: int = -1) -> bytes:
        """The next `n` bytes, all by default; an OSError where they are not those that were written."""
        start = self.tell()
        end = self.size if n < 0 else min(start + n, self.size)
        try:
            held = (
                self.content[start:end]
                if isinstance(self.content, bytes)
                else self.content.read(start, end)
            )
        except OSError:
            self.files.failed = True
            raise
        self.place.now = start + len(held)
        return held

    def seekable(self) -> bool:
        """Whether it can be read from any place: yes."""
        return True

    def close(self) -> None:
        """Nothing is held."""
