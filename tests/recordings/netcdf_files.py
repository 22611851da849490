"""Planted netCDF-4 files, written as the format says HDF5 is to be used: scales, named and attached."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable.%10d"


def write(
    path: Path,
    sizes: Mapping[str, int],
    variables: Mapping[str, tuple[Sequence[str], Any]],
    **options: Any,
) -> Path:
    """A file of these dimensions and variables (dimensions, values); `options` are of the largest."""
    largest = max(variables, key=lambda name: np.size(variables[name][1]))
    with h5py.File(path, "w") as file:
        for name, (_, values) in variables.items():
            text = np.asarray(values).dtype.kind in "UO"
            more = {"dtype": h5py.string_dtype()} if text else {}
            more |= options if name == largest else {}
            file.create_dataset(name, data=np.asarray(values, object) if text else values, **more)
        for dim, size in sizes.items():
            if dim in variables:
                file[dim].make_scale(dim)
            else:
                file.create_dataset(dim, data=np.zeros(size, ">f4")).make_scale(NO_VARIABLE % size)
        for name, (dims, _) in variables.items():
            for axis, dim in enumerate(dims):
                if dim != name and dim in sizes:
                    file[name].dims[axis].attach_scale(file[dim])
    return path


def assembly(
    path: Path, *, dims: Sequence[str], n_stimuli: int, n_repetitions: int, n_neuroids: int,
    n_bins: int = 1, text: str = "vlen", seed: int = 0, **options: Any,
) -> tuple[np.ndarray, dict[str, list[str]]]:  # fmt: skip
    """A Brain-Score assembly, shuffled presentations; its values (presentation, neuroid, bin) and names."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(n_stimuli * n_repetitions)
    shown = [f"im{number % n_stimuli}" for number in order]
    neuroids = [f"Chabo_L_M_{number}_{number % 5}" for number in range(n_neuroids)]
    regions = ["IT" if number % 3 else "V4" for number in range(n_neuroids)]
    values = rng.standard_normal((len(shown), n_neuroids, n_bins))
    axes = ("presentation", "neuroid", "time_bin")
    stored = values.transpose([axes.index(one) for one in dims]) if n_bins > 1 or len(dims) == 3 else values[..., 0].transpose([axes.index(one) for one in dims])  # fmt: skip

    def named(names: Sequence[str]) -> Any:
        if text == "vlen":
            return np.array(names, object)
        fixed = np.array(names, "S")
        return fixed if text == "fixed" else fixed.view("S1").reshape(len(names), -1)

    starts = 70 + 20 * np.arange(n_bins)
    variables = {
        "dicarlo.MajajHong2015.public": (dims, stored),
        "image_id": (("presentation", "string"), named(shown)),
        "repetition": (("presentation",), (order // n_stimuli).astype(np.int64)),
        "neuroid_id": (("neuroid", "string"), named(neuroids)),
        "region": (("neuroid", "string"), named(regions)),
        "x": (
            ("neuroid",),
            np.where(np.arange(n_neuroids) == 1, np.nan, np.arange(n_neuroids) / 2),
        ),
        "time_bin_start": (("time_bin",), starts),
        "time_bin_end": (("time_bin",), starts + 20),
    }
    sizes = {"presentation": len(shown), "neuroid": n_neuroids, "time_bin": n_bins}
    write(path, sizes, variables, **options)
    return values, {"shown": shown, "neuroids": neuroids, "regions": regions}
