"""Frames that pandas stored in HDF5, read from their blocks: nothing is unpickled or run.

In the fixed layout a group has `axis0` (columns), `axis1` (rows), and for each type of values
`block0_items` (the columns of it) and `block0_values` (row, column). In that of tables, a dataset
`table` has fields `values_block_0` (column,), whose columns are named in a pickled attribute.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput
from zoo_eval.files import pickled_arrays
from zoo_eval.files.arrays import AGAIN
from zoo_eval.files.pickled_arrays import Stored

Array = npt.NDArray[Any]
FIXED, TABLE = "frame", "frame_table"


@dataclass(frozen=True)
class Block:
    """Values of some columns; `field` is theirs in a table, and `by_row` says that rows are the first axis."""

    columns: tuple[str, ...]
    values: Any
    field: str | None = None
    by_row: bool = True

    @property
    def n_rows(self) -> int:
        return int(self.values.shape[0] if self.by_row else self.values.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its values."""
        dtype: np.dtype[Any] = self.values.dtype
        return dtype if self.field is None else dtype[self.field].base

    def rows(self, start: int, end: int) -> Array:
        """Values (row, column) of some rows."""
        if self.field is not None:
            return np.asarray(self.values[start:end][self.field]).reshape(end - start, -1)
        if self.by_row:
            return np.asarray(self.values[start:end])
        return np.asarray(self.values[:, start:end]).T


def blocks(where: str, file: Any) -> list[Block]:
    """The blocks of the only frame in a file of h5py; names of columns are text.

    Raises:
        BadInput: no frame or several, or blocks that are not of one frame.
        Exception: whatever h5py raises of a damaged file.
    """
    kinds = {name: _text(file[name].attrs.get("pandas_type", "")) for name in file}
    frames = [name for name, kind in kinds.items() if kind in (FIXED, TABLE)]
    if len(frames) != 1:
        there = ", ".join(sorted(kinds)) or "nothing"
        raise BadInput(
            f"{where} holds {len(frames)} frames of pandas (but {there}); save one with to_hdf"
        )
    group = file[frames[0]]
    found = _of_table(where, group) if kinds[frames[0]] == TABLE else _fixed(where, group)
    names = [name for one in found for name in one.columns]
    if not names or len(set(names)) != len(names) or len({one.n_rows for one in found}) != 1:
        raise BadInput(f"{where}: the blocks of its frame do not fit together: {AGAIN}")
    return found


def _fixed(where: str, group: Any) -> list[Block]:
    found = []
    for number in range(int(group.attrs["nblocks"])):
        values = group[f"block{number}_values"]
        # Pandas stores the transpose of what it holds, and says so.
        by_row = bool(values.attrs.get("transposed", False))
        columns = _items(where, group[f"block{number}_items"])
        if values.ndim != 2 or values.shape[1 if by_row else 0] != len(columns):
            raise BadInput(
                f"{where}: block {number} has {len(columns)} columns and values {values.shape}: {AGAIN}"
            )
        found.append(Block(columns, values, None, by_row))
    return found


def _items(where: str, items: Any) -> tuple[str, ...]:
    values = items[()]
    if values.dtype.kind == "S":
        return tuple(one.decode() for one in values.tolist())
    if values.dtype.kind == "O" and values.shape == (1,):
        # Labels that are of several types, or were among such, are one pickle.
        return _labels(_pickled(where, values[0]))
    if values.dtype.kind not in "iu":
        raise BadInput(
            f"{where}: columns of its frame are of type {values.dtype}; name them by text or whole numbers"
        )
    return tuple(str(one) for one in values.tolist())


def _of_table(where: str, group: Any) -> list[Block]:
    table = group["table"]
    found = []
    for field in table.dtype.names:
        if field != "index":
            columns = _labels(_pickled(where, table.attrs[f"{field}_kind"]))
            shape = table.dtype[field].shape or (1,)
            if shape != (len(columns),):
                raise ValueError(f"{field} has shape {shape} and {len(columns)} columns")
            found.append(Block(columns, table, field))
    return found


def _pickled(where: str, content: Any) -> Any:
    held = content if isinstance(content, bytes) else np.asarray(content).tobytes()
    return pickled_arrays.of_bytes(held, where)


def _labels(made: Any) -> tuple[str, ...]:
    listed = made.all().tolist() if isinstance(made, Stored) else made
    if not isinstance(listed, list) or not all(isinstance(one, str | int) for one in listed):
        raise ValueError("the names of its columns are neither text nor whole numbers")
    return tuple(map(str, listed))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
