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


def columns(where: str, dataset: Any, places: Numbers) -> Iterator[tuple[slice, Numbers, Array]]:
    """The cells along the first axis at some places of the other axes, chunk by chunk.

    Args:
        where: what is read, for messages.
        dataset: of h5py, of two axes or more.
        places: (column, axis) where the columns are, an entry for each axis after the first.

    Yields:
        which cells of the first axis, which columns, and their values (cell, column).

    Raises:
        BadInput: a chunk that is asked for was never written.
    """
    first, *others = _chunks(dataset)
    cells = np.array(others, np.int64)
    of_chunk, inverse = np.unique(places // cells, axis=0, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    ends = np.searchsorted(inverse[order], np.arange(len(of_chunk)), "right")
    start = 0
    for corner, end in zip(of_chunk * cells, ends.tolist(), strict=True):
        those = order[start:end]
        within = tuple((places[those] - corner).T)
        for top in range(0, dataset.shape[0], first):
            values = chunk(where, dataset, (top, *corner.tolist()))
            bottom = min(top + first, dataset.shape[0])
            yield slice(top, bottom), those, values[(slice(0, bottom - top), *within)]
        start = end


def chunk(where: str, dataset: Any, corner: Place) -> Array:
    """One chunk, by the cell at its corner; at the edge of a dataset it may be cut.

    Raises:
        BadInput: it was never written.
    """
    if dataset.chunks is None:
        return np.asarray(dataset[corner[0] : corner[0] + 1])
    if dataset.id.get_chunk_info_by_coord(corner).byte_offset is None:
        raise BadInput(
            f"{where}: nothing was ever written at {corner} (axes as HDF5 has them), which would be "
            "read as zeros; leave it out of what is selected, or fetch the file again"
        )
    sides = zip(corner, dataset.chunks, strict=True)
    return np.asarray(dataset[tuple(slice(at, at + side) for at, side in sides)])


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
