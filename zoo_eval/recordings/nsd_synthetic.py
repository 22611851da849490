"""A recording of NSD-synthetic: one session of a subject of NSD, 744 trials of 284 images."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import nsd_betas, nsd_design
from zoo_eval.recordings.nsd import Subject, of_voxels
from zoo_eval.recordings.presentations import Presentations
from zoo_eval.recordings.presented import PresentedSection
from zoo_eval.recordings.voxels import VoxelChoice, resolved

N_IMAGES = 284


class NsdSyntheticSection(PresentedSection):
    """Betas in betas_nsdsynthetic.hdf5 and the order of images in nsdsynthetic_expdesign.mat.

    An image's id is nsdsynthetic- and its number in three digits, from nsdsynthetic-001 on. Voxels have
    the ids that they have in `nsd`, so that what is fitted there can be tested here.
    """

    kind: Literal["nsd_synthetic"] = "nsd_synthetic"
    names: ClassVar[tuple[str, ...]] = ("betas_nsdsynthetic.hdf5",)

    path: SweepPath
    subject: Subject
    design: SweepPath
    mask: SweepPath | None = None
    voxels: SweepPath | None = None
    columns: Mapping[str, SweepPath] = Field(default_factory=dict)
    labels: Mapping[str, SweepPath] = Field(default_factory=dict)

    def presentations(self, where: str, most_bytes: int) -> Presentations:
        """A presentation per trial; targets are voxels.

        Raises:
            BadInput: a file is damaged, or trials and design are not of the same number.
        """
        design = self.design.resolve()
        file = nsd_betas.described(where, self.path.resolve(), most_bytes)
        shown = nsd_design.ordering(where, design, N_IMAGES, most_bytes)
        if len(shown) != file.n_trials:
            raise BadInput(
                f"{file.where} has {file.n_trials} trials, and {design} {len(shown)}; give the files of one "
                "experiment"
            )
        columns, labels = resolved(self.columns), resolved(self.labels)
        choice = VoxelChoice(self.mask, self.voxels, columns, labels)
        found = of_voxels(where, choice, f"subj{self.subject:02d}", [file], most_bytes)
        return replace(
            found,
            files=(*found.files, design),
            stimulus_ids=[f"nsdsynthetic-{one:03d}" for one in shown],
            sessions=["nsdsynthetic"] * len(shown),
        )
