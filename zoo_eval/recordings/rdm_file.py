"""RDM files: the matrices in a file of any kind, and which stimulus each row is of where it says so."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from zoo_eval.errors import BadInput
from zoo_eval.files import reading
from zoo_eval.files.reading import MOST_BYTES
from zoo_eval.recordings.rdm_kinds import hdf5, matlab_file, meadows, numpy_file, table
from zoo_eval.recordings.rdm_kinds.content import Array, RdmFile, n_of_pairs
from zoo_eval.recordings.recording import Numbers


class Kind(Protocol):
    """Reads one kind of file; see `read`."""

    def __call__(
        self, where: str, path: Path, variable: str | None, n_stimuli: int | None, most_bytes: int
    ) -> RdmFile: ...


KINDS: Mapping[str, Kind] = {
    ".npz": numpy_file.npz,
    ".npy": numpy_file.npy,
    ".mat": matlab_file.read,
    ".h5": hdf5.read,
    ".hdf5": hdf5.read,
    ".csv": table.read,
    ".tsv": table.read,
    ".json": meadows.read,
}


def read(
    where: str,
    path: Path,
    variable: str | None,
    n_stimuli: int | None,
    most_bytes: int = MOST_BYTES,
) -> RdmFile:
    """What is in a file, whose suffix says its kind.

    Args:
        where: the recording and its file, for messages.
        path: the file.
        variable: which array, dataset, field (STRUCT.FIELD) or task; may be None where there is one.
        n_stimuli: how many were shown, which tells numbers that are ids of a table from its values;
            None where nobody knows: then the table's own sizes must do.
        most_bytes: what the file's arrays may take.

    Raises:
        BadInput: an unreadable file, one that claims more than it holds or is too large, no array or
            several without `variable`, or ids that are none.
    """
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise BadInput(f"{where} is of no known kind; give a {', '.join(KINDS)} file")
    with reading.told(where, path, f"cannot be read as {path.suffix}"):
        return KINDS[suffix](where, path, variable, n_stimuli, most_bytes)


def n_stimuli(file: RdmFile) -> int | None:
    """Of how many stimuli a file is, by its ids or its shape; None where neither says."""
    if file.columns:
        return len(file.columns[0])
    shape: tuple[int, ...] = file.array.shape
    if len(shape) == 3:
        return shape[1] if shape[1] in (shape[0], shape[2]) else None
    if len(shape) == 2 and shape[1] and shape[0] % shape[1] == 0:
        return shape[1]
    counts = [n_of_pairs(n) for n in reversed(shape)]
    return next((n for n in counts if n is not None), None)


def by_subject(where: str, array: Array, n_stimuli: int, known: str) -> Numbers:
    """The array as float64 (subject, stimulus, stimulus).

    It may be (stimulus, stimulus), or condensed: (pair,) or (subject, pair), pairs in the order of
    SciPy's squareform and MATLAB's pdist. Where the sizes leave no doubt, subjects may also be the
    last axis, as MATLAB users have it.

    Args:
        where: the recording and its file, for messages.
        array: numbers as the file holds them.
        n_stimuli: how many there are.
        known: who says how many, for messages.

    Raises:
        BadInput: other than real numbers, or another shape.
    """
    if array.dtype.kind not in "fiub":
        raise BadInput(f"{where}: the array is of type {array.dtype}; give real numbers")
    n, n_pairs = n_stimuli, n_stimuli * (n_stimuli - 1) // 2
    found = np.atleast_2d(array)
    shape = found.shape
    if found.ndim == 2 and found.size and shape[1] == n and shape[0] % n == 0:
        found = found.reshape(-1, n, n)
    elif found.ndim == 2 and found.size and n_pairs in shape:
        subjects = found if shape[1] == n_pairs else found.T
        found = _squares(subjects, n)
    elif found.ndim == 3 and shape[:2] == (n, n) and shape[2] != n:
        found = np.moveaxis(found, 2, 0)
    if found.ndim != 3 or found.shape[1:] != (n, n) or not len(found):
        raise BadInput(
            f"{where}: an array of shape {array.shape}{_of_pairs(array)}, but {known}: expected "
            f"({n}, {n}) or (subjects, {n}, {n}), condensed ({n_pairs},) or (subjects, {n_pairs}); "
            "name the set that was shown"
        )
    return found.astype(np.float64)


def _squares(condensed: Array, n_stimuli: int) -> Numbers:
    """Condensed dissimilarities (subject, pair) as (subject, stimulus, stimulus)."""
    squares = np.zeros((len(condensed), n_stimuli, n_stimuli))
    first, second = np.triu_indices(n_stimuli, 1)
    squares[:, first, second] = squares[:, second, first] = condensed
    return squares


def _of_pairs(array: Array) -> str:
    """Of how many stimuli a vector holds the pairs, if it can be that."""
    n = n_of_pairs(array.size)
    return f" (the pairs of {n} stimuli)" if n and array.size in array.shape else ""
