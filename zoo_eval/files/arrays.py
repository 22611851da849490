"""Arrays of NumPy's files, whose declared sizes were checked before anything is allocated."""

import math
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy_format

from zoo_eval.errors import BadInput
from zoo_eval.files import reading
from zoo_eval.files.reading import MOST_BYTES

Array = npt.NDArray[Any]
# What deflate can make of a byte at most; no sound file of these formats has more.
MOST_EXPANSION = 1032
NPY = ".npy"
PART_BYTES = 2**20
RAISE = "raise [run] memory_budget, or save less of it"
FAILURE = "is not an array of numbers"
AGAIN = "it is damaged or cut off; fetch it again, or save it again"


def npy(path: Path, most_bytes: int = MOST_BYTES, where: str = "") -> Array:
    """The array of a .npy file; one that needs code to load is refused.

    Args:
        path: the file.
        most_bytes: what the array may take.
        where: what is read, for messages; the path where left out.

    Raises:
        BadInput: the file is damaged, claims more than it holds, or holds more than its array.
    """
    place = where or str(path)
    with reading.told(place, path, FAILURE), path.open("rb") as file:
        return _array(file, os.fstat(file.fileno()).st_size, most_bytes, place)


def npz(path: Path, most_bytes: int = MOST_BYTES, where: str = "") -> dict[str, Array]:
    """The arrays of an .npz archive by name, read one by one.

    Args:
        path: the file.
        most_bytes: what they may take together.
        where: what is read, for messages; the path where left out.

    Raises:
        BadInput: it is no archive, its directory claims more than the file can hold, a checksum
            differs, or as `npy` does.
    """
    place, found = where or str(path), dict[str, Array]()
    with reading.told(place, path), zipfile.ZipFile(path) as archive:
        check_archive(archive, place, path.stat().st_size)
        for member in archive.infolist():
            name = member.filename.removesuffix(NPY)
            of_member = f"{place}: array {name!r}"
            with (
                reading.told(of_member, path, FAILURE),
                archive.open(member) as file,
            ):
                left = most_bytes - sum(one.nbytes for one in found.values())
                found[name] = _array(file, member.file_size, left, of_member)
    return found


def check_archive(archive: zipfile.ZipFile, where: str, n_bytes: int) -> None:
    """Refuses a zip archive whose directory claims what a file of `n_bytes` cannot hold.

    Raises:
        BadInput: it does, or a part is compressed in a way, or encrypted, that no such file is.
    """
    for member in archive.infolist():
        stored = member.compress_type == zipfile.ZIP_STORED
        expansion = 1 if stored else MOST_EXPANSION
        if (not stored and member.compress_type != zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
            raise BadInput(
                f"{where}: {member.filename!r} is encrypted, or compressed by another method than "
                "deflate; save it again"
            )
        # A few bytes are compressed to more than themselves.
        if member.compress_size > n_bytes or member.file_size > member.compress_size * expansion:
            raise BadInput(
                f"{where}: {member.filename!r} claims {member.file_size} bytes, which the file cannot "
                f"hold: {AGAIN}"
            )


@dataclass(frozen=True)
class NpyFile:
    """What a .npy file says of its array, whose values are read row by row, or all at once."""

    where: str
    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    by_columns: bool
    start: int

    def blocks(self, most_bytes: int) -> Iterator[tuple[int, Array]]:
        """Some rows at a time, and the number of the first of them.

        An array that is stored by columns is one block, whatever it takes.

        Raises:
            BadInput: the file is cut off, or has changed.
        """
        n_rows, row = self.shape[0], math.prod(self.shape[1:]) * self.dtype.itemsize
        step = n_rows if self.by_columns else max(1, most_bytes // max(row, 1))
        with reading.told(self.where, self.path, FAILURE), self.path.open("rb") as file:
            file.seek(self.start)
            for first in range(0, n_rows, step):
                n = min(step, n_rows - first)
                content = file.read(n * row)
                if len(content) != n * row:
                    raise BadInput(f"{self.where} ends before its array does: {AGAIN}")
                flat = np.frombuffer(content, self.dtype)
                shape = (n, *self.shape[1:])
                yield first, flat.reshape(shape[::-1]).T if self.by_columns else flat.reshape(shape)


def described(path: Path, where: str = "") -> NpyFile:
    """What a .npy file says of its array, compared with the file's size; no value is read.

    Raises:
        BadInput: as `npy` does.
    """
    place = where or str(path)
    with reading.told(place, path, FAILURE), path.open("rb") as file:
        shape, by_columns, dtype = _header(file, os.fstat(file.fileno()).st_size, place)
        return NpyFile(place, path, shape, dtype, by_columns, file.tell())


def _array(file: IO[bytes], n_bytes: int, most_bytes: int, where: str) -> Array:
    """The array of a stream of so many bytes, all of which it must be."""
    shape, by_columns, dtype = _header(file, n_bytes, where)
    n = math.prod(shape)
    reading.check_fits(where, f"an array {shape} of {dtype}", n * dtype.itemsize, most_bytes, RAISE)
    values = np.empty(n, dtype)
    _fill(file, values.view(np.uint8), where)
    return values.reshape(shape[::-1]).T if by_columns else values.reshape(shape)


def _header(
    file: IO[bytes], n_bytes: int, where: str
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type: of as many values as the stream still has."""
    version = npy_format.read_magic(file)
    first = version == (1, 0)
    read = npy_format.read_array_header_1_0 if first else npy_format.read_array_header_2_0
    shape, by_columns, dtype = read(file)
    if dtype.hasobject:
        raise BadInput(f"{where} needs code to load, which is never run; save numbers alone")
    held, n = n_bytes - file.tell(), math.prod(shape)
    if min(shape, default=0) < 0 or n * dtype.itemsize != held or n > max(held, 0):
        raise BadInput(
            f"{where} claims the shape {shape} of {dtype}, {n * dtype.itemsize} bytes, and holds "
            f"{max(held, 0)}: {AGAIN}"
        )
    return shape, by_columns, dtype


def _fill(file: IO[bytes], values: npt.NDArray[np.uint8], where: str) -> None:
    """All that is left of a stream, which is then at its end; only there is a checksum compared."""
    done = 0
    while done < len(values):
        part = file.read(min(len(values) - done, PART_BYTES))
        if not part:
            raise BadInput(f"{where} ends before its array does: {AGAIN}")
        values[done : done + len(part)] = np.frombuffer(part, np.uint8)
        done += len(part)
    if file.read(1):
        raise BadInput(f"{where} holds more than its array: {AGAIN}")
