"""Sessions of Triple-N as MATLAB writes them, and what is known of their units, with few units and milliseconds."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from scipy.io import savemat

Values = npt.NDArray[np.float32]

N_IMAGES, N_SHARED = 1072, 1000
N_MS, ONSET = 8, 3
N_UNITS = {1: 4, 11: 3}
NAME = "ses{:02d}_240629_M{}_2.h5"
SUBJECTS = {1: 1, 11: 5}
GOOD = {
    1: "GoodUnit_240629_JianJian_NSD1000_LOC_g2.mat",
    11: "GoodUnit_240629_TuTu_NSD1000_LOC_g2.mat",
}
# Of the units, along the probe.
POSITIONS = {1: [100.0, 500.0, 900.0, 1300.0], 11: [50.0, 700.0, 2000.0]}
AREAS = """SesIdx,RoiIndex,AREALABEL,y1,y2,Categoty,Area
1,1,MB1,0,600,B,IT
1,2,MO1,400,1000,O,IT
11,3,V4_5,0,1000,E,EVC
"""
SHARED_IDS = np.random.default_rng(7).permutation(73_000)[:N_SHARED] + 1


def planted(session: int = 1, n_images: int = N_IMAGES, n_ms: int = N_MS) -> Values:
    """Responses (unit, image, millisecond), as MATLAB has them."""
    shape = (N_UNITS[session], n_images, n_ms)
    return np.random.default_rng(session).random(shape).astype(np.float32)


def session(folder: Path, number: int = 1, values: Values | None = None, **options: Any) -> Path:
    """One file; `options` are h5py's, of which MATLAB's h5create has none by default."""
    path = folder / NAME.format(number, SUBJECTS[number])
    values = planted(number) if values is None else values
    with h5py.File(path, "w") as file:
        file.create_dataset("response_matrix_img", data=values.T, **options)
        file["raster_matrix_img"] = np.zeros((2, 3, len(values)), np.uint8)
    return path


def good_unit(
    folder: Path,
    number: int = 1,
    values: Values | None = None,
    onset: float = ONSET,
    **options: Any,
) -> Path:
    """The same as the authors give it out: a matrix (image, millisecond) per unit, by reference."""
    path = folder / GOOD[number]
    values = planted(number) if values is None else values
    with h5py.File(path, "w", userblock_size=512) as file:
        units = file.create_group("GoodUnitStrc")
        units.attrs["MATLAB_class"] = np.bytes_("struct")
        for name, held in {
            "response_matrix_img": values,
            "Raster": values,
        }.items():
            references = units.create_dataset(name, (len(values), 1), h5py.ref_dtype)
            for unit, matrix in enumerate(held):
                stored = file.create_dataset(f"#refs#/{name}{unit}", data=matrix.T, **options)
                references[unit, 0] = stored.ref
        file["global_params/pre_onset"] = np.array([[float(onset)]])
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


def design(path: Path) -> Path:
    """The part of NSD's design that says which images all subjects saw."""
    savemat(path, {"sharedix": SHARED_IDS[None].astype(np.int32)})
    return path


def processed(folder: Path, number: int = 1, **changed: Any) -> Path:
    """As Processed_ses*.mat has it; the last unit has no reliability."""
    n = N_UNITS[number]
    reliability = [*(np.arange(n - 1) / 8), np.nan]
    content = {
        "reliability_best": [reliability], "reliability_basic": [reliability], "snr": [np.arange(n) / 4],
        "pos": [POSITIONS[number]], "UnitType": [np.full(n, 2)], "response_best": np.zeros((n, N_IMAGES)),
    }  # fmt: skip
    path = folder / f"Processed_ses{number:02d}_240629_M{SUBJECTS[number]}_2.mat"
    savemat(path, {**content, **changed})
    return path


def areas(path: Path, text: str = AREAS) -> Path:
    path.write_text(text)
    return path
