"""A recording of the Natural Scenes Dataset: one subject's betas of single trials, by voxel."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import nsd_betas, nsd_design
from zoo_eval.recordings.nsd_betas import BetaFile
from zoo_eval.recordings.nsd_design import Design
from zoo_eval.recordings.presentations import Numbers, Presentations, Side, Values
from zoo_eval.recordings.presented import PresentedSection
from zoo_eval.recordings.voxels import VoxelChoice, Voxels, resolved

Subject = Annotated[int, Field(ge=1, le=8)]
NAMED = re.compile(r"betas_session([0-9]{2})\.hdf5")
SHARED = "shared1000"


class NsdSection(PresentedSection):
    """Betas of a subject (1 to 8) in a folder of betas_sessionNN.hdf5; all sessions there, or those named.

    `design` is nsd_expdesign.mat, which also says the shared 1,000 images (split "shared1000": these are
    the test), or the subject's responses.tsv. An image's id is nsd- and its place among the 73,000 of
    nsd_stimuli.hdf5, in five digits, from nsd-00001 on, as NSD's own files count. `mask` or `voxels` say
    which voxels are targets, and `columns` names volumes that become columns of the targets, such as
    ncsnr or a region; `labels` gives a column's numbers the names in a file such as streams.mgz.ctab.

    A voxel that is zero in all trials of a session was not measured in it, and is missing there.
    """

    kind: Literal["nsd"] = "nsd"
    inside: ClassVar[tuple[str, ...]] = ("betas_session*.hdf5",)

    path: SweepPath
    subject: Subject
    design: SweepPath
    sessions: tuple[Annotated[int, Field(ge=1, le=40)], ...] | None = None
    mask: SweepPath | None = None
    voxels: SweepPath | None = None
    columns: Mapping[str, SweepPath] = Field(default_factory=dict)
    labels: Mapping[str, SweepPath] = Field(default_factory=dict)

    def presentations(self, where: str, most_bytes: int) -> Presentations:
        """A presentation per trial, in the order of sessions; targets are voxels.

        Raises:
            BadInput: a session, voxel or volume is not there, a file is damaged, or trials and design are
                not of the same number.
        """
        files = _sessions(where, self.path.resolve(), self.sessions, most_bytes)
        design = nsd_design.read(where, self.design.resolve(), self.subject, most_bytes)
        ids = {number: _ids(design, number, file) for number, file in files.items()}
        columns, labels = resolved(self.columns), resolved(self.labels)
        choice = VoxelChoice(self.mask, self.voxels, columns, labels)
        found = of_voxels(
            where, choice, f"subj{self.subject:02d}", list(files.values()), most_bytes
        )
        shown = [one for those in ids.values() for one in those]
        sides: dict[str, Sequence[Side]] = {}
        if design.shared is not None:
            sides[SHARED] = ["test" if one in design.shared else "train" for one in shown]
        return Presentations(
            where=f"{where}: {self.path.resolve()}",
            files=(*found.files, self.design.resolve()),
            stimulus_ids=[f"nsd-{one:05d}" for one in shown],
            targets=found.targets,
            read=found.read,
            itemsize=found.itemsize,
            sessions=[f"session{number:02d}" for number, those in ids.items() for _ in those],
            splits=sides,
            notes=(f"{len(files)} sessions of subject {self.subject}", *found.notes),
        )


def of_voxels(
    where: str, choice: VoxelChoice, subject: str, files: Sequence[BetaFile], most_bytes: int
) -> Presentations:
    """Betas of chosen voxels, presentations by their number in the files.

    Raises:
        BadInput: the files' grids differ, or a mask or volume is wrong.
    """
    grid = files[0].grid
    if others := [one for one in files if one.grid != grid]:
        raise BadInput(
            f"{others[0].where} has the grid {others[0].grid}, the first {grid}; give one preparation"
        )
    voxels = choice.chosen(where, grid, most_bytes)

    def read(numbers: Numbers) -> Values:
        return nsd_betas.read(files, Voxels(grid, voxels.places[numbers]))

    n_trials = sum(one.n_trials for one in files)
    return Presentations(
        where=f"{where}: {files[0].path}",
        files=(*(one.path for one in files), *choice.files),
        stimulus_ids=list(map(str, range(n_trials))),
        targets=choice.targets(where, subject, voxels, most_bytes),
        read=read,
        itemsize=np.dtype(np.float32).itemsize,
        notes=(f"{len(voxels.places)} voxels of {np.prod(grid)}",),
    )


def _sessions(
    where: str, folder: Path, wanted: Sequence[int] | None, most_bytes: int
) -> dict[int, BetaFile]:
    """The files of sessions by their number."""
    if not folder.is_dir():
        raise BadInput(f"{where}: {folder} is a file; name the folder of betas_sessionNN.hdf5")
    there = {
        int(named[1]): path
        for path in sorted(folder.iterdir())
        if (named := NAMED.fullmatch(path.name)) is not None
    }
    if not there:
        raise BadInput(f"{where}: {folder} has no betas_sessionNN.hdf5; name the folder of them")
    numbers = sorted(there if wanted is None else set(wanted))
    if missing := [one for one in numbers if one not in there]:
        known = ", ".join(map(str, sorted(there)))
        raise BadInput(f"{where}: session {missing[0]} is not in {folder} (there are {known})")
    return {one: nsd_betas.described(where, there[one], most_bytes) for one in numbers}


def _ids(design: Design, session: int, file: BetaFile) -> Sequence[int]:
    """Which of the 73,000 images each trial of a session showed, from 1."""
    shown = design.session(session)
    if len(shown) != file.n_trials:
        raise BadInput(
            f"{file.where} has {file.n_trials} trials, and {design.where} {len(shown)} of session "
            f"{session}; give files of the same subject"
        )
    return shown
