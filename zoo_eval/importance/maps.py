"""ImportanceMaps: where people look in each image of a StimulusSet; identity = content and preparation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from zoo_eval.digests import bytes_digest, canonical_json
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.files.reading import MOST_BYTES
from zoo_eval.importance import held
from zoo_eval.importance.preparation import Blur, Preparation, prepare
from zoo_eval.importance.selection import Selection
from zoo_eval.paths import SweepPath
from zoo_eval.section import KindSection, kinds
from zoo_eval.stimuli.stimulus_set import StimulusSet, Sweepmates
from zoo_eval.transforms import Transform

Maps = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ImportanceMaps:
    """Human maps, float32 (stimulus, row, column), one for each stimulus of a set, in its order.

    `stimuli_digest` ties them to exactly these images. `human_ceiling` is how well one group of
    people predicts another (Spearman), where it is known. `unusable` says by id which maps could
    not be used and why; they are 0 everywhere. `planted` maps were made from the images, by nobody.
    `view` is the resize and crop of a model that the maps were brought through, if any. The digest
    covers maps, images, preparation and view.

    Raises:
        BadInput: maps of another shape or number, or a value that is NaN or infinite.
    """

    name: str
    stimuli: str
    stimuli_digest: str
    stimulus_ids: tuple[str, ...]
    maps: Maps
    preparation: Preparation
    human_ceiling: float | None = None
    unusable: Mapping[str, str] = field(default_factory=dict)
    planted: bool = False
    view: Mapping[str, Any] | None = None
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        if self.maps.ndim != 3 or len(self.maps) != len(self.stimulus_ids):
            raise BadInput(
                f"importance {self.name!r}: expected maps (stimulus, row, column) for "
                f"{len(self.stimulus_ids)} stimuli, got shape {self.maps.shape}; give one per image"
            )
        if self.human_ceiling is not None and not 0 < self.human_ceiling <= 1:
            raise BadInput(
                f"importance {self.name!r}: human_ceiling is {self.human_ceiling}; it is a Spearman "
                "correlation, give a value above 0 and up to 1"
            )
        # One at a time: together they may be more than memory holds.
        finite = np.array([np.isfinite(one).all() for one in self.maps], bool)
        if not finite.all():
            raise BadInput(
                f"importance {self.name!r}: the map of {self.stimulus_ids[int(finite.argmin())]!r} "
                "has a NaN or infinite value; remove the map and its image"
            )
        described = canonical_json(
            [list(self.maps.shape), self.stimuli_digest, self.preparation.key, self.view]
        )
        content = (np.ascontiguousarray(one, np.float32).tobytes() for one in self.maps)
        object.__setattr__(self, "digest", bytes_digest(chain([described.encode()], content)))

    def __len__(self) -> int:
        return len(self.maps)

    @property
    def undefined(self) -> dict[str, str]:
        """Why a stimulus has no alignment whatever the model: its id and the reason."""
        constant = [one.min() == one.max() for one in self.maps]
        return {
            stimulus: self.unusable.get(stimulus, "the human map is constant")
            for stimulus, flat in zip(self.stimulus_ids, constant, strict=True)
            if flat
        }

    @property
    def key(self) -> dict[str, Any]:
        """What they are, for the `parameters` of a trial."""
        return {
            "digest": self.digest,
            **self.preparation.key,
            "human_ceiling": self.human_ceiling,
            "planted": self.planted,
        }

    def check(self, stimuli: StimulusSet) -> None:
        """Refuses maps that were not made for exactly these images.

        Raises:
            BadInput: the stimulus set is another one.
        """
        if self.stimuli_digest != stimuli.digest:
            raise BadInput(
                f"importance {self.name!r}: its maps belong to stimuli {self.stimuli!r} as they "
                f"were read, not to {stimuli.name!r}; name the images that the maps were made for"
            )

    def check_view(self, transform: Transform, stimuli: StimulusSet) -> None:
        """Refuses a model's own resize and crop where the maps do not cover what it sees.

        Raises:
            BadInput: the stimulus set is another one.
            Refusal: the transform squashes or borders images that are not square, of which the
                maps hold only the middle.
        """
        self.check(stimuli)
        whole = transform.squash or transform.fill is not None
        oblong = [i for i, shape in zip(stimuli.ids, stimuli.shapes) if not _square(shape)]
        if whole and oblong:
            raise Refusal(
                f"importance {self.name!r}: the model sees the whole of {oblong[0]!r}, which is not "
                "square, but the map holds its middle; give square images, or set canvas = "
                f"{self.preparation.canvas_px}"
            )

    def seen_through(self, transform: Transform, stimuli: StimulusSet) -> "ImportanceMaps":
        """The maps through a model's own resize and crop: what it sees of them, at its input size.

        Raises:
            BadInput, Refusal: as `check_view` does.
        """
        self.check_view(transform, stimuli)
        # Bilinear, because a bicubic resize overshoots; nobody looked at a border.
        border = None if transform.fill is None else (0.0, 0.0, 0.0)
        geometry = replace(transform, interpolation="bilinear", fill=border)
        maps = held.empty(self.name, (len(self), *transform.size))
        for index, one in enumerate(self.maps):
            maps[index] = geometry.view(torch.tensor(one).expand(1, 3, -1, -1))[0, 0].numpy()
        described = {
            "size": list(transform.size),
            "resize_px": transform.resize_px,
            "squash": transform.squash,
            "border": transform.fill is not None,
        }
        return replace(self, maps=maps, view=described)


def of_stimuli(
    name: str,
    stimuli: StimulusSet,
    raw: Iterable[npt.NDArray[np.float32]],
    preparation: Preparation,
    *,
    human_ceiling: float | None,
    most_bytes: int = MOST_BYTES,
) -> ImportanceMaps:
    """The prepared maps of a stimulus set.

    Args:
        name: the maps' name.
        stimuli: the images.
        raw: one map (row, column) per image, of any size, in the images' order; each is prepared
            before the next is asked for.
        preparation: resize and blur; its parameters enter the digest.
        human_ceiling: agreement among people (Spearman), or None.
        most_bytes: of this, prepared maps may take a quarter in memory; more are on disk.

    A map of other proportions than its image cannot be laid over it: it is `unusable`.

    Raises:
        BadInput: a map is NaN or infinite somewhere, or none has the proportions of its image.
    """
    unusable: dict[str, str] = {}
    side = preparation.canvas_px
    prepared = held.empty(name, (len(stimuli), side, side), most_bytes)
    for index, (stimulus, shape, one) in enumerate(
        zip(stimuli.ids, stimuli.shapes, raw, strict=True)
    ):
        if not np.isfinite(one).all():
            raise BadInput(
                f"importance {name!r}: the map of {stimulus!r} has a NaN or infinite value; "
                "remove the map and its image"
            )
        if why := _misfit(one.shape, shape):
            unusable[stimulus] = why
            prepared[index] = 0
        else:
            prepared[index] = prepare(one, preparation)
    if len(unusable) == len(stimuli):
        raise _none_fits(name, unusable)
    return ImportanceMaps(
        name, stimuli.name, stimuli.digest, stimuli.ids, prepared, preparation, human_ceiling,
        unusable,
    )  # fmt: skip


def _none_fits(name: str, unusable: Mapping[str, str]) -> BadInput:
    first, why = next(iter(unusable.items()))
    return BadInput(
        f"importance {name!r}: no map fits its image ({first!r}: {why}); save maps over the whole image"
    )


def _misfit(of_map: tuple[int, ...], of_image: tuple[int, ...]) -> str | None:
    """Why a map cannot be laid over its image, where it has other proportions; None where it can."""
    (rows, columns), (height, width, *_) = of_map, of_image
    # As far as rounding a side to whole pixels allows: half a pixel of the map, on either side.
    if abs(rows * width - columns * height) <= max(height, width):
        return None
    return (
        f"the human map is {columns} x {rows} px, its image {width} x {height}: other proportions"
    )


def _square(shape: tuple[int, ...]) -> bool:
    return shape[0] == shape[1]


Pixels = Annotated[int, Field(ge=1)]
Ceiling = Annotated[float, Field(gt=0, le=1)]


class ImportanceSection(KindSection):
    """Base of the sections [importance.NAME]: where maps are, prepared as Fel et al. 2022 did."""

    canvas_px: Pixels = 224
    blur: bool = True
    blur_at_px: Pixels = 64
    blur_kernel_px: Pixels = 10
    blur_sigma_px: Annotated[float, Field(gt=0)] = 10.0

    # Whether images and labels come with the maps.
    brings_images: ClassVar[bool] = False

    @property
    def preparation(self) -> Preparation:
        blur = Blur(self.blur_at_px, self.blur_kernel_px, self.blur_sigma_px)
        return Preparation(self.canvas_px, blur if self.blur else None)

    def read(self, name: str, known: Sweepmates) -> tuple[ImportanceMaps, StimulusSet | None]:
        """The prepared maps, and the images that came with them, if any did.

        Raises:
            BadInput: a path, image or map is wrong, or a name unknown.
        """
        raise NotImplementedError


class OwnImagesSection(ImportanceSection):
    """Base of those that bring their images and labels."""

    path: SweepPath
    limit: Annotated[int, Field(ge=1)] | None = None
    per_class: Annotated[int, Field(ge=1)] | None = None

    brings_images: ClassVar[bool] = True

    @property
    def selection(self) -> Selection:
        return Selection(self.limit, self.per_class)


IMPORTANCE = kinds(
    "human-map format", ImportanceSection, room="zoo_eval.importance", group="zoo_eval.importance"
)
