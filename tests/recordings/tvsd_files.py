"""Planted files of TVSD, as MATLAB 7.3 writes them: HDF5, text by references."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

N_ELECTRODES, N_PAIRS = 1024, 6


def names(n: int, part: str) -> list[str]:
    """Images as the list has them, with backslashes."""
    return [f"{part}{number % 7}\\{part}{number % 7}_{number:05d}s.jpg" for number in range(n)]


def images(path: Path, train: Sequence[str], test: Sequence[str]) -> Path:
    """things_imgs.mat of these images."""
    with h5py.File(path, "w") as file:
        for part, listed in (("train_imgs", train), ("test_imgs", test)):
            references = []
            for number, text in enumerate(listed):
                codes = np.frombuffer(text.encode("utf-16-le"), np.uint16)[:, None]
                item = file.create_dataset(f"#refs#/{part}{number}", data=codes)
                item.attrs["MATLAB_class"] = np.bytes_("char")
                references.append([item.ref])
            file.create_dataset(f"{part}/things_path", data=references, dtype=h5py.ref_dtype)
    return path


def norm_mua(
    path: Path, *, n_train: int, n_test: int, n_repetitions: int, reversed_axes: bool = False,
    dtype: str = "f4", seed: int = 0, planted: Mapping[str, np.ndarray] | None = None, **options: Any,
) -> dict[str, np.ndarray]:  # fmt: skip
    """THINGS_normMUA.mat, and what is in it as (image, electrode) and (repetition, image, electrode).

    `planted` are responses of the first electrodes, by variable.
    """
    rng = np.random.default_rng(seed)
    held: dict[str, Any] = {
        "train_MUA": rng.standard_normal((n_train, N_ELECTRODES), np.float32),
        "test_MUA_reps": rng.standard_normal((n_repetitions, n_test, N_ELECTRODES), np.float32),
        "reliab": rng.random((N_PAIRS, N_ELECTRODES)),
        "oracle": rng.random((1, N_ELECTRODES)),
        "SNR_max": rng.random((N_ELECTRODES, 1)),
    }
    for name, values in (planted or {}).items():
        held[name][..., : values.shape[-1]] = values
    held["test_MUA"] = held["test_MUA_reps"].mean(0)
    held["reliab"][2, 5] = np.nan
    with h5py.File(path, "w") as file:
        for name, values in held.items():
            stored = values.T if reversed_axes else values
            large = options if name == "train_MUA" else {}
            file.create_dataset(name, data=stored.astype(dtype), **large)
    return held
