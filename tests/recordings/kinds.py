"""A small recording of every kind that is in files, with what its section says besides its path."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.recordings import (
    arcaro_files,
    array_files,
    eeg2_files,
    laion_files,
    netcdf_files,
    nsd_files,
    rdm_files,
    things_fmri_files,
    triple_n_files,
    tvsd_files,
)
from zoo_eval.recordings.recording import RECORDINGS, RecordingSection

IDS = ("c.png", "a.png", "b.png", "d.png")


@dataclass(frozen=True)
class Planted:
    """`make` writes the files into a folder; `path` is of the recording in it, `keys` what else is said."""

    kind: str
    path: str
    make: Callable[[Path], Any]
    keys: Mapping[str, Any] = field(default_factory=dict)
    # Keys that a sweep says when it reads the recording, and nobody before.
    later: Mapping[str, Any] = field(default_factory=dict)

    def section(self, folder: Path) -> RecordingSection:
        content = {"kind": self.kind, "stimuli": "shown", "path": self.path, **self.keys}
        return RECORDINGS.get(self.kind).model_validate(content, context={"home": folder})


def tvsd(folder):
    (folder / "monkeyN").mkdir()
    train, test = tvsd_files.names(9, "train"), tvsd_files.names(4, "test")
    tvsd_files.images(folder / "things_imgs.mat", train, test)
    tvsd_files.norm_mua(
        folder / "monkeyN" / "THINGS_normMUA.mat", n_train=9, n_test=4, n_repetitions=3
    )


def nsd(folder):
    nsd_files.folder(folder)
    nsd_files.design(folder / "nsd_expdesign.mat")


def nsd_synthetic(folder):
    n_trials = 744
    nsd_files.folder(folder)
    stored = nsd_files.stored(3, n_trials)
    nsd_files.betas(folder / "betas_nsdsynthetic.hdf5", stored, chunks=(n_trials, 1, 1, 1))
    shown = np.resize(np.random.default_rng(1).permutation(284) + 1, (1, n_trials))
    rdm_files.mat(folder / "nsdsynthetic_expdesign.mat", masterordering=shown)


def triple_n(folder):
    for number in triple_n_files.N_UNITS:
        triple_n_files.session(folder, number)
        triple_n_files.processed(folder, number)
    triple_n_files.design(folder / "nsd_expdesign.mat")


def assembly(folder):
    netcdf_files.assembly(
        folder / "assy_planted.nc", dims=("neuroid", "presentation", "time_bin"), n_stimuli=6,
        n_repetitions=4, n_neuroids=5,
    )  # fmt: skip


def netcdf(folder):
    values = np.random.default_rng(0).standard_normal((2, 5, 4)).astype(np.float32)
    values[0, 2, 1] = np.nan
    variables = {
        "responses": (("repetition", "stimulus", "target"), values),
        "stimulus": (("stimulus",), np.array([f"im{one}" for one in range(5)], object)),
        "target": (("target",), np.array(list("abcd"), object)),
        "depth": (("target",), np.array([0.5, np.nan, 1.5, 2.0])),
        "session": (("stimulus",), np.array([1, 1, 2, 2, 2])),
    }
    sizes = {"repetition": 2, "stimulus": 5, "target": 4}
    netcdf_files.write(folder / "it.nc", sizes, variables)


def arrays(folder):
    np.savez(
        folder / "it.npz", it=array_files.planted(8, 3), stimulus_ids=np.array([*IDS, *IDS[:3], IDS[0]]),
        target_ids=np.array(["t1", "t2", "t3"]), sessions=np.repeat(["mon", "tue"], 4),
    )  # fmt: skip


def long_rows(n_stimuli=4, n_targets=3, missing=((1, 1, 1),)):
    """Rows of responses, stimuli shown one to three times, in no order."""
    rng = np.random.default_rng(0)
    rows = [
        {"stimulus_id": IDS[s % 4], "repetition": r, "target_id": f"t{t}", "response": rng.normal()}
        for s in range(n_stimuli)
        for r in (7, 5, 6)[: 1 + s % 3]
        for t in range(n_targets)
        if (s, r, t) not in missing
    ]
    return [rows[place] for place in rng.permutation(len(rows))]


def parquet(folder):
    pq.write_table(pa.Table.from_pylist(long_rows()), folder / "it.parquet")
    (folder / "targets.csv").write_text("target_id,region,depth\nt2,V4,1.5\nt0,IT,\nt1,IT,0.25\n")


def rdm(folder):
    rdm_files.npz(
        folder / "planted.npz", rdm=rdm_files.rdms(3), stimulus_ids=np.array(IDS),
        subject_ids=np.array(["x", "y", "z"]),
    )  # fmt: skip


def maps(folder):
    values = np.random.default_rng(0).standard_normal((4, 3, 2, 3, 5))
    np.savez(folder / "planted.npz", maps=values, image_ids=np.array(IDS))


RESPONSES = (
    Planted("tvsd", "monkeyN/THINGS_normMUA.mat", tvsd, {"images": "things_imgs.mat"}),
    Planted(
        "nsd", ".", nsd,
        {"subject": 2, "design": "nsd_expdesign.mat", "mask": "mask.nii.gz", "sessions": [1, 3],
         "columns": {"ncsnr": "ncsnr.nii.gz"}},
    ),
    Planted(
        "nsd_synthetic", "betas_nsdsynthetic.hdf5", nsd_synthetic,
        {"subject": 2, "design": "nsdsynthetic_expdesign.mat", "mask": "mask.nii.gz"},
    ),
    Planted(
        "triple_n", ".", triple_n,
        {"design": "nsd_expdesign.mat", "processed": ".", "window_ms": [1, 4], "onset_ms": triple_n_files.ONSET},
    ),
    Planted("brainscore", "assy_planted.nc", assembly),
    Planted("netcdf", "it.nc", netcdf),
    Planted("arrays", "it.npz", arrays),
    Planted("parquet", "it.parquet", parquet, {"targets_table": "targets.csv"}),
    Planted(
        "things_fmri", ".", lambda folder: things_fmri_files.folder(folder, things_fmri_files.planted()),
        {"subject": "01"},
    ),
    Planted("laion_fmri", ".", laion_files.folder, {"mask": "mask.nii.gz", "splits": "splits"}),
    Planted("things_eeg2", ".", eeg2_files.folder, {"images": "image_metadata.npy", "channels": ["P3", "Oz"]}),
)  # fmt: skip
OTHERS = (
    Planted("rdm", "planted.npz", rdm, {}, {"dissimilarity": "squared_euclidean"}),
    Planted(
        "arcaro", "monkey.mat", lambda folder: arcaro_files.monkey(folder / "monkey.mat"),
        {"window_ms": [2, 5]},
    ),
    Planted("spatial_arrays", "planted.npz", maps),
)  # fmt: skip
ALL = (*RESPONSES, *OTHERS)
