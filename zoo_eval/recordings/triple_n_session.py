"""A session of Triple-N in HDF5: the mean response of every unit to each image, by the millisecond.

`/response_matrix_img` was written by MATLAB as unit, image and millisecond: HDF5 has these axes in
reverse. It is usually in one piece, a millisecond of all units after another; chunks are read as well.
"""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput
from zoo_eval.files import chunked, reading
from zoo_eval.files.arrays import AGAIN
from zoo_eval.recordings.presentations import Numbers

VARIABLE = "response_matrix_img"
N_SHARED, N_LOCALIZER = 1000, 72
NAMED = re.compile(r"ses([0-9]+)_[0-9]+_([^_]+)_g?[0-9]+\.h5")
EXAMPLE = "ses01_240629_M1_2.h5"
# So many bytes are held as they are stored, unless one chunk is larger.
BLOCK_BYTES = 2**25
FAILURE = "is not a session of Triple-N that can be read"

Means = npt.NDArray[np.float64]
Block = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Session:
    """One file: which session it is, of which subject, and its axes; responses are not read yet."""

    where: str
    path: Path
    number: int
    subject: str
    n_ms: int
    n_images: int
    n_units: int

    @property
    def name(self) -> str:
        return f"ses{self.number:02d}"

    def unit(self, number: int) -> str:
        """What a unit is called, by its number from 1."""
        return f"{self.name}_unit_{number:03d}"

    def means(self, window: range, n_images: int, units: Numbers) -> Means:
        """Means over some milliseconds, (image, unit), of the first images and of some units.

        A response that is NaN in any of these milliseconds is NaN.

        Raises:
            BadInput: the file is damaged, has changed, or has an infinite response.
        """
        total = np.zeros((n_images, len(units)))
        with (
            reading.told(self.where, self.path, FAILURE),
            _responses(self.where, self.path) as responses,
            np.errstate(over="ignore", invalid="ignore"),
        ):
            if responses.shape != (self.n_ms, self.n_images, self.n_units):
                raise BadInput(f"{self.where} has changed since it was planned; plan again")
            for block in _blocks(responses, window, n_images):
                _, images, some = block
                own = np.flatnonzero((units >= some.start) & (units < some.stop))
                if len(own):
                    summed = responses[block].sum(0, dtype=np.float64)
                    total[images, own] += summed[:, units[own] - some.start]
        if np.isinf(total).any():
            raise BadInput(f"{self.where}: `{VARIABLE}` has an infinite response: {AGAIN}")
        return total / len(window)


def described(where: str, path: Path, most_bytes: int) -> Session:
    """What a session's file holds, without its responses.

    Raises:
        BadInput: its name is not that of a session, it is damaged, or its images are not Triple-N's.
    """
    place = f"{where}: {path}"
    named = NAMED.fullmatch(path.name)
    if named is None:
        raise BadInput(
            f"{place}: the name says no session and subject; name it as Triple-N does ({EXAMPLE})"
        )
    with reading.told(place, path, FAILURE), _responses(place, path) as responses:
        of_it = f"{place}: `{VARIABLE}`"
        shape, kind = responses.shape, responses.dtype.kind
        if len(shape) != 3 or kind not in "fiu" or 0 in shape:
            raise BadInput(
                f"{of_it} is {responses.dtype} of shape {shape}, not numbers of (millisecond, image, unit) as "
                "HDF5 has them; make the file by the authors' S0_ConvertMatTOh5.m"
            )
        if shape[1] not in (N_SHARED, N_SHARED + N_LOCALIZER):
            raise BadInput(
                f"{of_it} has {shape[1]} images (axes as HDF5 has them: {shape}), not {N_SHARED} or, with the "
                f"localizer's, {N_SHARED + N_LOCALIZER}; make the file by the authors' S0_ConvertMatTOh5.m"
            )
        chunked.check(of_it, responses, most_bytes)
        if not chunked.is_written(responses):
            raise BadInput(f"{of_it} claims responses that were never written: {AGAIN}")
    return Session(place, path, int(named[1]), named[2], *shape)


def found_in(where: str, given: Sequence[Path]) -> list[Path]:
    """The files of sessions among some files and folders, in the order of their names.

    Raises:
        BadInput: a folder has none.
    """
    found: list[Path] = []
    for path in given:
        own = [path]
        if path.is_dir():
            own = [one for one in sorted(path.iterdir()) if NAMED.fullmatch(one.name)]
        if not own:
            raise BadInput(f"{where}: {path} has no session such as {EXAMPLE}; name their folder")
        found += own
    return list(dict.fromkeys(found))


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


@contextmanager
def _responses(where: str, path: Path) -> Iterator[Any]:
    # Imported here, as it takes a tenth of a second and few recordings need it.
    import h5py

    with h5py.File(path) as file:
        if VARIABLE not in file or not isinstance(file[VARIABLE], h5py.Dataset):
            there = ", ".join(sorted(file)) or "nothing"
            raise BadInput(f"{where} has no `{VARIABLE}` (but {there}); name a session's file")
        yield file[VARIABLE]
