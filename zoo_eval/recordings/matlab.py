"""MATLAB files of any version: arrays by name; text is in cells, or in rows of characters."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.files.matlab_sizes import Datasets, check_version_5
from zoo_eval.files.reading import MOST_BYTES

Array = npt.NDArray[Any]


def variables(path: Path, where: str = "", most_bytes: int = MOST_BYTES) -> dict[str, Array]:
    """The arrays of a .mat file; cells and characters are text, a cell or a row of characters each.

    What only MATLAB reads, such as its class string, is an array of objects.

    Args:
        path: the file.
        where: what is read, for messages; the path where left out.
        most_bytes: what its variables may take together.

    Raises:
        BadInput: a size that it declares is not what it holds, or more than that.
        Exception: whatever its readers raise of a file that is damaged.
    """
    # Imported here, as each takes a tenth of a second and few recordings need it.
    import h5py

    place = where or str(path)
    if not h5py.is_hdf5(path):
        return _version_5(path, check_version_5(place, path, most_bytes))
    with h5py.File(path) as file:
        reader = Datasets(place, most_bytes)
        own = [
            key
            for key in file
            if not isinstance(file.get(key, getlink=True), h5py.ExternalLink)
            and isinstance(file[key], h5py.Dataset)
        ]
        return {
            key: _array(file[key], file, reader)
            for key in own
            if "MATLAB_empty" not in file[key].attrs
        }


def _version_5(path: Path, names: list[str] | None) -> dict[str, Array]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatlabOpaque

    # What it cannot read has no name but within.
    named = {
        value["s0"].item().decode() if isinstance(value, MatlabOpaque) else key: value
        for key, value in loadmat(path, variable_names=names).items()
        if not key.startswith("__")
    }
    return {key: _cells(one) if one.dtype.kind == "O" else one for key, one in named.items()}


def _cells(cells: Array) -> Array:
    """A cell array as text where each cell holds one text or number; else as it is."""
    inner = [np.asarray(cell) for cell in cells.ravel()]
    if any(one.size > 1 or one.dtype.kind not in "Uiuf" for one in inner):
        return cells
    texts = ["" if one.size == 0 else str(one.item()) for one in inner]
    return np.array(texts, dtype=str).reshape(cells.shape)


def _array(item: Any, file: Any, reader: Datasets) -> Array:
    """A variable of version 7.3, which has its axes in reverse and cells and text as what they are not."""
    kind = item.attrs.get("MATLAB_class", b"")
    if kind == b"string":
        return np.empty(item.shape, dtype=object)
    if kind == b"char":
        return np.array(_lines(reader.read(item)))
    if kind == b"cell":
        return _cells(_referred(item, file, reader))
    return reader.read(item).T


def _referred(item: Any, file: Any, reader: Datasets) -> Array:
    references = reader.read(item).T
    found = np.empty(references.shape, dtype=object)
    for place, reference in np.ndenumerate(references):
        inner = file[reference]
        if "MATLAB_empty" in inner.attrs:
            found[place] = ""
        elif inner.attrs.get("MATLAB_class") == b"char":
            found[place] = np.array(_lines(reader.read(inner)))
        else:
            found[place] = reader.read(inner).T
    return found


def _lines(codes: Array) -> list[str]:
    """The rows of an array of characters, which are numbers of UTF-16."""
    return [row.astype("<u2").tobytes().decode("utf-16-le") for row in np.atleast_2d(codes.T)]
