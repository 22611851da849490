"""Betas of the Natural Scenes Dataset in HDF5: single trials of every voxel, session by session.

Each file has `/betas`, int16, which MATLAB wrote as x, y, z and trial: HDF5 has these axes in
reverse. A value is 300 times the percent of change of the signal. One chunk is one voxel's session,
so that some voxels are read without the rest.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput
from zoo_eval.files import chunked, reading
from zoo_eval.files.chunked import Chunks
from zoo_eval.files.nifti import Grid
from zoo_eval.recordings.presentations import Numbers
from zoo_eval.recordings.voxels import Voxels

Betas = npt.NDArray[np.float32]
VARIABLE = "betas"
# Of percent signal change.
SCALE = np.float32(300)
# So many values are held as they are stored, before they are numbers.
BLOCK_VALUES = 2**22
FAILURE = "is not a file of NSD's betas that can be read"


@dataclass(frozen=True)
class BetaFile:
    """One session's file: its grid and how many trials it has."""

    where: str
    path: Path
    grid: Grid
    n_trials: int


def described(where: str, path: Path, most_bytes: int) -> BetaFile:
    """What a file of betas holds, without its values.

    Raises:
        BadInput: it is damaged, has no `betas`, or these are other than int16 (trial, z, y, x).
    """
    place = f"{where}: {path}"
    with reading.told(place, path, FAILURE), _betas(place, path) as betas:
        if betas.ndim != 4 or betas.dtype.newbyteorder("=") != np.int16:
            raise BadInput(
                f"{place}: `{VARIABLE}` is {betas.dtype} of shape {betas.shape}, not int16 (trial, z, y, x); "
                "name a volume's betas_sessionNN.hdf5"
            )
        chunked.check(f"{place}: `{VARIABLE}`", betas, most_bytes)
        n_trials, z, y, x = betas.shape
    return BetaFile(place, path, (x, y, z), n_trials)


def read(files: Sequence[BetaFile], voxels: Voxels) -> Betas:
    """Percent signal change (trial, voxel), the files' trials one after another.

    A voxel that is zero in every trial of a session was not measured in it: NaN.

    Raises:
        BadInput: a file is damaged, or nothing was ever written for a voxel.
    """
    found = np.empty((sum(one.n_trials for one in files), len(voxels.places)), np.float32)
    # Axes are in reverse, and neighbours of a file one after another.
    places = voxels.places[:, ::-1]
    start = 0
    for file in files:
        _fill(found[start : start + file.n_trials], file, places)
        start += file.n_trials
    return found


def _fill(found: Betas, file: BetaFile, places: Numbers) -> None:
    step = max(1, BLOCK_VALUES // file.n_trials)
    order = np.lexsort(places.T[::-1])
    with reading.told(file.where, file.path, FAILURE), _betas(file.where, file.path) as betas:
        if betas.shape != (file.n_trials, *file.grid[::-1]):
            raise BadInput(f"{file.where} has changed since it was planned; plan again")
        chunks = Chunks(file.where, betas)
        for start in range(0, len(order), step):
            those = order[start : start + step]
            stored = _stored(chunks, places[those])
            values = stored.T / SCALE
            values[:, ~stored.any(1)] = np.nan
            found[:, those] = values


def _stored(chunks: Chunks, places: Numbers) -> npt.NDArray[np.int16]:
    """Values as they are stored, (voxel, trial)."""
    found = np.empty((len(places), chunks.shape[0]), np.int16)
    for trials, columns, values in chunks.columns(places):
        found[columns, trials] = values.T
    return found


@contextmanager
def _betas(where: str, path: Path) -> Iterator[Any]:
    # Imported here, as it takes a tenth of a second and few recordings need it.
    import h5py

    with h5py.File(path) as file:
        if VARIABLE not in file or not isinstance(file[VARIABLE], h5py.Dataset):
            there = ", ".join(sorted(file)) or "nothing"
            raise BadInput(f"{where} has no `{VARIABLE}` (but {there}); name a file of betas")
        yield file[VARIABLE]
