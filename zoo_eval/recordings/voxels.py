"""Voxels: which of a volume are targets, and what other volumes say of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import arrays, csv_table, nifti, text
from zoo_eval.files.nifti import Grid
from zoo_eval.paths import SweepPath
from zoo_eval.recordings.presentations import TARGET_ID, Numbers

Array = npt.NDArray[Any]
AXES = ("x", "y", "z")
# Columns of targets that every recording of voxels has.
OWN = (TARGET_ID, "subject", *AXES)
NIFTI = (".nii", ".nii.gz")


@dataclass(frozen=True, eq=False)
class Voxels:
    """Some voxels of a grid, (voxel, axis): x, y and z, each from 0."""

    grid: Grid
    places: Numbers

    @property
    def flat(self) -> Numbers:
        """The number of each in the grid, x fastest, as NIfTI has them."""
        x, y, z = self.places.T
        found: Numbers = x + self.grid[0] * (y + self.grid[1] * z)
        return found


@dataclass(frozen=True)
class VoxelChoice:
    """What of a recording's section says which voxels are targets, and what is known of them.

    mask: a volume, .nii, .nii.gz or .npy (x, y, z); voxels above zero are targets.
    voxels: or a list of them, .npy (voxel, axis) or a CSV with columns x, y, z; each from 0.
    columns: further columns of the targets table, each the values of a volume.
    labels: of columns whose values are numbers of regions, the file that names these, a number and a
        name a line, as FreeSurfer's colour tables have them; what it does not name is null.
    """

    mask: SweepPath | None
    voxels: SweepPath | None
    columns: Mapping[str, Path]
    labels: Mapping[str, Path] = field(default_factory=dict)

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything that is read."""
        given = [one.resolve() for one in (self.mask, self.voxels) if one is not None]
        return (*given, *self.columns.values(), *self.labels.values())

    def chosen(self, where: str, grid: Grid, most_bytes: int) -> Voxels:
        """The voxels, of a recording on that grid.

        Raises:
            BadInput: neither a mask nor a list, or both; one of another grid, or that chooses nothing.
        """
        if (self.mask is None) == (self.voxels is None):
            raise BadInput(f"{where}: give either `mask` or `voxels`, which say what is a target")
        if self.mask is not None:
            values = volume(where, self.mask.resolve(), grid, most_bytes)
            # Where x is fastest, as in the files.
            flat = np.flatnonzero(values.ravel(order="F") > 0)
            if not len(flat):
                raise BadInput(f"{where}: mask {self.mask} has no voxel above 0; name another mask")
            return Voxels(grid, np.stack(np.unravel_index(flat, grid, order="F"), 1))
        assert self.voxels is not None
        return Voxels(grid, _listed(where, self.voxels.resolve(), grid, most_bytes))

    def targets(self, where: str, subject: str, voxels: Voxels, most_bytes: int) -> pa.Table:
        """A row per voxel: an id of subject and place, and a column for each volume.

        A value that is NaN is null, which no comparison selects.

        Raises:
            BadInput: a volume cannot be read, is of another grid, or its column has a name that is taken.
        """
        if taken := [name for name in self.columns if name in OWN]:
            raise BadInput(f"{where}: column {taken[0]!r} is there already; call it otherwise")
        if without := [name for name in self.labels if name not in self.columns]:
            there = nearest(without[0], self.columns)
            raise BadInput(f"{where}: `labels` names {without[0]!r}, which is no column; {there}")
        places = voxels.places.tolist()
        ids = [f"{subject}_{x:03d}-{y:03d}-{z:03d}" for x, y, z in places]
        found: dict[str, Any] = {TARGET_ID: ids, "subject": [subject] * len(ids)}
        found |= {name: voxels.places[:, axis] for axis, name in enumerate(AXES)}
        for name, path in self.columns.items():
            values = volume(where, path, voxels.grid, most_bytes).ravel(order="F")[voxels.flat]
            found[name] = pa.array(values, from_pandas=True)
            if name in self.labels:
                names = _names(where, self.labels[name])
                found[name] = pa.array([names.get(one) for one in values.tolist()], pa.string())
        return pa.table(found)


def resolved(columns: Mapping[str, SweepPath]) -> dict[str, Path]:
    """Volumes by the column that they give.

    Raises:
        BadInput: a path does not exist.
    """
    return {name: path.resolve() for name, path in columns.items()}


def _names(where: str, path: Path) -> dict[float, str]:
    """Names of regions by their numbers."""
    of_file = f"{where}: labels {path}"
    found: dict[float, str] = {}
    for number, line in enumerate(text.lines(text.read(of_file, path, "list of regions")), 1):
        parts = line.split()
        if not parts or parts[0].startswith("#"):
            continue
        if len(parts) < 2 or not parts[0].isdecimal() or int(parts[0]) in found:
            raise BadInput(
                f"{of_file}, line {number}: {line.strip()!r} is no number and name, or a number that was "
                "there; write a region's number and name a line"
            )
        found[int(parts[0])] = parts[1]
    return found


def volume(where: str, path: Path, grid: Grid, most_bytes: int) -> Array:
    """A volume (x, y, z) of real numbers on a grid, from a NIfTI image or .npy.

    Raises:
        BadInput: it cannot be read, or is of another grid or type.
    """
    of_file = f"{where}: volume {path}"
    if path.name.lower().endswith(NIFTI):
        values = nifti.volume(path, of_file, most_bytes)
    elif path.suffix.lower() == ".npy":
        values = arrays.npy(path, most_bytes, of_file)
    else:
        raise BadInput(f"{of_file} is of no known kind; give a .nii, .nii.gz or .npy file")
    if values.dtype.kind not in "fiub":
        raise BadInput(f"{of_file} is of type {values.dtype}; give real numbers")
    if values.shape != grid:
        reverse = values.shape == grid[::-1]
        how = "reverse its axes" if reverse else "give one that is made for these responses"
        raise BadInput(f"{of_file} has shape {values.shape}, the responses {grid} (x, y, z); {how}")
    return values


def _listed(where: str, path: Path, grid: Grid, most_bytes: int) -> Numbers:
    of_file = f"{where}: voxels {path}"
    if path.suffix.lower() == ".npy":
        values = arrays.npy(path, most_bytes, of_file)
    else:
        table = csv_table.read(of_file, path, AXES)
        rows = [[line.number(axis) for axis in AXES] for line in table.lines]
        values = np.array(rows, np.float64).reshape(-1, len(AXES))
    if values.ndim != 2 or values.shape[1] != len(AXES) or values.dtype.kind not in "fiu":
        raise BadInput(f"{of_file} has shape {values.shape}; give x, y and z of each voxel")
    if not len(values):
        raise BadInput(f"{of_file} names no voxel; write a row for each")
    outside = ~((values >= 0) & (values < grid) & (values % 1 == 0)).all(1)
    if outside.any():
        first = int(outside.argmax())
        raise BadInput(
            f"{of_file}: voxel number {first} at {values[first].tolist()} is not in the grid {grid}; count "
            "x, y and z from 0"
        )
    places = values.astype(np.int64)
    unique, counts = np.unique(places, axis=0, return_counts=True)
    if len(unique) < len(places):
        raise BadInput(
            f"{of_file}: voxel {unique[counts.argmax()].tolist()} stands twice; write each once"
        )
    return places
