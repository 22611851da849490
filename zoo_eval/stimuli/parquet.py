"""Images in Parquet: a column of bytes, plain or as Hugging Face's data sets have them ({bytes, path})."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from zoo_eval.errors import BadInput
from zoo_eval.files import reading
from zoo_eval.files.arrays import AGAIN
from zoo_eval.files.names import printable
from zoo_eval.files.reading import check_fits
from zoo_eval.paths import SweepPath
from zoo_eval.stimuli import classes
from zoo_eval.stimuli.decoding import Exif
from zoo_eval.stimuli.encoded import Encoded
from zoo_eval.stimuli.stimulus_set import StimuliSection, StimulusSet, Sweepmates

BYTES, PATH = "bytes", "path"
ID_COLUMNS = ("stimulus_id", "image_id")
BLOCK_ROWS = 4096
# Groups of rows that are held: those that threads are at when one ends.
N_HELD = 2
# An index into the values of a group.
INDEX_BYTES = 4
FEWER = "write it with smaller row groups (row_group_size=100), or raise [run] memory_budget"


class ParquetImagesSection(StimuliSection):
    """Images in one Parquet file, or in those of a folder that fit `files`, in the order of their names.

    `image` names the column of bytes, where there are several. Ids are those of the column `id`, or else
    of stimulus_id or image_id, or else the paths that stand beside the bytes, or else numbers; labels are
    those of the column `label`, where it is given: the numbers of a data set are seldom ImageNet's.
    """

    kind: Literal["parquet"] = "parquet"
    path: SweepPath
    files: str = "*.parquet"
    image: str | None = None
    id: str | None = None
    label: str | None = None
    groups: str | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    exif: Exif = "ignore"

    @property
    def is_whole(self) -> bool:
        return self.files == "*.parquet" and self.limit is None

    def read(self, name: str, known: Sweepmates) -> StimulusSet:
        where, path = f"stimuli {name!r}", self.path.resolve()
        files = sorted(path.glob(self.files)) if path.is_dir() else [path]
        if not files:
            raise BadInput(f"{where}: no file {self.files!r} in {path}; correct `files`")
        tables = tuple(ImageTable(f"{where}: {file}", file, self.image) for file in files)
        if not any(sum(table.n_rows) for table in tables):
            raise BadInput(f"{tables[0].where} has no rows; write one for each image")
        rows = tuple(_rows(tables, known.memory_budget_bytes // N_HELD))[: self.limit]
        ids, note = _ids(tables, self.id)
        ids = ids[: self.limit]
        groups, labels = ids, None
        if self.groups is not None:
            groups = tuple(_column(tables, self.groups))[: self.limit]
        if self.label is not None:
            texts = list(_column(tables, self.label))[: self.limit]
            of_column = f"{where}: column {self.label!r}"
            labels = tuple(classes.label(of_column, text) for text in texts)
        images = RowImages(tables, rows, self.exif)
        return StimulusSet(name, ids, images, groups=groups, labels=labels, notes=note)


@dataclass(frozen=True)
class Row:
    """Where an image is: the number of its file, of the group of rows there, and of the row in it."""

    file: int
    group: int
    number: int


class ImageTable:
    """One Parquet file: `leaf` is the column of bytes in it, as Parquet calls it.

    Raises:
        BadInput: it is damaged, or has no column of bytes, or several and none was named.
    """

    def __init__(self, where: str, path: Path, image: str | None) -> None:
        self.where, self.path = where, path
        with reading.told(where, path, "is no Parquet file that can be read"), _open(path) as file:
            self.schema = file.schema_arrow
            self.column = _image_column(where, self.schema, image)
            kind = self.schema.field(self.column).type
            self.has_paths = pa.types.is_struct(kind) and kind.get_field_index(PATH) >= 0
            self.leaf = f"{self.column}.{BYTES}" if pa.types.is_struct(kind) else self.column
            # Of all columns: a damaged column's own description ends the process that asks for it.
            groups = [file.metadata.row_group(one) for one in range(file.num_row_groups)]
            self.n_rows = tuple(one.num_rows for one in groups)
            self.n_bytes = tuple(one.total_byte_size + one.num_rows * INDEX_BYTES for one in groups)

    def blocks(self, column: str) -> Iterator[pa.Array]:
        """The values of a column that is no image, some at a time."""
        with (
            reading.told(self.where, self.path, "is a damaged Parquet file"),
            _open(self.path) as file,
        ):
            n = 0
            for batch in file.iter_batches(BLOCK_ROWS, columns=[column], use_threads=False):
                n += batch.num_rows
                yield batch.column(0)
            self.check_rows(n, sum(self.n_rows))

    def group(self, number: int) -> pa.ChunkedArray:
        """The bytes of a group of rows, each different one once."""
        with (
            reading.told(self.where, self.path, "is a damaged Parquet file"),
            _open(self.path, [self.leaf]) as file,
        ):
            table = file.read_row_group(number, columns=[self.leaf], use_threads=False)
        self.check_rows(table.num_rows, self.n_rows[number])
        return table.flatten().column(0)

    def check_rows(self, n: int, expected: int) -> None:
        """Refuses a file that has other than the rows that it says.

        Raises:
            BadInput: it has.
        """
        if n != expected:
            raise BadInput(f"{self.where} says {expected} rows and has {n}: {AGAIN}")


@dataclass(frozen=True, eq=False)
class RowImages(Encoded):
    """The images of some rows of Parquet files; the groups of rows that were read last are held."""

    tables: tuple[ImageTable, ...]
    rows: tuple[Row, ...]
    exif: Exif = "ignore"

    def __post_init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        object.__setattr__(self, "_lock", Lock())
        object.__setattr__(self, "_held", OrderedDict())

    def __getstate__(self) -> dict[str, Any]:
        return {key: one for key, one in vars(self).items() if key not in ("_lock", "_held")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def __len__(self) -> int:
        return len(self.rows)

    def content(self, number: int) -> bytes:
        row = self.rows[number]
        found = self._group(row.file, row.group)[row.number].as_py()
        if not isinstance(found, bytes):
            raise BadInput(
                f"{self.where(number)} has no bytes; save the data set with its images embedded"
            )
        return found

    def _group(self, file: int, group: int) -> pa.ChunkedArray:
        lock, held = vars(self)["_lock"], vars(self)["_held"]
        # Read by one thread, while others that need it wait.
        with lock:
            if (file, group) not in held:
                held[file, group] = self.tables[file].group(group)
            held.move_to_end((file, group))
            while len(held) > N_HELD:
                held.popitem(last=False)
            return held[file, group]

    def where(self, number: int) -> str:
        row = self.rows[number]
        table = self.tables[row.file]
        return f"{table.path}: row {sum(table.n_rows[: row.group]) + row.number + 1}"

    @property
    def sources(self) -> tuple[Sequence[Path], Any]:
        return [one.path for one in self.tables], [[one.leaf for one in self.tables], len(self)]


def _open(path: Path, coded: Sequence[str] = ()) -> pq.ParquetFile:
    return pq.ParquetFile(
        path, read_dictionary=list(coded), pre_buffer=False, page_checksum_verification=True
    )


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_image(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        place = kind.get_field_index(BYTES)
        return place >= 0 and _is_binary(kind.field(place).type)
    return _is_binary(kind)


def _image_column(where: str, schema: pa.Schema, named: str | None) -> str:
    there = [one.name for one in schema if _is_image(one.type)]
    if named is not None and named not in there:
        held = printable(", ".join(there)) or "none"
        raise BadInput(f"{where} has no column {named!r} of bytes (such columns: {held}); name one")
    if named is None and len(there) != 1:
        held = printable(", ".join(there or schema.names))
        raise BadInput(
            f"{where} has {len(there)} columns of bytes ({held}); say which is the image: `image`"
        )
    return named or there[0]


def _rows(tables: Sequence[ImageTable], most_bytes: int) -> Iterator[Row]:
    for number, table in enumerate(tables):
        for group, (n_rows, n_bytes) in enumerate(zip(table.n_rows, table.n_bytes, strict=True)):
            check_fits(table.where, f"row group {group + 1}", n_bytes, most_bytes, FEWER)
            yield from (Row(number, group, row) for row in range(n_rows))


def _ids(
    tables: Sequence[ImageTable], named: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids, and what a plan says of them where nobody named the column."""
    usual = [one for one in ID_COLUMNS if all(one in table.schema.names for table in tables)]
    if named is not None or usual:
        return tuple(_column(tables, named or usual[0])), ()
    if all(table.has_paths for table in tables):
        paths = [path for table in tables for path in _paths(table)]
        if all(paths) and len(set(paths)) == len(paths):
            return tuple(str(path) for path in paths), ("ids are the images' paths",)
    counted = (
        f"{table.path.stem}/{number:06d}" for table in tables for number in range(sum(table.n_rows))
    )
    return tuple(counted), ("ids are numbers of rows, as no column names them (`id`)",)


def _paths(table: ImageTable) -> Iterator[str | None]:
    for block in table.blocks(f"{table.column}.{PATH}"):
        yield from (
            block.field(0).to_pylist() if pa.types.is_struct(block.type) else block.to_pylist()
        )


def _column(tables: Sequence[ImageTable], name: str) -> Iterator[str]:
    """The values of a column as text.

    Raises:
        BadInput: there is none, it holds other than text and whole numbers, or one is missing.
    """
    for table in tables:
        if name not in table.schema.names:
            there = printable(", ".join(table.schema.names))
            raise BadInput(f"{table.where} has no column {name!r} (columns: {there}); name one")
        kind = table.schema.field(name).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if not (
            pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
        ):
            raise BadInput(f"{table.where}: column {name!r} is {kind}, no text or whole numbers; name another")  # fmt: skip
        for block in table.blocks(name):
            if block.null_count:
                raise BadInput(f"{table.where}: column {name!r} has empty cells; fill them in")
            yield from map(str, block.to_pylist())
