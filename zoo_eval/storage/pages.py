"""Pages: whether those of a Parquet file's column are the bytes that were written, by their checksums.

Of a page's header (Thrift's compact protocol, as in parquet.thrift) only two fields are wanted: its length
and its CRC-32. DuckDB reads over the checksum, so it is compared before.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

LENGTH, CHECKSUM = 3, 4
STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(13)
WHOLE_NUMBERS = (I16, I32, I64)
# A footer ends in its length (4 bytes) and the format's name.
ENDING = 8


class Corrupt(OSError):
    """Bytes that are not those that were written."""


@dataclass(frozen=True)
class Chunk:
    """Where one column's pages of one row group lie in a file."""

    start: int
    end: int


def footer_bytes(ending: bytes) -> int:
    """How long the footer is, with its ending, of whose file these are the last bytes.

    Raises:
        Corrupt: it is no Parquet file.
    """
    if len(ending) < ENDING or ending[-4:] != b"PAR1":
        raise Corrupt("is no Parquet file")
    return int.from_bytes(ending[-ENDING:-4], "little") + ENDING


def chunks(footer: bytes) -> list[Chunk]:
    """Where a file's columns lie, in order.

    Raises:
        Corrupt: it is no footer.
    """
    try:
        told = pq.read_metadata(pa.BufferReader(footer))
    except (pa.ArrowException, OSError) as error:
        raise Corrupt("has a damaged footer") from error
    return sorted(_chunks(told), key=lambda one: one.start)


def _chunks(told: pq.FileMetaData) -> Iterator[Chunk]:
    for number in range(told.num_row_groups):
        group = told.row_group(number)
        for place in range(group.num_columns):
            column = group.column(place)
            start = column.data_page_offset
            if column.has_dictionary_page:
                start = min(start, column.dictionary_page_offset)
            yield Chunk(start, start + column.total_compressed_size)


def check(held: bytes) -> None:
    """Nothing, where every page of a column has its checksum; pages without one are not looked at.

    Raises:
        Corrupt: one has another, or there are no pages.
    """
    view, place = memoryview(held), 0
    while place < len(held):
        try:
            length, checksum, begin = _header(held, place)
        except IndexError:
            raise Corrupt("has a damaged page") from None
        place = begin + length
        if length < 0 or place > len(held):
            raise Corrupt("has a damaged page")
        if checksum is not None and zlib.crc32(view[begin:place]) != checksum & 0xFFFFFFFF:
            raise Corrupt("has a damaged page")


def _header(held: bytes, place: int) -> tuple[int, int | None, int]:
    """A page's length, its checksum, and where it begins behind its header."""
    number, found = 0, dict[int, int]()
    while (head := held[place]) & 15 != STOP:
        kind, step = head & 15, head >> 4
        place += 1
        if step:
            number += step
        else:
            number, place = _whole(held, place)
        if kind in WHOLE_NUMBERS:
            found[number], place = _whole(held, place)
        else:
            place = _behind(held, place, kind)
    return found.get(LENGTH, -1), found.get(CHECKSUM), place + 1


def _plain(held: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the place behind it."""
    value = shift = 0
    while True:
        one = held[place]
        value |= (one & 127) << shift
        place, shift = place + 1, shift + 7
        if one < 128:
            return value, place


def _whole(held: bytes, place: int) -> tuple[int, int]:
    """A signed one: 0, -1, 1, -2 are written 0, 1, 2, 3."""
    value, place = _plain(held, place)
    return (value >> 1) ^ -(value & 1), place


def _behind(held: bytes, place: int, kind: int) -> int:
    """The place behind a value that is not wanted; pages' headers have neither lists nor maps.

    Raises:
        Corrupt: it is of no kind that is there.
    """
    if kind in (TRUE, FALSE):
        return place
    if kind in WHOLE_NUMBERS:
        return _plain(held, place)[1]
    if kind == BYTE:
        return place + 1
    if kind == DOUBLE:
        return place + 8
    if kind == BINARY:
        length, place = _plain(held, place)
        return place + length
    if kind == STRUCT:
        while (inner := held[place] & 15) != STOP:
            # A step of 0 says that the field's number follows.
            place = place + 1 if held[place] >> 4 else _plain(held, place + 1)[1]
            place = _behind(held, place, inner)
        return place + 1
    raise Corrupt("has a damaged page")
