"""Rows of bytes in an HDF5 file, of a length each: found in its global heaps without HDF5's own reader.

That reader trusts the sizes in a heap, up to a loop without an end where one is damaged. The heaps are
few lines of the format (HDF5 File Format Specification, III.E), and so nothing but this is opened by
whoever decodes: threads and processes share no lock.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from zoo_eval.errors import BadInput
from zoo_eval.files import reading
from zoo_eval.files.arrays import AGAIN
from zoo_eval.files.members import MOST_MEMBER_BYTES
from zoo_eval.files.names import printable

# A row: its length, and the heap and the number in it of its bytes.
ROW = struct.Struct("<IQI")
COLLECTION = struct.Struct("<4sB3xQ")
SIGNATURE, VERSION = b"GCOL", 1
OBJECT = struct.Struct("<HHIQ")
# Objects begin at multiples of it.
STEP = 8
MOST_OBJECTS = 2**16
OFFSET_BYTES = (8, 8)
DEFLATE = 1


class Hdf5Bytes:
    """The rows of one dataset (row,) of bytes each; what it holds is where they are.

    Args:
        where: what is read, for messages; it names the file.
        path: the file.
        dataset: its name in the file.

    Raises:
        BadInput: the file is damaged, has no such dataset, or that holds other than bytes.
    """

    def __init__(self, where: str, path: Path, dataset: str) -> None:
        # Imported here, as it takes a tenth of a second and few stimuli need it.
        import h5py

        self.path, self.dataset, self._where = path, dataset, where
        with reading.told(where, path, "cannot be read as HDF5"), h5py.File(path) as file:
            item = dataset_of(where, file, dataset)
            _check_kind(where, item, file.id.get_create_plist().get_sizes())
            self._base = int(file.userblock_size)
            self._table = b"".join(_table(where, path, item, self._base))
            self._n = int(item.shape[0])
        if len(self._table) < self._n * ROW.size:
            raise BadInput(f"{where}: {dataset!r} is cut off: {AGAIN}")

    def __len__(self) -> int:
        return self._n

    def row(self, number: int) -> bytes:
        """The bytes of one row, from 0; any number of threads may ask at once.

        Raises:
            BadInput: they are not where the file says.
        """
        n_bytes, heap, index = ROW.unpack_from(self._table, number * ROW.size)
        if n_bytes > MOST_MEMBER_BYTES:
            raise BadInput(f"{self._where}: row {number + 1} is longer than any image: {AGAIN}")
        if not n_bytes:
            return b""
        with reading.told(self._where, self.path), self.path.open("rb") as file:
            found = _object(file, self._base + heap, index, n_bytes)
        if found is None:
            raise BadInput(
                f"{self._where}: row {number + 1} of {self.dataset!r} is not where the file says: {AGAIN}"
            )
        return found


def texts(where: str, path: Path, item: Any) -> list[str]:
    """All rows of a dataset of text of any length each, (row,).

    Args:
        where: what is read, for messages; it names the file.
        path: the file.
        item: the dataset, as h5py has it.

    Raises:
        BadInput: the file is damaged, or the dataset holds other than text.
    """
    _check_kind(where, item, item.file.id.get_create_plist().get_sizes(), str)
    base = int(item.file.userblock_size)
    table = b"".join(_table(where, path, item, base))
    if len(table) < len(item) * ROW.size:
        raise BadInput(f"{where}: {item.name!r} is cut off: {AGAIN}")
    heaps: dict[int, dict[int, bytes]] = {}
    found = []
    with path.open("rb") as file:
        for row in range(len(item)):
            n_bytes, heap, index = ROW.unpack_from(table, row * ROW.size)
            if n_bytes and heap not in heaps:
                heaps[heap] = dict(_objects(file, base + heap))
            own = heaps[heap].get(index) if n_bytes else b""
            if own is None or len(own) < n_bytes:
                raise BadInput(
                    f"{where}: row {row + 1} of {item.name!r} is not where the file says: {AGAIN}"
                )
            found.append(own[:n_bytes].rstrip(b"\0").decode())
    return found


def _objects(file: IO[bytes], start: int) -> Iterator[tuple[int, bytes]]:
    """The objects of a global heap by number, as far as they follow one another."""
    file.seek(start)
    head = file.read(COLLECTION.size)
    if len(head) < COLLECTION.size or COLLECTION.unpack(head)[:2] != (SIGNATURE, VERSION):
        return
    size = COLLECTION.unpack(head)[2]
    if size > MOST_MEMBER_BYTES:
        return
    content = head + file.read(size - len(head))
    at = COLLECTION.size
    while at + OBJECT.size <= len(content):
        number, _, _, held = OBJECT.unpack_from(content, at)
        at += OBJECT.size
        if not number or at + held > len(content):
            return
        yield number, content[at : at + held]
        at += -(-held // STEP) * STEP


def _check_kind(
    where: str, item: Any, sizes: tuple[int, int], kind: type[np.uint8] | type[str] = np.uint8
) -> None:
    inner = dict(item.dtype.metadata or {}).get("vlen")
    if len(item.shape) != 1 or inner != kind:
        held = f"{inner or item.dtype} {item.shape}"
        raise BadInput(
            f"{where}: {item.name!r} is {held}, not (image,) of bytes each; name the `dataset` of the "
            "images"
        )
    # Of text, h5py says the size of a pointer in memory.
    is_wide = kind is str or item.id.get_type().get_size() == ROW.size
    if sizes != OFFSET_BYTES or not is_wide:
        raise BadInput(f"{where}: {item.name!r} has addresses of other than 64 bits; save it again")


def _table(where: str, path: Path, item: Any, base: int) -> Iterator[bytes]:
    """What is stored of all rows, as the file has it."""
    n_bytes = item.shape[0] * ROW.size
    if n_bytes > path.stat().st_size and item.chunks is None:
        raise BadInput(f"{where}: {item.name!r} claims more rows than the file can hold: {AGAIN}")
    if item.chunks is None:
        start = item.id.get_offset()
        with path.open("rb") as file:
            file.seek(start or 0)
            yield file.read(n_bytes) if start is not None else b""
        return
    (n_chunk,) = item.chunks
    if n_chunk * ROW.size > MOST_MEMBER_BYTES:
        raise BadInput(f"{where}: {item.name!r} is kept in one chunk too large to be read: {AGAIN}")
    plist = item.id.get_create_plist()
    filters = [plist.get_filter(number)[0] for number in range(plist.get_nfilters())]
    for start in range(0, item.shape[0], n_chunk):
        if item.id.get_chunk_info_by_coord((start,)).byte_offset is None:
            raise BadInput(f"{where}: row {start + 1} of {item.name!r} was never written: {AGAIN}")
        skipped, stored = item.id.read_direct_chunk((start,))
        # A filter that cannot be applied to references is skipped, and marked so.
        applied = [one for number, one in enumerate(filters) if not skipped >> number & 1]
        yield _unfiltered(where, stored, applied, n_chunk * ROW.size)


def _unfiltered(where: str, stored: bytes, filters: list[int], n_bytes: int) -> bytes:
    for one in reversed(filters):
        if one != DEFLATE:
            raise BadInput(
                f"{where} is compressed in a way that is not read here; use gzip or none"
            )
        stored = zlib.decompressobj().decompress(stored, n_bytes + 1)
    if len(stored) != n_bytes:
        raise BadInput(f"{where} has a chunk of another size than it says: {AGAIN}")
    return stored


def _object(file: IO[bytes], start: int, index: int, n_bytes: int) -> bytes | None:
    """An object of a global heap; None where there is none of that number and length."""
    file.seek(start)
    signature, version, size = COLLECTION.unpack(file.read(COLLECTION.size))
    if (signature, version) != (SIGNATURE, VERSION):
        return None
    at = COLLECTION.size
    for _ in range(MOST_OBJECTS):
        if at + OBJECT.size > size:
            return None
        file.seek(start + at)
        number, _, _, held = OBJECT.unpack(file.read(OBJECT.size))
        if number == index and number:
            whole = held == n_bytes and at + OBJECT.size + held <= size
            found = file.read(n_bytes) if whole else b""
            return found if len(found) == n_bytes else None
        # What is left of a heap has the number 0, and nothing stands behind it.
        if not number:
            return None
        at += OBJECT.size + -(-held // STEP) * STEP
    return None


def dataset_of(where: str, file: Any, name: str) -> Any:
    """A dataset with rows of an opened file.

    Raises:
        BadInput: there is none of that name (what there is instead is named), or it is in another file.
    """
    import h5py

    link = file.get(name, getlink=True)
    if link is None or isinstance(link, h5py.ExternalLink):
        there = printable(", ".join(sorted(file))) or "nothing"
        raise BadInput(f"{where} has no dataset {name!r} of its own; there is: {there}")
    item = file[name]
    if not isinstance(item, h5py.Dataset) or not item.shape:
        raise BadInput(f"{where}: {name!r} is no dataset with rows; name the one of the images")
    if item.external or item.is_virtual:
        raise BadInput(f"{where}: {name!r} is kept in another file; save it in one")
    return item
