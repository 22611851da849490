"""Chunked datasets of HDF5: columns of one are read by the chunks that hold them, each of these once."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput
from zoo_eval.files.arrays import AGAIN
from zoo_eval.files.reading import check_fits

Array = npt.NDArray[Any]
Numbers = npt.NDArray[np.int64]
Place = tuple[int, ...]


def check(where: str, dataset: Any, most_bytes: int) -> None:
    """Refuses a dataset that is elsewhere, claims more than is stored, or has chunks too large.

    Raises:
        BadInput: one of these.
    """
    if dataset.external or dataset.is_virtual:
        raise BadInput(f"{where} is kept in another file; save it in one")
    chunk = math.prod(_chunks(dataset)) * dataset.dtype.itemsize
    if dataset.chunks is None and not is_written(dataset):
        raise BadInput(f"{where} was declared and never written: {AGAIN}")
    check_fits(where, "one of its chunks", 2 * chunk, most_bytes, "raise [run] memory_budget")


class Chunks:
    """The chunks of a dataset of h5py, to be read one by one; `where` it is, for messages."""

    def __init__(self, where: str, dataset: Any) -> None:
        self._where, self._dataset, self._id = where, dataset, dataset.id
        self.shape: Place = dataset.shape
        self.sides = _chunks(dataset)
        # What is stored as it is needs no selection, which takes ten times as long as a voxel's session.
        is_plain = dataset.chunks is not None and not self._id.get_create_plist().get_nfilters()
        self._dtype = dataset.dtype if is_plain else None

    def columns(self, places: Numbers) -> Iterator[tuple[slice, Numbers, Array]]:
        """The cells along the first axis at some places of the other axes, each chunk once.

        Args:
            places: (column, axis) where the columns are, an entry for each axis after the first.

        Yields:
            which cells of the first axis, which columns, and their values (cell, column).

        Raises:
            BadInput: a chunk that is asked for was never written.
        """
        first, *others = self.sides
        cells = np.array(others, np.int64)
        of_chunk, inverse = np.unique(places // cells, axis=0, return_inverse=True)
        order = np.argsort(inverse, kind="stable")
        ends = np.searchsorted(inverse[order], np.arange(len(of_chunk)), "right")
        start = 0
        for corner, end in zip((of_chunk * cells).tolist(), ends.tolist(), strict=True):
            those = order[start:end]
            within = tuple((places[those] - corner).T)
            for top in range(0, self.shape[0], first):
                bottom = min(top + first, self.shape[0])
                values = self.chunk((top, *corner))
                yield slice(top, bottom), those, values[(slice(0, bottom - top), *within)]
            start = end

    def chunk(self, corner: Place) -> Array:
        """One chunk, by the cell at its corner; at the edge of the dataset it may be cut.

        Raises:
            BadInput: it was never written.
        """
        if self._dataset.chunks is None:
            return np.asarray(self._dataset[corner[0] : corner[0] + 1])
        try:
            if self._dtype is not None:
                _, content = self._id.read_direct_chunk(corner)
                return np.frombuffer(content, self._dtype).reshape(self.sides)
        except Exception:
            self._check_written(corner)
            raise
        self._check_written(corner)
        return np.asarray(self._dataset[tuple(map(slice, corner, np.add(corner, self.sides)))])

    def _check_written(self, corner: Place) -> None:
        if self._id.get_chunk_info_by_coord(corner).byte_offset is None:
            raise BadInput(
                f"{self._where}: nothing was ever written at {corner} (axes as HDF5 has them), which would be "
                "read as zeros; leave it out of what is selected, or fetch the file again"
            )


def is_written(dataset: Any) -> bool:
    """Whether everything that a dataset claims was written: what was not is read as zeros."""
    if dataset.chunks is None:
        n_bytes = dataset.size * dataset.dtype.itemsize
        return bool(dataset.id.get_storage_size() >= n_bytes)
    sides = zip(dataset.shape, dataset.chunks, strict=True)
    expected = math.prod(-(-length // side) for length, side in sides)
    return bool(dataset.id.get_num_chunks() >= expected)


def _chunks(dataset: Any) -> Place:
    """The sides of a chunk; without chunks, a step along the first axis stands for one."""
    return tuple(dataset.chunks or (1, *dataset.shape[1:]))
