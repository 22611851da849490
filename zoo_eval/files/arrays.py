"""Arrays in files of NumPy, whose declared sizes are checked before anything is allocated."""

import zipfile
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput
from zoo_eval.files import foreign
from zoo_eval.units import size_text

Array = npt.NDArray[Any]
# Of what was measured little is ever compressed by more; a small file is let off.
LARGEST_RATIO = 100
LET_OFF_BYTES = 2**26


def check_size(path: Path, declared_bytes: int) -> None:
    """Refuses a file that declares far more than it can hold.

    Raises:
        BadInput: more than `LARGEST_RATIO` times its own size.
    """
    size = path.stat().st_size
    if declared_bytes > max(LET_OFF_BYTES, LARGEST_RATIO * size):
        raise BadInput(
            f"{path}: declares {size_text(declared_bytes)} of data in a file of {size_text(size)}; it is "
            "damaged, or made to fill the memory: save it again, uncompressed"
        )


def check_archive(path: Path) -> None:
    """Checks a zip archive's directory, declared sizes and checksums, where a file is one.

    Raises:
        BadInput: it is damaged, or declares more than it can hold.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            check_size(path, sum(one.file_size for one in archive.infolist()))
            broken = archive.testzip()
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(f"{path}: cannot be read: {foreign.told(path)}") from error
    if broken is not None:
        raise BadInput(f"{path}: a checksum does not match: it is damaged; fetch it again")


def npy(path: Path) -> Array:
    """The array in a .npy file.

    Raises:
        BadInput: it is no such file, is damaged, needs code to load, or declares more than it holds.
    """
    try:
        # Mapped: what a damaged header declares is not allocated.
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:
        raise BadInput(f"{path}: is no array of numbers: {_told(path, error)}") from error


def npz(path: Path) -> dict[str, Array]:
    """The arrays in a .npz file, by name.

    Raises:
        BadInput: as `npy` does.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if one.filename.endswith(".npy")]
            check_size(path, sum(_declared(archive, one) for one in members))
            found = {}
            for one in members:
                with archive.open(one) as file:
                    name = one.filename.removesuffix(".npy")
                    found[name] = np.lib.format.read_array(file, allow_pickle=False)
            return found
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(f"{path}: is no .npz of numbers: {_told(path, error)}") from error


def _told(path: Path, error: Exception) -> str:
    # NumPy's own word for objects, which only code could load.
    if "allow_pickle" in str(error) or "object arrays" in str(error).casefold():
        return "it holds objects, which only code could load; save numbers"
    return foreign.told(path)


def _declared(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """The bytes that an array's own header declares, and those that the archive does: the larger."""
    with archive.open(member) as file:
        shape, dtype = _header(file)
    return max(member.file_size, prod(shape) * dtype.itemsize)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    if np.lib.format.read_magic(file) == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    return shape, dtype
