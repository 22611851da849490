"""HDF5's global heaps, which hold text of any length, looked at before HDF5's own reader trusts them.

That reader goes on for ever where a heap says of what is left of it that it takes nothing. (HDF5 File
Format Specification, III.E.)
"""

import mmap
import struct
from pathlib import Path

from zoo_eval.errors import BadInput
from zoo_eval.files.arrays import AGAIN

# Signature, version 1 and three bytes of nothing; then the size of the whole.
START = b"GCOL\x01\x00\x00\x00"
SIZE = struct.Struct("<Q")
OBJECT = struct.Struct("<HHIQ")
# Objects begin at multiples of it.
STEP = 8


def check(where: str, path: Path) -> None:
    """Refuses a file with a heap whose objects do not follow one another to its end.

    Raises:
        BadInput: there is one.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start = content.find(START)
            while start >= 0:
                if not _is_whole(content, start):
                    raise BadInput(f"{where}: its text is damaged (heap at byte {start}): {AGAIN}")
                start = content.find(START, start + len(START))


def _is_whole(content: mmap.mmap, start: int) -> bool:
    at = start + len(START)
    if at + SIZE.size > len(content):
        return False
    (size,) = SIZE.unpack_from(content, at)
    at, end = at + SIZE.size, start + size
    if end > len(content):
        return False
    while at + OBJECT.size <= end:
        number, _, _, held = OBJECT.unpack_from(content, at)
        # What is left of a heap has the number 0, and its size counts these bytes too.
        taken = held if number == 0 else OBJECT.size + -(-held // STEP) * STEP
        if taken < OBJECT.size or at + taken > end:
            return False
        at += taken
    return True
