"""Rows of a dataset in an HDF5 file, one at a time: by any number of threads, and sent without the open file."""

import math
import os
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput
from zoo_eval.files import reading
from zoo_eval.files.arrays import AGAIN
from zoo_eval.files.hdf5_bytes import dataset_of
from zoo_eval.files.reading import check_fits

Array = npt.NDArray[Any]
# Chunks of a dataset of images; one that holds more is not made to be read image by image.
MOST_CHUNK_BYTES = 2**28
REPACK = "save it in smaller chunks (h5repack)"


class Hdf5Rows:
    """The rows of one dataset; the file is opened when the first is asked for, and then stays open.

    `where` says what is read, for messages, and names the file.
    """

    def __init__(self, where: str, path: Path, dataset: str) -> None:
        self._where, self.path, self.dataset = where, path, dataset
        self._forget()

    def _forget(self) -> None:
        self._lock, self._process, self._whole = Lock(), -1, False
        self._file: Any = None

    def __getstate__(self) -> tuple[str, Path, str]:
        return self._where, self.path, self.dataset

    def __setstate__(self, state: tuple[str, Path, str]) -> None:
        self._where, self.path, self.dataset = state
        self._forget()

    def described(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """The dataset's shape and type.

        Raises:
            BadInput: the file is damaged, has no such dataset, or keeps it in another file.
        """
        with self._lock, self._told():
            item = self._opened()
            found = item.shape, item.dtype
            self._file.close()
            self._file = None
            return found

    def row(self, number: int) -> Array:
        """One row, from 0.

        Raises:
            BadInput: it was never written, is damaged, or is not there any more.
        """
        with self._lock, self._told():
            item = self._opened()
            if not self._whole:
                _check_written(self._where, item, number)
            return np.asarray(item[number])

    def _told(self) -> Any:
        return reading.told(self._where, self.path, "cannot be read as HDF5")

    def _opened(self) -> Any:
        # A copy of the process would share its place in the file with this one.
        if self._file is None or self._process != os.getpid():
            # Imported here, as it takes a tenth of a second and few stimuli need it.
            import h5py

            self._process, self._file = os.getpid(), h5py.File(self.path)
            item = dataset_of(self._where, self._file, self.dataset)
            self._whole = _is_whole(self._where, item)
        return self._file[self.dataset]


def _is_whole(where: str, item: Any) -> bool:
    """Whether every row was written, as far as that is told at once."""
    if item.chunks is None:
        n_bytes = item.size * item.dtype.itemsize
        stored = int(item.id.get_storage_size())
        if stored < n_bytes:
            raise BadInput(
                f"{where}: {item.name!r} claims {n_bytes} bytes, and {stored} are stored: {AGAIN}"
            )
        return True
    n_bytes = math.prod(item.chunks) * item.dtype.itemsize
    check_fits(where, f"a chunk of {item.name!r}", n_bytes, MOST_CHUNK_BYTES, REPACK)
    grid = [-(-n // chunk) for n, chunk in zip(item.shape, item.chunks, strict=True)]
    return bool(item.id.get_num_chunks() == math.prod(grid))


def _check_written(where: str, item: Any, number: int) -> None:
    """Refuses a row of which a chunk was never written, which would be read as zeros."""
    first, *others = item.chunks
    for place in np.ndindex(*(-(-n // one) for n, one in zip(item.shape[1:], others, strict=True))):
        corner = (number // first * first, *(at * one for at, one in zip(place, others)))
        if item.id.get_chunk_info_by_coord(corner).byte_offset is None:
            raise BadInput(f"{where}: row {number + 1} of {item.name!r} was never written: {AGAIN}")
