"""Maps of activity over positions: what channels answer while an image is shown at each place of a grid."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput

Numbers = npt.NDArray[np.float64]
# Responses above this or below its inverse are taken for a mistake: float64 does not hold their squares.
LARGEST = 1e100
FEWEST_IMAGES, FEWEST_POSITIONS = 3, 3


@dataclass(frozen=True, eq=False)
class SpatialMaps:
    """Responses at every place of a grid of positions, averaged over time and repetitions.

    maps: float64 (image, row, column, channel); row 0 is the top of the visual field, column 0 its left.
    image_ids: which image each map is of, by the names of the file.
    channel_ids: what each channel is called, each once.
    repetitions: float64 (image, repetition, row, column, channel), of which `maps` are the mean; None
        where each image was shown once at a position, or only means are known.

    Raises:
        BadInput: shapes that do not fit each other, too few images or positions, a name that stands
            twice, or a response that is NaN, infinite or beyond what float64 can square.
    """

    maps: Numbers
    image_ids: tuple[str, ...]
    channel_ids: tuple[str, ...]
    repetitions: Numbers | None = None

    def __post_init__(self) -> None:
        shape = self.maps.shape
        if len(shape) != 4 or (shape[0], shape[3]) != (len(self.image_ids), len(self.channel_ids)):
            raise BadInput(
                "expected maps (image, row, column, channel) of "
                f"{len(self.image_ids)} images and {len(self.channel_ids)} channels, got shape {shape}; "
                "give one id for each"
            )
        if shape[0] < FEWEST_IMAGES or shape[1] * shape[2] < FEWEST_POSITIONS or not shape[3]:
            raise BadInput(
                f"maps of {shape[0]} images at {shape[1]} x {shape[2]} positions of {shape[3]} channels: "
                f"at least {FEWEST_IMAGES} images, {FEWEST_POSITIONS} positions and one channel are needed"
            )
        for kind, names in (("image", self.image_ids), ("channel", self.channel_ids)):
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise BadInput(f"{kind} {twice!r} stands twice; name each {kind} once")
        repeated = self.repetitions
        if repeated is not None and (
            repeated.ndim != 5 or (repeated.shape[0], *repeated.shape[2:]) != shape
        ):
            raise BadInput(
                f"maps of shape {shape} with repetitions of shape {repeated.shape}; expected (image, "
                "repetition, row, column, channel) of the same sizes"
            )
        for values in (self.maps, repeated):
            if values is not None:
                self._check_values(values)

    def _check_values(self, values: Numbers) -> None:
        # Of NaN, no comparison holds.
        sound = np.abs(values) < LARGEST
        if sound.all():
            return
        place = np.argwhere(~sound)[0]
        image, channel = self.image_ids[place[0]], self.channel_ids[place[-1]]
        raise BadInput(
            f"channel {channel!r} at row {place[-3]}, column {place[-2]} (from 0) of image {image!r} is "
            f"{values[tuple(place)]}; leave out that channel or image"
        )

    @property
    def n_repetitions(self) -> int:
        return 1 if self.repetitions is None else self.repetitions.shape[1]

    def at_images(self, rows: Sequence[int]) -> "SpatialMaps":
        """Those of some images, in that order."""
        chosen = list(rows)
        named = tuple(self.image_ids[row] for row in chosen)
        repeated = None if self.repetitions is None else self.repetitions[chosen]
        return SpatialMaps(self.maps[chosen], named, self.channel_ids, repeated)
