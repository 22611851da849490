"""Lists in MATLAB files of any version: arrays of numbers, and texts within a structure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput
from zoo_eval.files import reading
from zoo_eval.files.matlab_sizes import Datasets, check_version_5
from zoo_eval.files.names import printable
from zoo_eval.files.reading import MOST_BYTES

Array = npt.NDArray[Any]


def numbers(
    where: str, path: Path, names: Sequence[str], most_bytes: int = MOST_BYTES
) -> dict[str, Array]:
    """Arrays of whole numbers by name, as MATLAB shows them.

    Raises:
        BadInput: the file is damaged, one is not there (what is there is named), or holds other than
            whole numbers.
    """
    with reading.told(where, path, "cannot be read as .mat"):
        found = _arrays(where, path, names, most_bytes)
        for name in names:
            if name not in found:
                raise BadInput(f"{where} has no variable {name!r}; name the file that has it")
            if found[name].dtype.kind not in "fiu" or (found[name] % 1).any():
                raise BadInput(f"{where}: {name!r} is no array of whole numbers; check the file")
        return {name: found[name].astype(np.int64) for name in names}


def texts(
    where: str, path: Path, place: tuple[str, str], most_bytes: int = MOST_BYTES
) -> list[str] | None:
    """The texts in a field of a structure (variable, field), in order; None where it has no such variable.

    Raises:
        BadInput: the file is damaged, the variable has no such field, or it holds other than texts.
    """
    with reading.told(where, path, "cannot be read as .mat"):
        found = _field(where, path, place, most_bytes)
        if found is not None and not all(isinstance(one, str) for one in found):
            raise BadInput(f"{where}: {'.'.join(place)} holds other than texts; check the file")
        return found


def n_texts(
    where: str, path: Path, place: tuple[str, str], most_bytes: int = MOST_BYTES
) -> int | None:
    """How many texts there are in a field of a structure, without reading each; None as in `texts`.

    Raises:
        BadInput: the file is damaged, or the variable has no such field.
    """
    import h5py

    with reading.told(where, path, "cannot be read as .mat"):
        if not h5py.is_hdf5(path):
            found = _field(where, path, place, most_bytes)
            return None if found is None else len(found)
        with h5py.File(path) as file:
            held = _references(where, file, place)
            return None if held is None else int(held.size)


def _arrays(where: str, path: Path, names: Sequence[str], most_bytes: int) -> dict[str, Array]:
    # Imported here, as each takes a tenth of a second and few stimuli need it.
    import h5py
    from scipy.io import loadmat

    if not h5py.is_hdf5(path):
        known = check_version_5(where, path, most_bytes) or []
        chosen = [name for name in names if name in known]
        return {name: loadmat(path, variable_names=[name])[name] for name in chosen}
    reader = Datasets(where, most_bytes)
    with h5py.File(path) as file:
        return {name: reader.read(file[name]).T for name in names if _is_dataset(file, name)}


def _field(where: str, path: Path, place: tuple[str, str], most_bytes: int) -> list[Any] | None:
    import h5py
    from scipy.io import loadmat

    variable, field = place
    if not h5py.is_hdf5(path):
        check_version_5(where, path, most_bytes)
        found = loadmat(path, variable_names=[variable], simplify_cells=True).get(variable)
        if found is None:
            return None
        rows = found if isinstance(found, list | np.ndarray) else [found]
        held = [row.get(field) if isinstance(row, dict) else None for row in rows]
        return list(np.atleast_1d(np.asarray(held[0]))) if len(held) == 1 else held
    with h5py.File(path) as file:
        held = _references(where, file, place)
        if held is None:
            return None
        reader = Datasets(where, most_bytes)
        return [_text(file[one], reader) for one in reader.read(held).ravel(order="F")]


def _references(where: str, file: Any, place: tuple[str, str]) -> Any:
    """The field of one structure is a cell of texts, that of several a text each: both are references."""
    import h5py

    variable, field = place
    if variable not in file:
        return None
    group = file[variable]
    if not isinstance(group, h5py.Group) or not _is_dataset(group, field):
        there = printable(", ".join(group)) if isinstance(group, h5py.Group) else "no fields"
        raise BadInput(f"{where}: {variable!r} has no field {field!r}; there is: {there}")
    return group[field]


def _is_dataset(group: Any, name: str) -> bool:
    import h5py

    link = group.get(name, getlink=True)
    outside = link is None or isinstance(link, h5py.ExternalLink)
    return not outside and isinstance(group[name], h5py.Dataset)


def _text(item: Any, reader: Datasets) -> str | None:
    """A row of characters, which are numbers of UTF-16."""
    if item.attrs.get("MATLAB_class") != b"char" or item.dtype.kind != "u":
        return None
    if "MATLAB_empty" in item.attrs:
        return ""
    return str(reader.read(item).ravel().astype("<u2").tobytes().decode("utf-16-le"))
