"""Members of archives: where the bytes of each file in a ZIP or tar archive are, so that one is had alone."""

import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from zoo_eval.errors import BadInput
from zoo_eval.files import reading
from zoo_eval.files.arrays import AGAIN, check_archive
from zoo_eval.units import size_text

# More than any image's file.
MOST_MEMBER_BYTES = 2**28
LOCAL_HEADER = struct.Struct("<4s22xHH")
LOCAL_SIGNATURE = b"PK\x03\x04"
# Deflate alone, without a header of its own.
RAW_DEFLATE = -zlib.MAX_WBITS
BLOCK_BYTES = tarfile.BLOCKSIZE
PART_BYTES = 2**20


@dataclass(frozen=True)
class Member:
    """A file in an archive: `n_stored` bytes from `start`, `n_bytes` once they are unpacked.

    `start` is that of its header in a ZIP archive, where `crc` is its checksum, and of its bytes in a
    tar archive, which has none.
    """

    path: Path
    name: str
    start: int
    n_stored: int
    n_bytes: int
    is_packed: bool = False
    crc: int | None = None

    @property
    def where(self) -> str:
        """What it is, for messages."""
        return f"{self.path}: {self.name!r}"

    def read(self) -> bytes:
        """Its bytes, of a size that was checked before; any number of threads may ask at once.

        Raises:
            BadInput: they are not there any more, or differ from their checksum.
        """
        with reading.told(self.where, self.path), self.path.open("rb") as file:
            file.seek(self.start)
            if self.crc is not None:
                _pass_header(file, self.where)
            stored = file.read(self.n_stored)
            found = self._unpacked(stored) if self.is_packed else stored
            if len(found) != self.n_bytes:
                raise BadInput(f"{self.where} is not what its archive says: {AGAIN}")
            if self.crc is not None and zlib.crc32(found) != self.crc:
                raise BadInput(f"{self.where} differs from its checksum: {AGAIN}")
            return found

    def _unpacked(self, stored: bytes) -> bytes:
        stream = zlib.decompressobj(RAW_DEFLATE)
        # One byte more than it says, so that more is noticed; never what it would become.
        return stream.decompress(stored, self.n_bytes + 1)


def of_zip(where: str, path: Path) -> list[Member]:
    """The files in a ZIP archive, in the order of its directory.

    Raises:
        BadInput: it is damaged, encrypted or compressed by another method than deflate, a member claims
            more than the archive can hold or than an image takes, stands twice, or leads out of it.
    """
    with reading.told(where, path, "is no ZIP archive"), zipfile.ZipFile(path) as archive:
        check_archive(archive, where, path.stat().st_size)
        found = [
            Member(
                path, one.filename, one.header_offset, one.compress_size, one.file_size,
                one.compress_type == zipfile.ZIP_DEFLATED, one.CRC,
            )
            for one in archive.infolist()
            if not one.is_dir()
        ]  # fmt: skip
    _check(where, found)
    return found


def of_tar(where: str, path: Path) -> list[Member]:
    """The files in a tar archive that is not compressed, in their order.

    Raises:
        BadInput: it is damaged, compressed or cut off, holds a link or a device, a member is larger than
            an image, stands twice, or leads out of it.
    """
    with (
        reading.told(where, path, "is no tar archive"),
        path.open("rb") as file,
        tarfile.open(fileobj=file, mode="r:") as archive,
    ):
        found = [
            Member(path, one.name, one.offset_data, one.size, one.size)
            for one in archive
            if _is_file(where, one)
        ]
        _check_end(where, file, archive.offset)
    _check(where, found)
    return found


def _pass_header(file: IO[bytes], where: str) -> None:
    """Reads on to a ZIP member's bytes, which are behind a name and more of their own lengths."""
    head = file.read(LOCAL_HEADER.size)
    signature, n_name, n_extra = LOCAL_HEADER.unpack(head)
    if signature != LOCAL_SIGNATURE:
        raise BadInput(f"{where} is not where the archive's directory says: {AGAIN}")
    file.seek(n_name + n_extra, os.SEEK_CUR)


def _is_file(where: str, member: tarfile.TarInfo) -> bool:
    if member.isdir():
        return False
    if not member.isreg() or member.issparse():
        raise BadInput(
            f"{where}: {member.name!r} is a link, a device or sparse; pack the files themselves"
        )
    return True


def _check_end(where: str, file: IO[bytes], end: int) -> None:
    """Refuses a tar archive whose end, zeros alone, is not there, or behind which there is more."""
    file.seek(end)
    n_zeros = 0
    for part in _parts(file):
        if part.strip(b"\0"):
            raise BadInput(f"{where} has a damaged header, or more behind its end: {AGAIN}")
        n_zeros += len(part)
    if n_zeros < BLOCK_BYTES:
        raise BadInput(f"{where} has no end: {AGAIN}")


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    while part := file.read(PART_BYTES):
        yield part


def _check(where: str, members: list[Member]) -> None:
    seen: set[str] = set()
    for one in members:
        if PurePosixPath(one.name).is_absolute() or ".." in PurePosixPath(one.name).parts:
            raise BadInput(f"{where}: {one.name!r} leads out of the archive; pack it again")
        if one.name in seen:
            raise BadInput(f"{where}: {one.name!r} stands twice in it; pack it once")
        seen.add(one.name)
        if (larger := max(one.n_bytes, one.n_stored)) > MOST_MEMBER_BYTES:
            raise BadInput(
                f"{where}: {one.name!r} has {size_text(larger)}, more than any image; leave it out"
            )
