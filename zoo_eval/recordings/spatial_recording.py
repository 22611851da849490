"""A recording of maps over positions: it answers `spatial`, and refuses what asks for one response each."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
from torch import Tensor

from zoo_eval.digests import bytes_digest, canonical_json
from zoo_eval.errors import BadInput
from zoo_eval.numerics import ceilings
from zoo_eval.numerics.ceilings import SCALES
from zoo_eval.numerics.rsa import Dissimilarity, Rdm
from zoo_eval.numerics.splits import Rows
from zoo_eval.recordings.ceiling import ALL, Ceiling, CeilingChoices
from zoo_eval.recordings.recording import Numbers, Recording
from zoo_eval.recordings.spatial import SpatialMaps
from zoo_eval.stimuli import ids
from zoo_eval.stimuli.stimulus_set import StimulusSet

# What ceilings of maps bound: r over the positions of an image.
STATISTIC = "pearson_r"


class OverPositions(Recording):
    """What recordings of maps answer alike, whether or not the maps are made yet: nothing but maps.

    Ceilings are of one image's positions, averaged over images, as scores are.
    """

    channel_ids: tuple[str, ...]
    n_repetitions: int
    target_ids = ()
    subject_ids = ()

    @abstractmethod
    def spatial(self) -> SpatialMaps: ...

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
        found = []
        if len(self.channel_ids) > 1:
            found.append(self._most_alike())
        if self.n_repetitions > 1:
            found.append(self._split_half(choices.n_splits))
        return found

    def _most_alike(self) -> Ceiling:
        def of_all(_: int) -> Mapping[str, float]:
            maps = self.spatial().maps
            by_image = maps.reshape(len(maps), -1, maps.shape[-1])
            return {ALL: float(_mean_defined(ceilings.max_pairwise_target(by_image)))}

        name = "max_pairwise_target"
        undefined = "fewer than two channels vary in any image"
        return Ceiling(name, {}, STATISTIC, SCALES[name], of_all, lambda _: undefined)

    def _split_half(self, n_splits: int) -> Ceiling:
        def by_channel(seed: int) -> Mapping[str, float]:
            repeated = self.spatial().repetitions
            assert repeated is not None, "there are repetitions"
            found = [
                ceilings.splithalf_spearman_brown(_by_position(one), n_splits=n_splits, seed=seed)
                for one in repeated
            ]
            values = _mean_defined(np.stack(found))
            return dict(zip(self.channel_ids, values.tolist(), strict=True))

        name = "splithalf_spearman_brown"
        undefined = "in every image, a half of the repetitions is constant over positions"
        return Ceiling(
            name, {"n_splits": n_splits}, STATISTIC, SCALES[name], by_channel, lambda _: undefined
        )


def _by_position(repeated: Numbers) -> Numbers:
    """One image's (repetition, row, column, channel) as (position, repetition, channel)."""
    found: Numbers = np.moveaxis(repeated.reshape(len(repeated), -1, repeated.shape[-1]), 0, 1)
    return found


def _mean_defined(values: Numbers) -> Numbers:
    """The mean over images of what is not NaN; NaN where nothing is."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Numbers = np.where(defined, values, 0).sum(0) / defined.sum(0)
    return mean


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
    n_repetitions: int = field(init=False)
    channel_ids: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        known = self.known_maps
        object.__setattr__(self, "n_stimuli", len(known.image_ids))
        object.__setattr__(self, "n_repetitions", known.n_repetitions)
        object.__setattr__(self, "channel_ids", known.channel_ids)
        if not self.digest:
            # Means follow from repetitions up to rounding: both are what scores are made of.
            parts = [one for one in (known.maps, known.repetitions) if one is not None]
            described = canonical_json([[list(one.shape) for one in parts], known.channel_ids])
            content = [np.ascontiguousarray(one).reshape(-1).data for one in parts]
            object.__setattr__(self, "digest", bytes_digest([described.encode(), *content]))

    @property
    def spatial_shape(self) -> tuple[int, int, int]:
        _, n_rows, n_columns, n_channels = self.known_maps.maps.shape
        return n_rows, n_columns, n_channels

    def spatial(self) -> SpatialMaps:
        return self.known_maps


def of_stimuli(where: str, name: str, found: SpatialMaps, stimuli: StimulusSet) -> SpatialRecording:
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
