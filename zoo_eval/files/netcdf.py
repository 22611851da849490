"""netCDF-4 files read as the HDF5 that they are: variables with named dimensions, coordinates beside them."""

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import chunked, hdf5_bytes, reading
from zoo_eval.files.reading import check_fits

Array = npt.NDArray[Any]
FAILURE = "is not a netCDF-4 file that can be read"
CLASSIC = b"CDF"
# What netCDF's own library writes where nothing was.
DEFAULT_FILL = 9.969209968386869e36
# Of a variable without chunks, read at once.
BLOCK_BYTES = 2**24
FEWER = "raise [run] memory_budget"


@dataclass(frozen=True, eq=False)
class Variable:
    """A variable of an open file: `dims` name its axes; `item` is the dataset of h5py."""

    where: str
    name: str
    dims: tuple[str, ...]
    item: Any

    @property
    def is_text(self) -> bool:
        return self.item.dtype.kind in "OSU"

    @property
    def is_number(self) -> bool:
        return self.item.dtype.kind in "fiub"

    def size(self, dim: str) -> int:
        """The length of an axis."""
        return int(self.item.shape[self.dims.index(dim)])

    def values(self, most_bytes: int) -> Array:
        """All values of a coordinate: text, or numbers with NaN where they are missing.

        Raises:
            BadInput: they would take more than `most_bytes`.
        """
        n_bytes = self.item.size * max(8, self.item.dtype.itemsize)
        check_fits(f"{self.where}: {self.name}", "its values", n_bytes, most_bytes, FEWER)
        if self.item.dtype.kind == "O":
            path = Path(self.item.file.filename)
            return np.array(hdf5_bytes.texts(self.where, path, self.item), dtype=object)
        found = np.asarray(self.item[()])
        if not self.is_text:
            return self.scaled(found)
        if found.dtype == "S1" and found.ndim > 1:
            # Text as rows of characters, as netCDF had it before.
            found = found.view(f"S{found.shape[-1]}")[..., 0]
        texts = [one.decode() if isinstance(one, bytes) else str(one) for one in found.ravel()]
        return np.array(texts, dtype=object).reshape(found.shape)

    def scaled(self, stored: Array) -> Array:
        """What stored numbers mean: unpacked, NaN where they are missing.

        Whole numbers without a missing one stay whole.
        """
        known, missing = self.item.attrs, self._missing()
        packed = [key for key in ("scale_factor", "add_offset") if key in known]
        gaps = np.isin(stored, missing)
        if stored.dtype.kind != "f" and not packed and not gaps.any():
            return stored
        found: Array = stored.astype(np.float32 if stored.dtype == np.float32 else np.float64)
        if packed:
            found *= np.ravel(known.get("scale_factor", 1.0))[0]
            found += np.ravel(known.get("add_offset", 0.0))[0]
        found[gaps] = np.nan
        return found

    def _missing(self) -> list[float]:
        """The values that stand for a missing one; without any, netCDF's own for floats."""
        said = [
            float(one)
            for key in ("_FillValue", "missing_value")
            for one in np.ravel(self.item.attrs.get(key, ()))
        ]
        if not said and self.item.dtype.kind == "f":
            said = [float(self.item.dtype.type(DEFAULT_FILL))]
        return [one for one in said if one == one]

    def check_written(self, most_bytes: int) -> None:
        """Refuses numbers that are elsewhere, in chunks too large, or were declared and never written.

        Raises:
            BadInput: one of these.
        """
        where = f"{self.where}: {self.name}"
        chunked.check(where, self.item, most_bytes)
        fill = self.item.fillvalue
        stands_for_nothing = fill != fill or float(fill) in self._missing()
        if not chunked.is_written(self.item) and not stands_for_nothing:
            raise BadInput(
                f"{where}: parts of it were never written, and would be read as {float(fill):g}; fetch the file again, "
                "or write NaN where nothing was measured"
            )

    def blocks(self) -> Iterator[tuple[slice, ...]]:
        """Parts of it that are stored together, each once."""
        shape = self.item.shape
        sides = self.item.chunks or (
            max(1, BLOCK_BYTES // max(1, math.prod(shape[1:]) * self.item.dtype.itemsize)),
            *shape[1:],
        )
        starts = (range(0, length, max(1, side)) for length, side in zip(shape, sides, strict=True))
        for corner in itertools.product(*starts):
            yield tuple(
                slice(start, min(start + side, length))
                for start, side, length in zip(corner, sides, shape, strict=True)
            )


@contextmanager
def opened(where: str, path: Path) -> Iterator[dict[str, Variable]]:
    """The variables of a file by name, as long as it is open.

    Raises:
        BadInput: it cannot be read, is a classic netCDF file, or a variable has an axis without a name.
    """
    # Imported here, as it takes a tenth of a second and few recordings need it.
    import h5py

    place = f"{where}: {path}"
    with reading.told(place, path, FAILURE):
        with path.open("rb") as content:
            if content.read(len(CLASSIC)) == CLASSIC:
                raise BadInput(
                    f"{place} is a classic netCDF file; convert it with `nccopy -k netCDF-4 IN OUT`, or open "
                    'it with xarray and save it with to_netcdf(OUT, engine="h5netcdf")'
                )
        with h5py.File(path, "r") as file:
            items = _datasets(file)
            scales = _scales(file, items)
            yield {
                name: Variable(place, name, _dims(name, item, scales), item)
                for name, item in items.items()
                if not _is_dimension_alone(item)
            }


def chosen(
    where: str, variables: dict[str, Variable], name: str | None, dims: Sequence[str]
) -> Variable:
    """The variable of that name, or the only one of numbers that has these dimensions.

    Raises:
        BadInput: there is none, or several and no name.
    """
    if name is not None:
        if name not in variables:
            raise BadInput(f"{where} has no variable {name!r}; {nearest(name, variables)}")
        return variables[name]
    fitting = [one for one in variables.values() if set(dims) <= set(one.dims) and one.is_number]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        several = ", ".join(one.name for one in fitting)
        raise BadInput(
            f"{where} has several variables of responses ({several}); name one: `variable`"
        )
    there = "; ".join(f"{one.name} ({', '.join(one.dims)})" for one in variables.values())
    raise BadInput(
        f"{where} has no variable with dimensions {' and '.join(dims)} (variables: {there or 'none'}); "
        "name its dimensions"
    )


def coordinates(variables: dict[str, Variable], dim: str) -> dict[str, Variable]:
    """The variables along one dimension alone, such as names of targets; text may have characters too."""
    return {
        name: one
        for name, one in variables.items()
        if one.dims[:1] == (dim,) and (len(one.dims) == 1 or one.item.dtype == "S1")
    }


def _datasets(file: Any) -> dict[str, Any]:
    import h5py

    found = {}
    for name in file:
        link = file.get(name, getlink=True)
        if isinstance(link, h5py.HardLink) and isinstance(file[name], h5py.Dataset):
            found[name] = file[name]
    return found


def _is_dimension_alone(item: Any) -> bool:
    """Whether a dataset only stands for a dimension."""
    label = item.attrs.get("NAME", b"")
    label = label.decode() if isinstance(label, bytes) else str(label)
    return bool(label.startswith("This is a netCDF dimension but not a netCDF variable"))


def _scales(file: Any, items: dict[str, Any]) -> dict[tuple[str, int], str]:
    """The dimension that each axis (dataset, number) is along.

    Told by the list that each dimension has of those along it: the list that each dataset has of its
    dimensions is kept where HDF5's reader trusts whatever a damaged file says.
    """
    import h5py

    named = {h5py.h5o.get_info(item.id).addr: name for name, item in items.items()}
    found = {}
    for dim, item in items.items():
        if item.attrs.get("CLASS") != b"DIMENSION_SCALE" or "REFERENCE_LIST" not in item.attrs:
            continue
        for reference, axis in item.attrs["REFERENCE_LIST"]:
            name = named.get(h5py.h5o.get_info(h5py.h5r.dereference(reference, file.id)).addr)
            if name is not None:
                found[name, int(axis)] = dim
    return found


def _dims(name: str, item: Any, scales: dict[tuple[str, int], str]) -> tuple[str, ...]:
    """The names of a dataset's axes; a coordinate of its own dimension is along that."""
    own = name if item.attrs.get("CLASS") == b"DIMENSION_SCALE" else None
    return tuple(
        scales.get((name, axis)) or (own if own and not axis else f"{name} axis {axis}")
        for axis in range(item.ndim)
    )
