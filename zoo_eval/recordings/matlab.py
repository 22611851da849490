"""MATLAB files of any version: arrays by name; text is in cells, or in rows of characters."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.files.matlab_sizes import Datasets, check_version_5
from zoo_eval.files.reading import MOST_BYTES

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Structure:
    """A struct array: its shape as MATLAB has it, and by field an array for each element.

    Elements are in MATLAB's order, the first axis fastest. What is a structure within it, or what only
    MATLAB reads, is an array of objects.
    """

    shape: tuple[int, ...]
    fields: Mapping[str, list[Array]]


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
    return contents(path, where, most_bytes)[0]


def contents(
    path: Path, where: str = "", most_bytes: int = MOST_BYTES
) -> tuple[dict[str, Array], dict[str, Structure]]:
    """The arrays of a .mat file, as `variables` gives them, and its struct arrays, by name.

    Raises:
        BadInput, Exception: as `variables` does.
    """
    # Imported here, as each takes a tenth of a second and few recordings need it.
    import h5py

    place = where or str(path)
    if not h5py.is_hdf5(path):
        return _version_5(path, check_version_5(place, path, most_bytes))
    with h5py.File(path) as file:
        reader = Datasets(place, most_bytes)
        own = {
            key: file[key]
            for key in file
            if isinstance(file.get(key, getlink=True), h5py.HardLink)
            and "MATLAB_empty" not in file[key].attrs
        }
        arrays = {
            key: _array(item, file, reader)
            for key, item in own.items()
            if isinstance(item, h5py.Dataset)
        }
        structures = {
            key: _structure(item, file, reader)
            for key, item in own.items()
            if isinstance(item, h5py.Group) and item.attrs.get("MATLAB_class") == b"struct"
        }
        return arrays, structures


def _version_5(
    path: Path, names: list[str] | None
) -> tuple[dict[str, Array], dict[str, Structure]]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatlabOpaque

    # What it cannot read has no name but within.
    named = {
        value["s0"].item().decode() if isinstance(value, MatlabOpaque) else key: value
        for key, value in loadmat(path, variable_names=names).items()
        if not key.startswith("__")
    }
    structures = {key: one for key, one in named.items() if _is_structure(one)}
    arrays = {
        key: _cells(one) if one.dtype.kind == "O" else one
        for key, one in named.items()
        if key not in structures
    }
    return arrays, {key: _of_records(one) for key, one in structures.items()}


def _is_structure(value: Any) -> bool:
    # Classes derived from arrays stand for what only MATLAB reads.
    return type(value) is np.ndarray and value.dtype.names is not None


def _of_records(records: Array) -> Structure:
    names = records.dtype.names or ()
    fields = {
        name: [_field(np.asarray(one)) for one in records[name].ravel(order="F")] for name in names
    }
    return Structure(records.shape, fields)


def _field(value: Array) -> Array:
    if value.dtype.names is not None:
        return np.empty(value.shape, dtype=object)
    return _cells(value) if value.dtype.kind == "O" else value


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


def _structure(group: Any, file: Any, reader: Datasets) -> Structure:
    """One structure holds its fields themselves; an array of them, references to those of each."""
    import h5py

    fields: dict[str, list[Array]] = {}
    shape: tuple[int, ...] = (1, 1)
    for key in group:
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            continue
        item = group[key]
        of_each = (
            isinstance(item, h5py.Dataset)
            and "MATLAB_class" not in item.attrs
            and h5py.check_ref_dtype(item.dtype) is h5py.Reference
        )
        if of_each:
            references = reader.read(item)
            shape = references.T.shape
            fields[key] = [_value(file[one], file, reader) for one in references.ravel()]
        else:
            fields[key] = [_value(item, file, reader)]
    return Structure(shape, fields)


def _value(item: Any, file: Any, reader: Datasets) -> Array:
    import h5py

    if not isinstance(item, h5py.Dataset):
        return np.empty((1, 1), dtype=object)
    if "MATLAB_empty" in item.attrs:
        return np.empty((0, 0))
    return _array(item, file, reader)


def _referred(item: Any, file: Any, reader: Datasets) -> Array:
    references = reader.read(item).T
    found = np.empty(references.shape, dtype=object)
    for place, reference in np.ndenumerate(references):
        inner = file[reference]
        if not hasattr(inner, "dtype"):
            # A structure in a cell.
            continue
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
