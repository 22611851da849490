"""One planted truth in a file of every kind: a layer's projections with noise, uneven repetitions and gaps."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from scipy.io import savemat
from torch import nn

from tests.planted_nets import Sine
from tests.recordings import (
    array_files,
    eeg2_files,
    laion_files,
    netcdf_files,
    nsd_files,
    things_fmri_files,
    triple_n_files,
    tvsd_files,
    voxel_files,
)
from tests.recordings.triple_n_files import SHARED_IDS

N_STIMULI, N_TARGETS, MOST, N_SESSIONS = 64, 40, 4, 8
# Numbers of NSD's images, which Triple-N also shows; in the order of the files' names.
NUMBERS = np.sort(SHARED_IDS[::15][:N_STIMULI])
IDS = tuple(f"nsd-{one:05d}" for one in NUMBERS)
# The numbers of the same images in NSD-synthetic.
SYNTHETIC = np.arange(1, N_STIMULI + 1) * 4
TARGETS = tuple(f"t{number:02d}" for number in range(N_TARGETS))
GRID = (5, 4, 2)
CHANNELS, TIMES = ["Pz", "P3", "Oz", "O1", "O2"], np.arange(8) / 100
NOISE_VARIANCE = 1.0
# Features of a planted network's layers, and the side of its images.
P, PX = 12, 8
Content = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Planted:
    """Responses (stimulus, repetition, target), NaN where there is none, and the session of each stimulus."""

    responses: np.ndarray
    session: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """How often each stimulus was shown, gaps or not (stimulus,)."""
        return (~np.isnan(self.responses).all(2)).sum(1)

    @property
    def rows(self) -> list[tuple[int, int]]:
        """Stimulus and repetition of each presentation, shuffled within sessions."""
        rng = np.random.default_rng(11)
        found = [(int(one), rep) for one, n in enumerate(self.counts) for rep in range(n)]
        order = rng.permutation(len(found))
        return sorted((found[number] for number in order), key=lambda row: self.session[row[0]])

    @property
    def shown(self) -> list[str]:
        return [IDS[stimulus] for stimulus, _ in self.rows]

    @property
    def values(self) -> np.ndarray:
        """Responses (presentation, target) of these rows."""
        return np.array([self.responses[row] for row in self.rows])


def planted(signal: np.ndarray, counts: np.ndarray, *, gaps: bool = True) -> Planted:
    """Signals (stimulus, target) of variance near 1 and noise of variance 1, `counts` (stimulus,) times.

    A tenth of the cells (stimulus, target) is missing in all repetitions: four targets of five did not
    take part in one of the last four of eight sessions. So each format can hold it that holds gaps at all,
    and half of the stimuli were answered by everyone, which is what similarities need.
    """
    rng = np.random.default_rng(5)
    noise = NOISE_VARIANCE**0.5 * rng.standard_normal((N_STIMULI, MOST, N_TARGETS))
    # As single-precision files hold them.
    responses = (signal[:, None] + noise).astype(np.float32).astype(np.float64)
    responses[np.arange(MOST) >= counts[:, None]] = np.nan
    session = np.arange(N_STIMULI) % N_SESSIONS
    missed = np.arange(N_TARGETS) % 5 + 4
    if gaps:
        where = session[:, None] == np.where(missed < N_SESSIONS, missed, -1)
        responses[where[:, None].repeat(MOST, 1)] = np.nan
    return Planted(responses, session)


def uneven_counts() -> np.ndarray:
    """1 to 4, as often each, in every session."""
    return np.arange(N_STIMULI) // N_SESSIONS % MOST + 1


def two_part_counts() -> np.ndarray:
    """Once where trained on, four times where tested, three of eight stimuli of every session."""
    return np.where(np.arange(N_STIMULI) // N_SESSIONS < 5, 1, MOST)


def images(folder: Path, names: list[str]) -> None:
    """The photos under these names."""
    folder.mkdir()
    rng = np.random.default_rng(2)
    for name, pixels in zip(names, rng.integers(0, 256, (N_STIMULI, PX, PX, 3), np.uint8)):
        Image.fromarray(pixels).save(folder / f"{name}.png")


def npy(folder: Path, one: Planted) -> Content:
    np.save(folder / "it.npy", one.responses)
    (folder / "ids.txt").write_text("\n".join(IDS))
    return {"kind": "arrays", "path": "it.npy", "stimulus_ids": "ids.txt"}


def npz(folder: Path, one: Planted) -> Content:
    np.savez(folder / "it.npz", it=one.values, stimulus_ids=one.shown, target_ids=TARGETS)
    return {"kind": "arrays", "path": "it.npz"}


def csv(folder: Path, one: Planted) -> Content:
    array_files.csv_file(folder / "it.csv", one.values, ids=one.shown, names=TARGETS)
    return {"kind": "arrays", "path": "it.csv"}


def parquet(folder: Path, one: Planted) -> Content:
    """What is missing has no row."""
    stimulus, repetition, target = np.nonzero(~np.isnan(one.responses))
    columns = {
        "stimulus_id": [IDS[number] for number in stimulus],
        "repetition": repetition,
        "target_id": [TARGETS[number] for number in target],
        "response": one.responses[stimulus, repetition, target],
    }
    pq.write_table(pa.table(columns), folder / "it.parquet")
    return {"kind": "parquet", "path": "it.parquet"}


def netcdf(folder: Path, one: Planted) -> Content:
    sizes = {"target": N_TARGETS, "stimulus": N_STIMULI, "repetition": MOST}
    variables = {
        "it": (("target", "stimulus", "repetition"), one.responses.transpose(2, 0, 1)),
        "stimulus_id": (("stimulus",), list(IDS)),
        "target_id": (("target",), list(TARGETS)),
    }
    netcdf_files.write(folder / "it.nc", sizes, variables)
    return {"kind": "netcdf", "path": "it.nc"}


def brainscore(folder: Path, one: Planted) -> Content:
    sizes = {"presentation": len(one.rows), "neuroid": N_TARGETS, "time_bin": 1}
    variables = {
        "it": (("presentation", "neuroid", "time_bin"), one.values[:, :, None]),
        "stimulus_id": (("presentation",), one.shown),
        "repetition": (("presentation",), np.array([rep for _, rep in one.rows])),
        "neuroid_id": (("neuroid",), list(TARGETS)),
        "time_bin_start": (("time_bin",), np.array([70])),
        "time_bin_end": (("time_bin",), np.array([170])),
    }
    netcdf_files.write(folder / "it.nc", sizes, variables)
    return {"kind": "brainscore", "path": "it.nc"}


def things_fmri(folder: Path, one: Planted) -> Content:
    name = f"sub-{things_fmri_files.SUBJECT}"
    voxels = list(range(N_TARGETS))
    trials = [("train", int(one.session[stimulus]), f"{IDS[stimulus]}.jpg") for stimulus, _ in one.rows]  # fmt: skip
    things_fmri_files.fixed(folder / f"{name}_ResponseData.h5", one.values, voxels)
    things_fmri_files.stimulus_metadata(folder / f"{name}_StimulusMetadata.csv", trials)
    things_fmri_files.voxel_metadata(folder / f"{name}_VoxelMetadata.csv", voxels)
    return {"kind": "things_fmri", "path": ".", "subject": "01"}


def laion_fmri(folder: Path, one: Planted) -> Content:
    of_rows = np.array([one.session[stimulus] for stimulus, _ in one.rows])
    for session in range(N_SESSIONS):
        own, name = of_rows == session, f"ses-{session + 1:02d}"
        func = folder / name / "func"
        betas = one.values[own].T.astype(np.float32).reshape(*GRID, -1, order="F")
        voxel_files.nifti(func / laion_files.NAME.format(name), betas)
        labels = [f"{IDS[stimulus]}.jpg" for (stimulus, _), mine in zip(one.rows, own) if mine]
        laion_files.trials(func / laion_files.TRIALS.format(name), name, labels)
    voxel_files.nifti(folder / "mask.nii.gz", np.ones(GRID, np.uint8))
    return {"kind": "laion_fmri", "path": ".", "mask": "mask.nii.gz"}


def _betas(one: Planted, rows: list[tuple[int, int]], n_trials: int) -> np.ndarray:
    """int16 (x, y, z, trial), trials of other images last; zero where nothing was measured."""
    values = np.array([one.responses[row] for row in rows])
    there = ~np.isnan(values).all(0)
    stored = np.zeros((n_trials, N_TARGETS), np.int16)
    stored[: len(rows)] = np.round(300 * np.where(there, values, 0))
    stored[len(rows) :, there] = 7
    return stored.T.reshape(*GRID, n_trials, order="F")


def nsd(folder: Path, one: Planted) -> Content:
    shown = []
    others = np.setdiff1d(np.arange(1, 73_001), NUMBERS)
    for session in range(N_SESSIONS):
        rows = [row for row in one.rows if one.session[row[0]] == session]
        stored = _betas(one, rows, nsd_files.TRIALS)
        nsd_files.betas(folder / f"betas_session{session + 1:02d}.hdf5", stored)
        shown += [NUMBERS[stimulus] for stimulus, _ in rows]
        shown += others[: nsd_files.TRIALS - len(rows)].tolist()
    nsd_files.responses(folder / "responses.tsv", shown)
    voxel_files.nifti(folder / "mask.nii.gz", np.ones(GRID, np.uint8))
    return {"kind": "nsd", "path": ".", "subject": nsd_files.SUBJECT, "design": "responses.tsv",
            "mask": "mask.nii.gz", "partial": True}  # fmt: skip


def nsd_synthetic(folder: Path, one: Planted) -> Content:
    nsd_files.betas(folder / "b.hdf5", _betas(one, one.rows, 744), chunks=(744, 1, 1, 1))
    others = np.setdiff1d(np.arange(1, 285), SYNTHETIC)
    shown = [SYNTHETIC[stimulus] for stimulus, _ in one.rows]
    shown += np.resize(others, 744 - len(shown)).tolist()
    savemat(folder / "design.mat", {"masterordering": np.array([shown], float)})
    voxel_files.nifti(folder / "mask.nii.gz", np.ones(GRID, np.uint8))
    return {"kind": "nsd_synthetic", "path": "b.hdf5", "subject": nsd_files.SUBJECT,
            "design": "design.mat", "mask": "mask.nii.gz", "partial": True}  # fmt: skip


def tvsd(folder: Path, one: Planted) -> Content:
    """On the first electrodes."""
    train, test = (np.flatnonzero(one.counts == n) for n in (1, MOST))
    listed = [[f"{IDS[number]}.jpg" for number in part] for part in (train, test)]
    tvsd_files.images(folder / "things_imgs.mat", *listed)
    tvsd_files.norm_mua(
        folder / "THINGS_normMUA.mat", n_train=len(train), n_test=len(test), n_repetitions=MOST,
        planted={
            "train_MUA": one.responses[train, 0],
            "test_MUA_reps": one.responses[test].transpose(1, 0, 2),
        },
    )  # fmt: skip
    return {"kind": "tvsd", "path": "THINGS_normMUA.mat", "images": "things_imgs.mat",
            "monkey": "F", "targets": f"electrode < {N_TARGETS}"}  # fmt: skip


def things_eeg2(folder: Path, one: Planted) -> Content:
    parts = dict(zip(("training", "test"), (np.flatnonzero(one.counts == n) for n in (1, MOST))))
    for name, rows in parts.items():
        own = one.responses[rows][:, : one.counts[rows[0]]]
        values = own.reshape(*own.shape[:2], len(CHANNELS), len(TIMES))
        path = folder / f"preprocessed_eeg_{name}.npy"
        eeg2_files.part(path, values, channels=CHANNELS, times=TIMES)
    named = {name: [f"{IDS[number]}.jpg" for number in rows] for name, rows in parts.items()}
    eeg2_files.metadata(folder / "image_metadata.npy", named)
    return {"kind": "things_eeg2", "path": ".", "images": "image_metadata.npy"}


def triple_n(folder: Path, one: Planted) -> Content:
    """Its first milliseconds are others; images that are not among the stimuli answer 0."""
    values = np.zeros((N_TARGETS, triple_n_files.N_IMAGES, triple_n_files.N_MS), np.float32)
    places = np.argsort(SHARED_IDS)[np.searchsorted(np.sort(SHARED_IDS), NUMBERS)]
    values[:, places] = one.responses[:, 0].T[:, :, None]
    values[:, :, : triple_n_files.ONSET] = 100
    triple_n_files.session(folder, 1, values)
    triple_n_files.design(folder / "nsd_expdesign.mat")
    return {"kind": "triple_n", "path": triple_n_files.NAME.format(1, 1), "window_ms": [0, 5],
            "design": "nsd_expdesign.mat", "onset_ms": triple_n_files.ONSET, "partial": True}  # fmt: skip


Writer = Callable[[Path, Planted], Content]
# What a kind can hold says which planting is in it.
UNEVEN: dict[str, Writer] = {
    "npy": npy, "npz": npz, "csv": csv, "parquet": parquet, "netcdf": netcdf,
    "brainscore": brainscore, "things_fmri": things_fmri, "laion_fmri": laion_fmri, "nsd": nsd,
}  # fmt: skip
# Every training image once, every test image as often as any other.
TWO_PARTS: dict[str, Writer] = {"npy_two_parts": npy, "tvsd": tvsd, "things_eeg2": things_eeg2}
# Means alone, which are of as many repetitions as there were.
MEANS: dict[str, Writer] = {"npy_means": npy, "triple_n": triple_n}
# A voxel is missing where it is zero in a whole session, and NSD-synthetic is one: it holds no gaps.
WHOLE: dict[str, Writer] = {"npy_whole": npy, "nsd_synthetic": nsd_synthetic}


def mean_of(one: Planted) -> Planted:
    """The same as one response to each stimulus."""
    there = ~np.isnan(one.responses)
    n = np.maximum(there.sum(1, keepdims=True), 1)
    mean = np.where(there, one.responses, 0).sum(1, keepdims=True) / n
    return Planted(np.where(there.any(1, keepdims=True), mean, np.nan), one.session)


def plantings(signal: np.ndarray) -> dict[str, tuple[Writer, Planted]]:
    """Of every kind of file its writer and what is in it."""
    uneven = planted(signal, uneven_counts())
    of = (
        (UNEVEN, uneven),
        (TWO_PARTS, planted(signal, two_part_counts())),
        (MEANS, mean_of(uneven)),
        (WHOLE, planted(signal, uneven_counts(), gaps=False)),
    )
    return {name: (write, one) for kinds, one in of for name, write in kinds.items()}


def section(name: str, content: Content, folder: str) -> str:
    """A recording's section of a sweep file, its paths below a folder."""
    stimuli = "synthetic" if content["kind"] == "nsd_synthetic" else "photos"
    paths = {"path", "design", "mask", "images", "stimulus_ids"}
    placed = {key: f"{folder}/{value}" if key in paths else value for key, value in content.items()}
    lines = [f"{key} = {json.dumps(value)}" for key, value in placed.items()]
    return "\n".join([f"[recordings.{name}]", f'stimuli = "{stimuli}"', *lines, ""])


def bent(seed, turned=0.0):
    """Three layers of sines, each of which the next one tells less of; the second's weights may be turned."""
    draw = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = [nn.Flatten()]
    for size, spread, steepness in ((3 * PX**2, 12**-0.5, 1.6), (P, 0.7, 1.2), (P, 0.65, 2.2)):
        linear = nn.Linear(size, P)
        weights = torch.randn(P, size, generator=draw)
        if len(layers) == 3 and turned:
            other = torch.randn(P, size, generator=torch.Generator().manual_seed(9))
            weights = (1 - turned**2) ** 0.5 * weights + turned * other
        linear.weight = nn.Parameter(weights * steepness / (spread * size**0.5))
        # Pixels are around a half.
        middle = 0.5 if len(layers) == 1 else 0.0
        linear.bias = nn.Parameter(-middle * linear.weight.sum(1).detach())
        layers += [linear, Sine()]
    return nn.Sequential(*layers)
