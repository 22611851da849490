"""NIfTI-1 and NIfTI-2 images, .nii and .nii.gz: read volume by volume, to the last byte.

After the public headers nifti1.h (348 bytes) and nifti2.h (540 bytes): sizes and types say what the
file must hold, and one that holds less or more is refused. Axes are x, y, z and volume, x fastest.
"""

import gzip
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput
from zoo_eval.files import reading
from zoo_eval.files.arrays import AGAIN, MOST_EXPANSION, PART_BYTES, RAISE
from zoo_eval.files.reading import MOST_BYTES, check_fits

Numbers = npt.NDArray[np.int64]
Grid = tuple[int, int, int]
GZIP = b"\x1f\x8b"
# Data types by their codes; colours and complex numbers are no responses.
TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
MAGIC_1, MAGIC_2 = b"n+1\0", b"n+2\0\r\n\x1a\n"
PAIRS = (b"ni1\0", b"ni2\0")
HEADER_BYTES = {348: 1, 540: 2}
MOST_AXES = 7
FAILURE = "is not a NIfTI image that can be read"


@dataclass(frozen=True)
class Nifti:
    """What a header says: the grid, how many volumes, how a value is stored and what it means.

    A value is `slope` x stored + `inter`; `slope` is None where it is as it is stored.
    """

    where: str
    path: Path
    grid: Grid
    n_volumes: int
    dtype: np.dtype[Any]
    start: int
    slope: float | None
    inter: float

    @property
    def volume_bytes(self) -> int:
        """Bytes of one volume as it is stored."""
        return math.prod(self.grid) * self.dtype.itemsize

    def volumes(self, places: Numbers | None = None) -> Iterator[npt.NDArray[Any]]:
        """The values of each volume, in the order of the file, whose end is checked after the last.

        Args:
            places: (voxel,) which voxels, as numbers x + X (y + Y z); all where left out.

        Raises:
            BadInput: the file is damaged, or holds less or more than its header says.
        """
        stored = np.empty(math.prod(self.grid), self.dtype)
        with reading.told(self.where, self.path, FAILURE), _opened(self.path) as file:
            _skip(file, self.start)
            for number in range(self.n_volumes):
                if not _filled(file, stored.view(np.uint8)):
                    raise BadInput(
                        f"{self.where} ends in volume {number + 1} of {self.n_volumes}: {AGAIN}"
                    )
                yield self._scaled(stored if places is None else stored[places])
            # Only at its end is the checksum of a compressed file compared.
            if file.read(1):
                raise BadInput(f"{self.where} holds more than its header says: {AGAIN}")

    def _scaled(self, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self.slope is None:
            return stored.astype(self.dtype.newbyteorder("="))
        return stored.astype(np.float64) * self.slope + self.inter


def opened(path: Path, where: str = "", most_bytes: int = MOST_BYTES) -> Nifti:
    """What the header of a .nii or .nii.gz says, compared with the size of the file.

    Args:
        path: the file.
        where: what is read, for messages; the path where left out.
        most_bytes: what one of its volumes may take, stored and as numbers.

    Raises:
        BadInput: it is no NIfTI image, one of a pair of files, of values that are no real numbers, or
            claims what it cannot hold.
    """
    place = where or str(path)
    with reading.told(place, path, FAILURE), _opened(path) as file:
        found = _described(place, path, file)
    n_bytes = found.start + found.volume_bytes * found.n_volumes
    held = path.stat().st_size
    if n_bytes > held * MOST_EXPANSION if _is_compressed(path) else n_bytes != held:
        sizes = " x ".join(map(str, (*found.grid, found.n_volumes)))
        raise BadInput(
            f"{place} claims {sizes} values of {found.dtype}, {n_bytes} bytes, and has {held}: {AGAIN}"
        )
    needed = found.volume_bytes + 8 * math.prod(found.grid)
    check_fits(place, "one of its volumes", needed, most_bytes, RAISE)
    return found


def volume(path: Path, where: str = "", most_bytes: int = MOST_BYTES) -> npt.NDArray[Any]:
    """The only volume of an image, (x, y, z).

    Raises:
        BadInput: as `opened` and `Nifti.volumes` do, or there are several.
    """
    found = opened(path, where, most_bytes)
    if found.n_volumes != 1:
        raise BadInput(f"{found.where} has {found.n_volumes} volumes; give an image of one")
    (values,) = found.volumes()
    return values.reshape(found.grid, order="F")


def _is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if _is_compressed(path):
        with gzip.open(path) as unpacked:
            yield unpacked  # type: ignore[misc]
    else:
        with path.open("rb") as file:
            yield file


def _skip(file: IO[bytes], n_bytes: int) -> None:
    while n_bytes > 0:
        part = file.read(min(n_bytes, PART_BYTES))
        if not part:
            raise ValueError("it ends in its header")
        n_bytes -= len(part)


def _filled(file: IO[bytes], values: npt.NDArray[np.uint8]) -> bool:
    """Whether a stream had as many bytes as there are values, which are then these."""
    done = 0
    while done < len(values):
        part = file.read(min(len(values) - done, PART_BYTES))
        if not part:
            return False
        values[done : done + len(part)] = np.frombuffer(part, np.uint8)
        done += len(part)
    return True


def _described(where: str, path: Path, file: IO[bytes]) -> Nifti:
    first = file.read(4)
    orders = [one for one in "<>" if struct.unpack(f"{one}i", first)[0] in HEADER_BYTES]
    if not orders:
        raise ValueError("its first number is no header's size")
    order = orders[0]
    size = struct.unpack(f"{order}i", first)[0]
    content = first + file.read(size - 4)
    if len(content) != size:
        raise ValueError("it ends in its header")
    of_version = _of_version_1 if HEADER_BYTES[size] == 1 else _of_version_2
    dim, code, bits, start, scale = of_version(where, order, content)
    if code not in TYPES:
        raise BadInput(f"{where} has values of type {code}, no real numbers; save it as float32")
    dtype = np.dtype(order + TYPES[code])
    if bits != 8 * dtype.itemsize or not 3 <= dim[0] <= MOST_AXES or min(dim[1 : dim[0] + 1]) < 1:
        raise ValueError(f"its header has {bits} bits a value and the shape {dim}")
    if start < size:
        raise ValueError(f"its values start at byte {start}, in its header")
    n_volumes = math.prod(dim[4 : dim[0] + 1])
    grid = (dim[1], dim[2], dim[3])
    return Nifti(where, path, grid, n_volumes, dtype, start, *_scaling(where, *scale))


Described = tuple[tuple[int, ...], int, int, int, tuple[float, float]]


def _of_version_1(where: str, order: str, content: bytes) -> Described:
    _check_magic(where, content[344:348], MAGIC_1)
    dim = struct.unpack_from(f"{order}8h", content, 40)
    code, bits = struct.unpack_from(f"{order}2h", content, 70)
    start, slope, inter = struct.unpack_from(f"{order}3f", content, 108)
    return dim, code, bits, int(start), (slope, inter)


def _of_version_2(where: str, order: str, content: bytes) -> Described:
    _check_magic(where, content[4:12], MAGIC_2)
    code, bits = struct.unpack_from(f"{order}2h", content, 12)
    dim = struct.unpack_from(f"{order}8q", content, 16)
    (start,) = struct.unpack_from(f"{order}q", content, 168)
    slope, inter = struct.unpack_from(f"{order}2d", content, 176)
    return dim, code, bits, start, (slope, inter)


def _check_magic(where: str, found: bytes, magic: bytes) -> None:
    if found[:4] in PAIRS:
        raise BadInput(f"{where} is the header of a pair of files; convert them to one .nii")
    if found != magic:
        raise ValueError("its header does not end as that of a NIfTI image")


def _scaling(where: str, slope: float, inter: float) -> tuple[float | None, float]:
    """Slope and intercept; by the standard a slope of 0 means that values are as they are stored."""
    if slope == 0 or not math.isfinite(slope) or (slope == 1 and inter == 0):
        return None, 0.0
    if not math.isfinite(inter):
        raise BadInput(f"{where} scales its values by {slope:g} and adds {inter}: {AGAIN}")
    return slope, inter
