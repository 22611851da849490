"""RDMs in files of every kind, with the ids of their stimuli as each kind holds them."""

import csv

import h5py
import numpy as np
from scipy.io import savemat
from scipy.spatial.distance import pdist, squareform

from zoo_eval.stimuli.stimulus_set import StimulusSet


def shown_set(ids):
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    return StimulusSet("shown", tuple(ids), (image,) * len(ids), groups=tuple(ids))


def rdms(n_subjects=2, n=4):
    rng = np.random.default_rng(0)
    return np.stack([squareform(pdist(rng.random((n, 3)))) for _ in range(n_subjects)])


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def mat(path, **arrays):
    savemat(path, arrays)
    return path


def cells(texts):
    """A cell array, as savemat takes it."""
    return np.array([*texts, None], dtype=object)[:-1].reshape(-1, 1)


def mat73(path, **arrays):
    """As MATLAB writes version 7.3: axes in reverse, text as numbers of UTF-16, cells by reference."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            if np.asarray(array).dtype.kind == "O":
                item = file.create_dataset(name, array.T.shape, h5py.ref_dtype)
                for place, text in np.ndenumerate(array.T):
                    inner = characters(file, f"#refs#/{name}{place}", [text])
                    item[place] = inner.ref
                item.attrs["MATLAB_class"] = np.bytes_("cell")
            elif np.asarray(array).dtype.kind == "U":
                characters(file, name, array)
            else:
                file[name] = np.asarray(array).T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


def characters(file, name, lines):
    width = max(map(len, lines))
    codes = np.array([[ord(one) for one in line.ljust(width)] for line in lines], np.uint16)
    if width:
        file[name] = codes.T
    else:
        file[name] = np.zeros(2, np.uint64)
        file[name].attrs["MATLAB_empty"] = np.uint8(1)
    file[name].attrs["MATLAB_class"] = np.bytes_("char")
    return file[name]


def csv_rows(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path
