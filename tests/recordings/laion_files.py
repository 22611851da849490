"""A subject of LAION-fMRI on a small grid: betas in NIfTI, trials beside them, splits in JSON."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.recordings.voxel_files import mask, nifti

GRID = (4, 3, 2)
PLACES = [(0, 0, 0), (3, 0, 0), (2, 2, 0), (1, 1, 1)]
LABELS = {
    "ses-01": ("shared_12rep_LAION_cluster_1_i0.jpg", "unique_LAION_cluster_2_i1.jpg",
               "shared_4rep_OOD_shape_3.png"),
    "ses-02": ("unique_LAION_cluster_4_i0.jpg", "shared_12rep_LAION_cluster_1_i0.jpg"),
}  # fmt: skip
NAME = "sub-01_{}_task-images_space-T1w_stat-effect_desc-SingletrialBetas_statmap.nii.gz"
TRIALS = "sub-01_{}_task-images_desc-SingletrialBetas_trials.tsv"


def betas(session: str) -> npt.NDArray[np.float32]:
    """float32 (x, y, z, trial)."""
    rng = np.random.default_rng(int(session[-2:]))
    return rng.standard_normal((*GRID, len(LABELS[session]))).astype(np.float32)


def trials(path: Path, session: str, labels: Sequence[str]) -> None:
    """A row per volume; the last is written first."""
    rows = [f"{session}\trun-01\t{number}\t{label}" for number, label in enumerate(labels)]
    path.write_text("\n".join(["session\trun\tbeta_index\tlabel", rows[-1], *rows[:-1]]) + "\n")


def split(path: Path, train: Iterable[str], test: Iterable[str], name: str = "tau") -> Path:
    """A split as it is published."""
    path.parent.mkdir(exist_ok=True)
    variant: dict[str, Any] = {"variant_id": 0, "train_ids": list(train), "test_ids": list(test)}
    n_train = len(variant["train_ids"])
    held = {"name": name, "pool": "sub-01", "n_train": n_train, "variants": [variant]}
    path.write_text(json.dumps(held))
    return path


def folder(path: Path, suffix: str = ".nii.gz") -> dict[str, npt.NDArray[np.float32]]:
    """sub-01's folder, and the betas by session."""
    held: dict[str, npt.NDArray[np.float32]] = {}
    for session, labels in LABELS.items():
        func = path / session / "func"
        func.mkdir(parents=True)
        held[session] = betas(session)
        nifti(func / NAME.format(session).replace(".nii.gz", suffix), held[session])
        trials(func / TRIALS.format(session), session, labels)
    mask(path / "mask.nii.gz", GRID, PLACES)
    ceiling = np.arange(24, dtype=np.float32).reshape(GRID)
    nifti(path / "sub-01_task-images_space-T1w_desc-Noiseceiling12rep_statmap.nii.gz", ceiling)
    nifti(path / "v1.nii.gz", (ceiling > 12).astype(np.uint8))
    everything = sorted({one for labels in LABELS.values() for one in labels})
    split(path / "splits" / "tau.json", everything[:2], everything[2:3])
    ood = [one for one in everything if "OOD" in one]
    split(path / "splits" / "ood.json", [one for one in everything if one not in ood], ood, "ood")
    return held
