"""The sections [importance.NAME] of a sweep file: where human maps are, and how they are prepared."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from zoo_eval.importance import clickme, folder, lab_pth, planted
from zoo_eval.importance.maps import ImportanceMaps
from zoo_eval.importance.preparation import Blur, Preparation
from zoo_eval.importance.selection import Selection
from zoo_eval.stimuli.stimulus_set import StimulusSet

Pixels = Annotated[int, Field(ge=1)]
Ceiling = Annotated[float, Field(gt=0, le=1)]


class _Prepared(BaseModel):
    """How raw maps are prepared; by default as Fel et al. 2022 did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    canvas_px: Pixels = 224
    blur: bool = True
    blur_at_px: Pixels = 64
    blur_kernel_px: Pixels = 10
    blur_sigma_px: Annotated[float, Field(gt=0)] = 10.0

    @property
    def preparation(self) -> Preparation:
        blur = Blur(self.blur_at_px, self.blur_kernel_px, self.blur_sigma_px)
        return Preparation(self.canvas_px, blur if self.blur else None)


class _OwnImages(_Prepared):
    """Maps that come with their images and labels."""

    path: str
    limit: Annotated[int, Field(ge=1)] | None = None
    per_class: Annotated[int, Field(ge=1)] | None = None

    @property
    def selection(self) -> Selection:
        return Selection(self.limit, self.per_class)


class ClickMeImportance(_OwnImages):
    """ClickMe in TFRecord shards, of either release."""

    kind: Literal["clickme_tfrecord"]
    shards: str = "*.tfrecords"
    human_ceiling: Ceiling = clickme.HUMAN_CEILING

    def read(self, name: str, path: Path) -> tuple[StimulusSet, ImportanceMaps]:
        return clickme.read(
            name,
            path,
            shards=self.shards,
            preparation=self.preparation,
            selection=self.selection,
            human_ceiling=self.human_ceiling,
        )


class LabImportance(_OwnImages):
    """One .pth file per image; such maps were blurred before they were stored."""

    kind: Literal["lab_pth"]
    files: str = "*.pth"
    blur: bool = False
    human_ceiling: Ceiling | None = None

    def read(self, name: str, path: Path) -> tuple[StimulusSet, ImportanceMaps]:
        return lab_pth.read(
            name,
            path,
            files=self.files,
            preparation=self.preparation,
            selection=self.selection,
            human_ceiling=self.human_ceiling,
        )


class FolderImportance(_Prepared):
    """A folder of maps named like the images of a stimulus set."""

    kind: Literal["folder"]
    stimuli: str
    path: str
    human_ceiling: Ceiling | None = None

    def read(self, name: str, path: Path, photos: StimulusSet, *, exact: bool) -> ImportanceMaps:
        return folder.read(
            name,
            photos,
            path,
            preparation=self.preparation,
            human_ceiling=self.human_ceiling,
            exact=exact,
        )


class PlantedImportance(_Prepared):
    """Maps of local contrast, made from the images: they check the method, nobody looked."""

    kind: Literal["planted"]
    stimuli: str

    def read(self, name: str, photos: StimulusSet) -> ImportanceMaps:
        return planted.plant(name, photos, self.preparation)


OwnImages = ClickMeImportance | LabImportance
AnyImportance = Annotated[
    ClickMeImportance | LabImportance | FolderImportance | PlantedImportance,
    Field(discriminator="kind"),
]
