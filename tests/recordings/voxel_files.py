"""NIfTI images written by hand after the public headers, nifti1.h and nifti2.h."""

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024}


def nifti(
    path: Path,
    array: npt.NDArray[Any],
    *,
    version: int = 1,
    order: Literal["<", ">"] = "<",
    slope: float = 0.0,
    inter: float = 0.0,
    magic: bytes | None = None,
) -> Path:
    """An array (x, y, z) or (x, y, z, volume), x fastest; compressed where the name says so."""
    stored = array.astype(array.dtype.newbyteorder(order))
    dim = [array.ndim, *array.shape] + [1] * (7 - array.ndim)
    code, bits = CODES[array.dtype.str[1:]], 8 * array.dtype.itemsize
    header = bytearray(348 if version == 1 else 540)
    if version == 1:
        struct.pack_into(f"{order}i", header, 0, 348)
        struct.pack_into(f"{order}8h", header, 40, *dim)
        struct.pack_into(f"{order}2h", header, 70, code, bits)
        struct.pack_into(f"{order}3f", header, 108, 352, slope, inter)
        header[344:348] = magic or b"n+1\0"
    else:
        struct.pack_into(f"{order}i", header, 0, 540)
        header[4:12] = magic or b"n+2\0\r\n\x1a\n"
        struct.pack_into(f"{order}2h", header, 12, code, bits)
        struct.pack_into(f"{order}8q", header, 16, *dim)
        struct.pack_into(f"{order}q", header, 168, 544)
        struct.pack_into(f"{order}2d", header, 176, slope, inter)
    content = bytes(header) + bytes(4) + stored.tobytes(order="F")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def mask(
    path: Path, grid: Sequence[int], places: Sequence[Sequence[int]] | npt.NDArray[np.int64]
) -> Path:
    """A mask with ones at some places."""
    values = np.zeros(grid, np.uint8)
    values[tuple(np.array(places).T)] = 1
    return nifti(path, values)
