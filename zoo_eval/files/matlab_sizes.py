"""Sizes that MATLAB's files declare, checked against what they hold before anything is allocated."""

import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput
from zoo_eval.files import matlab_elements
from zoo_eval.files.arrays import AGAIN, MOST_EXPANSION
from zoo_eval.files.reading import check_fits

HEADER_BYTES = 128
TAG_BYTES = 8
COMPRESSED = 15
ALONE = "raise [run] memory_budget, or save the array that is meant alone"


def check_version_5(where: str, path: Path, most_bytes: int) -> list[str] | None:
    """The names of arrays and structures in a file of version 5 to 7; None of a file of another version.

    Refuses a file whose variables are cut off, damaged, or too much together.

    SciPy trusts the types and sizes of a file's elements, up to a crash: they are looked at first.
    Objects, and structures that hold some, are not among what is named.

    Raises:
        BadInput: an element claims more than the file holds or its compressed bytes give, or all of
            them would take more than `most_bytes`.
    """
    with path.open("rb") as file:
        n_bytes = os.fstat(file.fileno()).st_size
        order = {b"IM": "<", b"MI": ">"}.get(file.read(HEADER_BYTES)[126:])
        if order is None:
            return None
        total, names = 0, []
        while file.tell() < n_bytes:
            tag = file.read(TAG_BYTES)
            kind, size = struct.unpack(f"{order}II", tag) if len(tag) == TAG_BYTES else (0, n_bytes)
            end = file.tell() + size
            if end > n_bytes:
                raise BadInput(f"{where}: a variable is cut off by the end of the file: {AGAIN}")
            allowed = most_bytes - total
            check_fits(where, "its variables", total + size, most_bytes, ALONE)
            content = tag + file.read(size)
            if kind == COMPRESSED:
                content = _inflated(where, content[TAG_BYTES:], order, allowed)
            total += len(content)
            try:
                names.append(matlab_elements.checked(content, order))
            except BadInput as error:
                raise BadInput(f"{where}: {error}") from error
            except ValueError as error:
                raise BadInput(f"{where}: a variable is damaged ({error}): {AGAIN}") from error
    return [one for one in names if one is not None]


def _inflated(where: str, packed: bytes, order: str, allowed: int) -> bytes:
    """What a compressed element holds, which must be what it claims, and its checksum right."""
    stream = zlib.decompressobj()
    try:
        head = stream.decompress(packed, TAG_BYTES)
        (claimed,) = struct.unpack_from(f"{order}4xI", head)
        check_fits(where, "its variables", claimed, allowed, ALONE)
        held = head + stream.decompress(stream.unconsumed_tail, claimed + 1)
    except (zlib.error, struct.error) as error:
        raise BadInput(f"{where}: a compressed variable is damaged ({error}): {AGAIN}") from error
    if not stream.eof or len(held) != TAG_BYTES + claimed:
        raise BadInput(
            f"{where}: a compressed variable does not hold what it claims, or is cut off: {AGAIN}"
        )
    return held


class Datasets:
    """Reads datasets of an HDF5 file, as long as they take less than `most_bytes` together."""

    def __init__(self, where: str, most_bytes: int) -> None:
        self._where, self._most, self._taken = where, most_bytes, 0

    def read(self, item: Any) -> npt.NDArray[Any]:
        """All of one dataset, as it is stored.

        Raises:
            BadInput: it claims more than the file can hold, is in another file, or is too large.
        """
        n_bytes = item.size * item.dtype.itemsize
        if item.external or item.is_virtual:
            raise BadInput(f"{self._named(item)} is kept in another file; save it in one")
        # Never written, it would be read as zeros.
        if n_bytes > item.id.get_storage_size() * MOST_EXPANSION:
            raise BadInput(
                f"{self._named(item)} claims {n_bytes} bytes, and {item.id.get_storage_size()} are "
                f"stored: {AGAIN}"
            )
        chunk = math.prod(item.chunks or (0,)) * item.dtype.itemsize
        self._taken += n_bytes
        if self._taken + chunk > self._most:
            what = "it, with what was read before,"
            check_fits(self._named(item), what, self._taken + chunk, self._most, ALONE)
        return np.asarray(item[()])

    def _named(self, item: Any) -> str:
        # Asked for in messages alone: for the name of what is referred to, the whole file is searched.
        return f"{self._where}: {item.name}"
