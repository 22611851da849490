"""Inflated: what a file holds that was compressed whole, by gzip or zlib, read piece by piece."""

import zlib
from typing import BinaryIO

# Zlib's number for "gzip or zlib, as its header says".
EITHER = 47
PART_BYTES = 2**18


class Inflated:
    """A stream of the bytes within; lengths and checksums are compared at the end of each member."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._stream = zlib.decompressobj(EITHER)
        self._packed = b""
        self._held = bytearray()

    def read(self, n_bytes: int) -> bytes:
        """The next bytes, fewer where there are no more.

        Raises:
            EOFError: the file ends before its compressed content does.
            zlib.error: it is damaged.
        """
        while len(self._held) < n_bytes and self._inflate():
            pass
        found = bytes(self._held[:n_bytes])
        del self._held[:n_bytes]
        return found

    def _inflate(self) -> bool:
        """Whether there was more."""
        packed = self._packed or self._file.read(PART_BYTES)
        if self._stream.eof:
            if not packed:
                return False
            self._stream = zlib.decompressobj(EITHER)
        found = self._stream.decompress(packed, PART_BYTES)
        self._held += found
        self._packed = self._stream.unconsumed_tail or self._stream.unused_data
        if not packed and not found and not self._stream.eof:
            raise EOFError("it is cut off")
        return True
