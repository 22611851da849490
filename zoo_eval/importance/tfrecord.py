"""TFRecord files: a sequence of byte records, each with a checksum of its length and of its data."""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from zoo_eval.errors import BadInput
from zoo_eval.files import foreign
from zoo_eval.importance.crc32c import masked_crc32c
from zoo_eval.importance.inflated import Inflated

LENGTH_BYTES = 8
CHECKSUM_BYTES = 4
# An image and its map take a thousandth of it.
MOST_RECORD_BYTES = 2**28
GZIP = b"\x1f\x8b"
# Zlib's header: deflate in its first byte, and a multiple of 31 as a whole.
ZLIB = 0x78


class Stream(Protocol):
    """Bytes in order."""

    def read(self, n_bytes: int, /) -> bytes:
        """The next ones, fewer at the end."""
        ...


@dataclass(frozen=True)
class Record:
    """A record's data; `start` is where it begins in the file, None in one that is compressed."""

    data: bytes
    start: int | None


def records(path: Path) -> Iterator[bytes]:
    """The data of all records, in order, one in memory at a time; see `placed`.

    Raises:
        BadInput: as `placed` does.
    """
    for record in placed(path):
        yield record.data


def placed(path: Path) -> Iterator[Record]:
    """The records of a TFRecord file, plain or compressed whole by gzip or zlib, in order.

    Raises:
        BadInput: the file cannot be read, ends inside a record, or a checksum differs; the file
            and the record's number (from 0) are named.
    """
    try:
        with path.open("rb") as file:
            n_bytes = os.fstat(file.fileno()).st_size
            if _is_compressed(file):
                yield from _inflated(file, path)
                return
            number = 0
            while (start := file.tell()) < n_bytes:
                yield Record(_record(file, n_bytes - start, path, number), start)
                number += 1
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); correct the path") from error


def at(path: Path, start: int, number: int) -> bytes:
    """The data of one record of a file that is not compressed.

    Raises:
        BadInput: it is not there any more.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            n_left = os.fstat(file.fileno()).st_size - start
            return _record(file, n_left, path, number)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); correct the path") from error


def _is_compressed(file: BinaryIO) -> bool:
    head = file.read(LENGTH_BYTES + CHECKSUM_BYTES)
    file.seek(0)
    length, stored = head[:LENGTH_BYTES], head[LENGTH_BYTES:]
    # A length may begin like a compressed file.
    if len(stored) == CHECKSUM_BYTES and _is_right(length, stored):
        return False
    zlib_header = head[:1] == bytes([ZLIB]) and int.from_bytes(head[:2], "big") % 31 == 0
    return head.startswith(GZIP) or zlib_header


def _inflated(file: BinaryIO, path: Path) -> Iterator[Record]:
    stream, number = Inflated(file), 0
    try:
        while length := stream.read(LENGTH_BYTES):
            yield Record(_record(_Behind(length, stream), None, path, number), None)
            number += 1
    except (zlib.error, EOFError) as error:
        raise BadInput(
            f"{path}: record {number}: the compressed file is damaged or cut off ({error}); fetch it "
            "again"
        ) from error


class _Behind:
    """A stream of which the beginning was read already."""

    def __init__(self, beginning: bytes, stream: Stream) -> None:
        self._beginning, self._stream = beginning, stream

    def read(self, n_bytes: int, /) -> bytes:
        found = self._beginning[:n_bytes]
        self._beginning = self._beginning[n_bytes:]
        return found + self._stream.read(n_bytes - len(found))


def _record(file: Stream, n_left: int | None, path: Path, number: int) -> bytes:
    """A record of a stream, of whose file so many bytes are left, if that is known."""
    where = f"{path}: record {number}"
    length = _checked(file, LENGTH_BYTES, n_left, f"{where}: its length", path)
    (size,) = struct.unpack("<Q", length)
    if n_left is not None:
        n_left -= LENGTH_BYTES + CHECKSUM_BYTES
    elif size > MOST_RECORD_BYTES:
        raise BadInput(
            f"{where} claims {size} bytes, more than any image and map; fetch the file again"
        )
    return _checked(file, size, n_left, f"{where}: its data", path)


def _checked(file: Stream, size: int, n_left: int | None, where: str, path: Path) -> bytes:
    # Before reading: a length that is wrong in spite of its checksum would ask for any memory.
    if n_left is None or size + CHECKSUM_BYTES <= n_left:
        data, stored = file.read(size), file.read(CHECKSUM_BYTES)
        if len(data) == size and len(stored) == CHECKSUM_BYTES:
            if _is_right(data, stored):
                return data
            looks = foreign.told(path)
            raise BadInput(
                f"{where} does not match its checksum, so the file is damaged or no TFRecord file: "
                f"{looks}"
            )
    raise BadInput(f"{where} is cut off by the end of the file; fetch the file again")


def _is_right(data: bytes, stored: bytes) -> bool:
    return struct.pack("<I", masked_crc32c(data)) == stored
