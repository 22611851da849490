"""TFRecord files: a sequence of byte records, each with a checksum of its length and of its data."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from zoo_eval.errors import BadInput
from zoo_eval.importance.crc32c import masked_crc32c

LENGTH_BYTES = 8
CHECKSUM_BYTES = 4


def records(path: Path) -> Iterator[bytes]:
    """The records of an uncompressed TFRecord file, in order, one in memory at a time.

    Raises:
        BadInput: the file cannot be read, ends inside a record, or a checksum differs; the file
            and the record's number (from 0) are named.
    """
    try:
        with path.open("rb") as file:
            n_bytes = os.fstat(file.fileno()).st_size
            number = 0
            while file.tell() < n_bytes:
                yield _record(file, n_bytes, f"{path}: record {number}")
                number += 1
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); correct the path") from error


def _record(file: BinaryIO, n_bytes: int, where: str) -> bytes:
    length = _checked(file, LENGTH_BYTES, n_bytes, f"{where}: its length")
    (size,) = struct.unpack("<Q", length)
    return _checked(file, size, n_bytes, f"{where}: its data")


def _checked(file: BinaryIO, size: int, n_bytes: int, where: str) -> bytes:
    # Before reading: a length that is wrong in spite of its checksum would ask for any memory.
    if file.tell() + size + CHECKSUM_BYTES > n_bytes:
        raise BadInput(f"{where} is cut off by the end of the file; fetch the file again")
    data = file.read(size)
    (stored,) = struct.unpack("<I", file.read(CHECKSUM_BYTES))
    if masked_crc32c(data) != stored:
        raise BadInput(
            f"{where} does not match its checksum: the file is damaged, compressed or no TFRecord "
            "file; fetch it again"
        )
    return data
