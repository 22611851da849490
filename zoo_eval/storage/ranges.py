"""Ranges: parts of a store's files of rows, which are handed out once they are known to be whole.

A small file is read at once and compared with its digest; of a larger one the columns that are wanted are
read, and each page is compared with its checksum. What a bucket has is fetched once, to a private file.
"""

import bisect
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from zoo_eval.storage import kept, pages
from zoo_eval.storage.ledger import Named
from zoo_eval.storage.objects import Objects
from zoo_eval.storage.pages import Chunk, Corrupt

# Such a file is read as quickly as its footer.
SMALL_BYTES = 64 * 2**10
TAIL_BYTES = 64 * 2**10


@dataclass
class Ranges:
    """One file that counts, any part of it; threads may read it at the same time.

    Raises, from `read`:
        OSError: the file cannot be read; `Corrupt` where it is not what was written.
    """

    objects: Objects
    named: Named
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _whole: bytes | None = None
    _footer: tuple[int, bytes] = (0, b"")
    _chunks: Sequence[Chunk] = ()
    _known: set[int] = field(default_factory=set)

    def read(self, start: int, end: int) -> bytes:
        """The bytes from one place up to another."""
        if not self._footer[1] and self._whole is None:
            with self._lock:
                self._open()
        if self._whole is not None:
            return self._whole[start:end]
        first, footer = self._footer
        if start >= first:
            return footer[start - first : end - first]
        self._check(start, end)
        return self.objects.part(self.named.path, start, end)

    def _open(self) -> None:
        size = self.named.size
        if self._whole is not None or self._footer[1]:
            return  # by another thread
        if size <= SMALL_BYTES:
            held = self.objects.get(self.named.path)
            if not kept.is_whole(self.named, held):
                raise Corrupt("is damaged")
            self._whole = held
            return
        tail = self.objects.part(self.named.path, size - TAIL_BYTES, size)
        length = pages.footer_bytes(tail)
        if length > size:
            raise Corrupt("has a damaged footer")
        if length > len(tail):
            tail = self.objects.part(self.named.path, size - length, size)
        footer = tail[-length:]
        self._chunks = pages.chunks(footer)
        self._footer = (size - length, footer)

    def _check(self, start: int, end: int) -> None:
        """Compares the columns that lie between two places, each once."""
        first = bisect.bisect_right(self._chunks, start, key=lambda one: one.end)
        for number in range(first, len(self._chunks)):
            chunk = self._chunks[number]
            if chunk.start >= end:
                return
            if number not in self._known:
                pages.check(self.objects.part(self.named.path, chunk.start, chunk.end))
                self._known.add(number)
