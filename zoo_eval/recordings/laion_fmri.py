"""A recording of LAION-fMRI: one subject's betas of single trials in NIfTI, session by session."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import csv_table, nifti
from zoo_eval.files.nifti import Nifti
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import laion_splits
from zoo_eval.recordings.presentations import Numbers, Presentations, Values
from zoo_eval.recordings.presented import PresentedSection
from zoo_eval.recordings.voxels import VoxelChoice, Voxels, resolved

BETAS = "_desc-SingletrialBetas_statmap.nii"
TRIALS = "_desc-SingletrialBetas_trials.tsv"
NAMED = re.compile(r"(sub-[^_]+)_(ses-[^_]+)_.*" + re.escape(BETAS) + r"(\.gz)?")
CEILING = re.compile(r"sub-[^_]+_.*_desc-(Noiseceiling[^_]+)_statmap\.nii\.gz")
# So many volumes say what values are like; a session has a thousand.
FIRST_TRIALS = 4
Z_SCORE = 'responses are not z-scored, which this data set requires: set zscore = "session"'


class LaionFmriSection(PresentedSection):
    """A subject's folder of glmsingle-tedana, with ses-NN/func/*_desc-SingletrialBetas_statmap.nii.gz (or .nii).

    Stimuli are named by the `label` of the trials beside. `mask` or `voxels` say which voxels are
    targets, and `columns` names volumes that become columns of the targets, as the subject's noise
    ceilings (desc-Noiseceiling...) do by themselves. `splits` is a published split (tau.json), or a
    folder of them. Betas are to be z-scored within sessions: zscore = "session".

    A voxel that is zero in all trials of a session was not measured in it, and is missing there.
    """

    kind: Literal["laion_fmri"] = "laion_fmri"
    inside: ClassVar[tuple[str, ...]] = (f"ses-*/func/*{BETAS}*",)

    path: SweepPath
    sessions: tuple[str, ...] | None = None
    mask: SweepPath | None = None
    voxels: SweepPath | None = None
    columns: Mapping[str, SweepPath] = Field(default_factory=dict)
    splits: SweepPath | None = None

    def presentations(self, where: str, most_bytes: int) -> Presentations:
        """A presentation per trial, in the order of sessions; targets are voxels.

        Raises:
            BadInput: a session, mask, volume or split is not there, a file is damaged, or trials and
                volumes are not of the same number.
        """
        folder = self.path.resolve()
        files = _sessions(where, folder, self.sessions, most_bytes)
        grid = files[0].betas.grid
        if others := [one for one in files if one.betas.grid != grid]:
            raise BadInput(
                f"{others[0].betas.where} has the grid {others[0].betas.grid}, the first {grid}; give one subject"
            )
        choice = VoxelChoice(self.mask, self.voxels, _ceilings(folder) | resolved(self.columns))
        voxels = choice.chosen(where, grid, most_bytes)
        shown = [label for one in files for label in one.labels]
        published = self.splits.resolve() if self.splits is not None else None
        splits, of_splits = laion_splits.read(where, published, shown)

        def read(numbers: Numbers) -> Values:
            return _read(files, Voxels(grid, voxels.places[numbers]))

        betas = [one.betas.path for one in files]
        targets = choice.targets(where, files[0].subject, voxels, most_bytes)
        first = _first(files[0], targets, voxels)
        return Presentations(
            where=f"{where}: {folder}",
            files=(*betas, *(one.trials for one in files), *choice.files, *of_splits),
            stimulus_ids=shown,
            targets=targets,
            read=read,
            itemsize=np.dtype(np.float32).itemsize,
            sessions=[one.session for one in files for _ in one.labels],
            splits=splits,
            sample=first,
            notes=(
                f"{len(files)} sessions of {files[0].subject}",
                f"{len(voxels.places)} voxels of {np.prod(grid)}",
                *([Z_SCORE] if self.zscore is None else []),
            ),
        )


@dataclass(frozen=True)
class Session:
    """One session: its volumes, and the label of each, in their order."""

    subject: str
    session: str
    betas: Nifti
    trials: Path
    labels: Sequence[str]


def _sessions(
    where: str, folder: Path, wanted: Sequence[str] | None, most_bytes: int
) -> list[Session]:
    there: dict[str, tuple[str, Path]] = {}
    for path in sorted(folder.glob(f"ses-*/func/*{BETAS}*")):
        if (named := NAMED.fullmatch(path.name)) is not None:
            if named[2] in there:
                raise BadInput(
                    f"{where}: {folder} has two files of {named[2]}; keep one, of one subject"
                )
            there[named[2]] = (named[1], path)
    if not there:
        raise BadInput(
            f"{where}: {folder} has no ses-*/func/*{BETAS}.gz; name one subject's folder"
        )
    names = list(there) if wanted is None else [_full(one) for one in dict.fromkeys(wanted)]
    for name in names:
        if name not in there:
            raise BadInput(f"{where}: session {name!r} is not in {folder}; {nearest(name, there)}")
    return [_session(where, name, *there[name], most_bytes) for name in names]


def _full(session: str) -> str:
    return session if session.startswith("ses-") else f"ses-{session}"


def _session(where: str, name: str, subject: str, path: Path, most_bytes: int) -> Session:
    betas = nifti.opened(path, f"{where}: {path}", most_bytes)
    trials = next(iter(sorted(path.parent.glob(f"{subject}_{name}_*{TRIALS}"))), None)
    if trials is None:
        raise BadInput(f"{where}: {path.parent} has no *{TRIALS} of {name}; fetch it, too")
    return Session(subject, name, betas, trials, _labels(f"{where}: {trials}", trials, betas))


def _labels(where: str, path: Path, betas: Nifti) -> list[str]:
    """The label of each volume, by its number from 0."""
    lines = csv_table.read(where, path, ["beta_index", "label"]).lines
    found: dict[float, str] = {}
    for line in lines:
        number = line.number("beta_index")
        if number in found or not line["label"]:
            wrong = "has no label" if number not in found else "stands twice"
            raise BadInput(f"{line.where}: beta_index {number:g} {wrong}; fetch the file again")
        found[number] = line["label"]
    if sorted(found) != list(range(betas.n_volumes)):
        raise BadInput(
            f"{where} has {len(found)} trials, not one for each of the {betas.n_volumes} volumes of "
            f"{betas.path.name}, from 0 on; fetch both again"
        )
    return [found[number] for number in range(betas.n_volumes)]


def _ceilings(folder: Path) -> dict[str, Path]:
    """The subject's noise ceilings by name, such as Noiseceiling12rep."""
    named = ((CEILING.fullmatch(path.name), path) for path in sorted(folder.iterdir()))
    return {match[1]: path for match, path in named if match is not None}


def _first(file: Session, targets: pa.Table, voxels: Voxels) -> Presentations:
    """The first trials of a session: what is compressed is read from its start."""

    def read(numbers: Numbers) -> Values:
        those = Voxels(voxels.grid, voxels.places[numbers])
        return np.stack(list(islice(file.betas.volumes(those.flat), FIRST_TRIALS)))

    shown = list(file.labels[:FIRST_TRIALS])
    itemsize = np.dtype(np.float32).itemsize
    return Presentations(file.betas.where, (file.betas.path,), shown, targets, read, itemsize)


def _read(files: Sequence[Session], voxels: Voxels) -> Values:
    """Responses (trial, voxel); NaN where a voxel was not measured in a session."""
    n_trials = sum(len(one.labels) for one in files)
    found = np.empty((n_trials, len(voxels.places)), np.float32)
    start = 0
    for file in files:
        own = found[start : start + len(file.labels)]
        for row, values in zip(own, file.betas.volumes(voxels.flat), strict=True):
            row[:] = values
        own[:, ~own.any(0)] = np.nan
        own[~np.isfinite(own)] = np.nan
        start += len(own)
    return found
