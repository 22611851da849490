"""Responses of a session of Triple-N, by the millisecond, in either of two files; MATLAB wrote both.

The authors give out GoodUnit_*.mat: a structure with one matrix (image, millisecond) per unit. Their
S0_ConvertMatTOh5.m makes one array of it, `/response_matrix_img` (unit, image, millisecond), usually in
one piece, a millisecond of all units after another. HDF5 has all axes in reverse.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput
from zoo_eval.files import chunked
from zoo_eval.files.arrays import AGAIN
from zoo_eval.recordings.presentations import Numbers

VARIABLE, UNITS = "response_matrix_img", "GoodUnitStrc"
# In a structure of settings, how many milliseconds there are before the onset.
SETTINGS, ONSET = "global_params", "pre_onset"
N_SHARED, N_LOCALIZER = 1000, 72
# So many bytes are held as they are stored, unless one chunk is larger.
BLOCK_BYTES = 2**25

Sums = npt.NDArray[np.float64]
Shape = tuple[int, int, int]
Block = tuple[slice, slice, slice]


class Responses(ABC):
    """An open file's responses: `where` they are, for messages, and `shape` (millisecond, image, unit).

    `onset_ms` is how many milliseconds there are before the onset, where the file says it.
    """

    where: str
    shape: Shape
    onset_ms: int | None = None

    @abstractmethod
    def check(self, most_bytes: int) -> None:
        """Refuses what is no array of responses, is elsewhere, was never written, or has chunks too large.

        Raises:
            BadInput: it is one of these.
        """

    @abstractmethod
    def sums(self, window: range, n_images: int, units: Numbers) -> Sums:
        """Sums over some milliseconds, (image, unit), of the first images and of some units."""


@contextmanager
def opened(where: str, path: Path) -> Iterator[Responses]:
    """The responses of a file of either kind.

    Raises:
        BadInput: it has none.
        Exception: whatever h5py raises of a file that is damaged.
    """
    # Imported here, as it takes a tenth of a second and few recordings need it.
    import h5py

    with h5py.File(path) as file:
        if isinstance(file.get(VARIABLE), h5py.Dataset):
            yield _InOne(where, file[VARIABLE])
        elif isinstance(file.get(UNITS), h5py.Group) and VARIABLE in file[UNITS]:
            yield _ByUnit(where, file)
        else:
            there = ", ".join(sorted(file)) or "nothing"
            raise BadInput(f"{where} has no `{VARIABLE}` (but {there}); name a session's file")


class _InOne(Responses):
    def __init__(self, where: str, dataset: Any) -> None:
        self.where = f"{where}: `{VARIABLE}`"
        self._dataset = dataset
        self.shape = dataset.shape

    def check(self, most_bytes: int) -> None:
        _check_numbers(self.where, self._dataset, 3, "(millisecond, image, unit)")
        _check_stored(self.where, self._dataset, most_bytes)

    def sums(self, window: range, n_images: int, units: Numbers) -> Sums:
        total = np.zeros((n_images, len(units)))
        for block in _blocks(self._dataset, window, n_images):
            _, images, some = block
            own = np.flatnonzero((units >= some.start) & (units < some.stop))
            if len(own):
                summed = self._dataset[block].sum(0, dtype=np.float64)
                total[images, own] += summed[:, units[own] - some.start]
        return total


class _ByUnit(Responses):
    def __init__(self, where: str, file: Any) -> None:
        import h5py

        self.where = f"{where}: `{UNITS}.{VARIABLE}`"
        self._file, self._dataset_type = file, h5py.Dataset
        held = file[UNITS][VARIABLE]
        # A structure of one unit has its matrix itself.
        of_references = held.dtype == h5py.ref_dtype
        self._held: Sequence[Any] = list(held[()].ravel()) if of_references else [held]
        if not self._held:
            raise BadInput(f"{self.where} has no unit: {AGAIN}")
        n_ms, n_images = (*self._unit(0).shape, 0, 0)[:2]
        self.shape = (n_ms, n_images, len(self._held))
        said = file.get(f"{SETTINGS}/{ONSET}")
        if isinstance(said, h5py.Dataset) and said.size == 1 and said.dtype.kind in "fiu":
            self.onset_ms = int(said[()].item())

    def _unit(self, number: int) -> Any:
        """A unit's matrix, opened for one use: whatever is open keeps chunks in memory."""
        held = self._held[number]
        found = held if isinstance(held, self._dataset_type) else self._file[held]
        if not isinstance(found, self._dataset_type):
            raise BadInput(f"{self.where} of unit {number + 1} is no matrix: {AGAIN}")
        return found

    def check(self, most_bytes: int) -> None:
        for number in range(len(self._held)):
            where, unit = f"{self.where} of unit {number + 1}", self._unit(number)
            _check_numbers(where, unit, 2, "(millisecond, image)")
            if unit.shape != self.shape[:2]:
                raise BadInput(
                    f"{where} has shape {unit.shape}, that of the first {self.shape[:2]}: {AGAIN}"
                )
            _check_stored(where, unit, most_bytes)

    def sums(self, window: range, n_images: int, units: Numbers) -> Sums:
        total = np.empty((n_images, len(units)))
        for place, number in enumerate(units.tolist()):
            values = self._unit(number)[window.start : window.stop, :n_images]
            total[:, place] = values.sum(0, dtype=np.float64)
        return total


def _check_numbers(where: str, dataset: Any, n_axes: int, axes: str) -> None:
    shape, dtype = dataset.shape, dataset.dtype
    if len(shape) != n_axes or dtype.kind not in "fiu" or 0 in shape:
        raise BadInput(
            f"{where} is {dtype} of shape {shape}, not numbers of {axes} as HDF5 has them; fetch the authors' "
            "GoodUnit_*.mat, or make the file by their S0_ConvertMatTOh5.m"
        )
    if shape[1] not in (N_SHARED, N_SHARED + N_LOCALIZER):
        raise BadInput(
            f"{where} has {shape[1]} images (axes as HDF5 has them: {shape}), not {N_SHARED} or, with the "
            f"localizer's, {N_SHARED + N_LOCALIZER}; fetch the authors' own file"
        )


def _check_stored(where: str, dataset: Any, most_bytes: int) -> None:
    chunked.check(where, dataset, most_bytes)
    if not chunked.is_written(dataset):
        raise BadInput(f"{where} claims responses that were never written: {AGAIN}")


def _blocks(responses: Any, window: range, n_images: int) -> Iterator[Block]:
    """Boxes of whole chunks, cut to a window and the first images; each chunk is in one of them."""
    ends = (window.stop, n_images, responses.shape[2])
    # Without chunks, a millisecond of everything stands for one.
    steps = list(responses.chunks or (1, *responses.shape[1:]))
    for axis in (2, 1, 0):
        room = BLOCK_BYTES // (math.prod(steps) * responses.dtype.itemsize)
        steps[axis] *= max(1, min(room, -(-ends[axis] // steps[axis])))
    first = window.start // steps[0] * steps[0]
    for ms in range(first, ends[0], steps[0]):
        for image in range(0, ends[1], steps[1]):
            for unit in range(0, ends[2], steps[2]):
                yield (
                    slice(max(ms, window.start), min(ms + steps[0], ends[0])),
                    slice(image, min(image + steps[1], ends[1])),
                    slice(unit, min(unit + steps[2], ends[2])),
                )
