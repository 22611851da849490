"""MATLAB files of any version: arrays by name; text is in cells, or in rows of characters."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def variables(path: Path) -> dict[str, Array]:
    """The arrays of a .mat file; cells and characters are text, a cell or a row of characters each.

    What only MATLAB reads, such as its class string, is an array of objects.

    Raises:
        OSError, ValueError, NotImplementedError: it is damaged.
    """
    # Imported here, as each takes a tenth of a second and few recordings need it.
    import h5py

    if not h5py.is_hdf5(path):
        return _version_5(path)
    with h5py.File(path) as file:
        return {
            key: _array(item, file)
            for key, item in file.items()
            if isinstance(item, h5py.Dataset) and "MATLAB_empty" not in item.attrs
        }


def _version_5(path: Path) -> dict[str, Array]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatlabOpaque

    # What it cannot read has no name but within.
    named = {
        value["s0"].item().decode() if isinstance(value, MatlabOpaque) else key: value
        for key, value in loadmat(path).items()
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


def _array(item: Any, file: Any) -> Array:
    """A variable of version 7.3, which has its axes in reverse and cells and text as what they are not."""
    kind = item.attrs.get("MATLAB_class", b"")
    if kind == b"string":
        return np.empty(item.shape, dtype=object)
    if kind == b"char":
        return np.array(_lines(item))
    if kind == b"cell":
        return _cells(_referred(item, file))
    array: Array = item[()].T
    return array


def _referred(item: Any, file: Any) -> Array:
    references = item[()].T
    found = np.empty(references.shape, dtype=object)
    for place, reference in np.ndenumerate(references):
        inner = file[reference]
        if "MATLAB_empty" in inner.attrs:
            found[place] = ""
        elif inner.attrs.get("MATLAB_class") == b"char":
            found[place] = np.array(_lines(inner))
        else:
            found[place] = inner[()].T
    return found


def _lines(item: Any) -> list[str]:
    """The rows of an array of characters, which are numbers of UTF-16."""
    return [row.astype("<u2").tobytes().decode("utf-16-le") for row in np.atleast_2d(item[()].T)]
