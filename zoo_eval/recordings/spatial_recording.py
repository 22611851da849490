"""A recording of maps over positions: it answers `spatial`, and refuses what asks for one response each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
from torch import Tensor

from zoo_eval.digests import bytes_digest, canonical_json
from zoo_eval.errors import BadInput
from zoo_eval.numerics.rsa import Dissimilarity, Rdm
from zoo_eval.numerics.splits import Rows
from zoo_eval.recordings.ceiling import Ceiling, CeilingChoices
from zoo_eval.recordings.recording import Numbers, Recording
from zoo_eval.recordings.spatial import SpatialMaps
from zoo_eval.stimuli import ids
from zoo_eval.stimuli.stimulus_set import StimulusSet


class OverPositions(Recording):
    """What recordings of maps answer alike, whether or not the maps are made yet: nothing but maps."""

    target_ids = ()
    subject_ids = ()

    def check(self, stimuli: StimulusSet) -> None:
        if self.n_stimuli != len(stimuli):
            raise BadInput(
                f"recording {self.name!r}: maps of {self.n_stimuli} images, but stimuli "
                f"{stimuli.name!r} has {len(stimuli)}; name the set that was shown"
            )

    def _refuse(self, reader: str) -> NoReturn:
        raise BadInput(
            f"{reader} of recording {self.name!r}: it holds maps over positions, not one response to each "
            "stimulus; use the evaluation spatial_fit"
        )

    def check_targets(self, reader: str) -> None:
        self._refuse(reader)

    def check_rdms(self, reader: str, dissimilarity: Dissimilarity) -> None:
        self._refuse(reader)

    def check_products(self, reader: str) -> None:
        self._refuse(reader)

    def check_points(self, reader: str) -> None:
        self._refuse(reader)

    @property
    def mean(self) -> Numbers:
        self._refuse("the mean response")

    def rdms_at(self, rows: Rows, dissimilarity: Dissimilarity) -> list[Rdm]:
        self._refuse("an RDM")

    def gram_at(self, rows: Rows) -> Tensor:
        self._refuse("the Gram matrix")

    def ceilings(self, choices: CeilingChoices) -> Sequence[Ceiling]:
        # Those of maps are per image: spatial_fit has them beside its scores.
        return ()


@dataclass(frozen=True, eq=False)
class SpatialRecording(OverPositions):
    """Maps over positions of the images of a StimulusSet, in its order.

    `digest` is given for a planted recording (its recipe) and is otherwise that of the content.
    """

    name: str
    stimuli: str
    known_maps: SpatialMaps
    by_position: str | None = None
    digest: str = ""
    n_stimuli: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_stimuli", len(self.known_maps.image_ids))
        if not self.digest:
            maps, repeated = self.known_maps.maps, self.known_maps.repetitions
            shapes = [list(one.shape) for one in (maps, repeated) if one is not None]
            described = canonical_json([shapes, self.known_maps.channel_ids])
            # Means follow from repetitions up to rounding: both are what scores are made of.
            parts = [np.ascontiguousarray(one) for one in (maps, repeated) if one is not None]
            content = [part.reshape(-1).data for part in parts]
            object.__setattr__(self, "digest", bytes_digest([described.encode(), *content]))

    @property
    def spatial_shape(self) -> tuple[int, int, int]:
        _, n_rows, n_columns, n_channels = self.known_maps.maps.shape
        return n_rows, n_columns, n_channels

    def spatial(self) -> SpatialMaps:
        return self.known_maps


def of_stimuli(
    where: str, name: str, found: SpatialMaps, stimuli: StimulusSet
) -> SpatialRecording:
    """The recording of maps whose `image_ids` say which stimulus each is of.

    Args:
        where: the recording and its file, for messages.
        name: the recording's.
        found: what the file holds, in any order.
        stimuli: the images that were shown.

    Raises:
        BadInput: an id is none of the stimuli's, or one of theirs is missing.
    """
    rows = ids.rows(where, found.image_ids, stimuli)
    return SpatialRecording(name, stimuli.name, found.at_images(rows))
