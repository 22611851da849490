"""Seeded random crops of other stimulus sets."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Annotated, Any, Literal

import numpy as np
import PIL
from PIL import Image
from pydantic import Field

from zoo_eval.digests import digest
from zoo_eval.stimuli.identities import Shape
from zoo_eval.stimuli.order import disputed
from zoo_eval.stimuli.stimulus_set import (
    Images,
    Pixels,
    StimuliSection,
    StimulusSet,
    Sweepmates,
)

# A crop's side, as a share of its photo's shorter side.
SMALLEST, LARGEST = 0.35, 0.85
# What photos may take that are held because more of their crops may be asked for.
RECENT_BYTES = 2**27


class CropSection(StimuliSection):
    """Seeded random crops of other stimulus sets; crops of one photo stay in one fold."""

    kind: Literal["crops"] = "crops"
    of: Annotated[tuple[str, ...], Field(min_length=1)]
    n: Annotated[int, Field(ge=1)]
    size_px: Annotated[int, Field(ge=32)] = 224
    seed: int = 0

    def read(self, name: str, known: Sweepmates) -> StimulusSet:
        sources = [known.stimuli(source) for source in self.of]
        return random_crops(name, sources, n=self.n, size_px=self.size_px, seed=self.seed)


@dataclass(frozen=True)
class Crop:
    """A square of a photo: which set and number, its upper left corner and side in pixels."""

    source: int
    number: int
    top: int
    left: int
    side: int


class RecentPhotos:
    """The photos that crops were cut from lately, as many as `RECENT_BYTES` holds."""

    def __init__(self, sources: Sequence[StimulusSet]) -> None:
        self._sources = sources
        self._held: OrderedDict[tuple[int, int], Pixels] = OrderedDict()
        self._n_bytes = 0
        self._lock = Lock()

    def __getitem__(self, place: tuple[int, int]) -> Pixels:
        """The photo at (set, number), whose set may decode it anew."""
        with self._lock:
            if place in self._held:
                self._held.move_to_end(place)
                return self._held[place]
        photo = self._sources[place[0]].images[place[1]]
        with self._lock:
            if place not in self._held:
                self._held[place] = photo
                self._n_bytes += photo.nbytes
            while self._n_bytes > RECENT_BYTES:
                self._n_bytes -= self._held.popitem(last=False)[1].nbytes
        return photo


@dataclass(frozen=True, eq=False)
class Crops(Images):
    """Squares of photos, resized when they are shown."""

    sources: tuple[StimulusSet, ...]
    crops: tuple[Crop, ...]
    size_px: int

    def __len__(self) -> int:
        return len(self.crops)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_photos"}

    @cached_property
    def _photos(self) -> RecentPhotos:
        return RecentPhotos(self.sources)

    def decode(self, number: int) -> Pixels:
        crop = self.crops[number]
        photo = self._photos[crop.source, crop.number]
        rows, columns = (slice(at, at + crop.side) for at in (crop.top, crop.left))
        square = Image.fromarray(photo[rows, columns])
        return np.asarray(square.resize((self.size_px, self.size_px), Image.Resampling.BICUBIC))

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return ((self.size_px, self.size_px, 3),) * len(self.crops)

    @cached_property
    def stamp(self) -> str | None:
        if not all(source.has_known_digest for source in self.sources):
            return None
        of = [source.digest for source in self.sources]
        return digest([PIL.__version__, of, [list(vars(one).values()) for one in self.crops], self.size_px])  # fmt: skip


def random_crops(
    name: str, sources: Sequence[StimulusSet], *, n: int, size_px: int, seed: int
) -> StimulusSet:
    """`n` seeded random square crops of the sources' images, resized to `size_px` when shown.

    A crop's side is uniform between `SMALLEST` and `LARGEST` of its photo's shorter side; photos
    take turns, and `groups` holds the photo's own group, so that its crops stay in one fold.
    """
    photos = [
        (place, number, f"{source.name}/{source.ids[number]}", shape)
        for place, source in enumerate(sources)
        for number, shape in enumerate(source.shapes)
    ]
    rng = np.random.default_rng(seed)
    ids, groups, found = [], [], []
    for index in range(n):
        place, number, photo, (height, width, *_) = photos[index % len(photos)]
        side = round(rng.uniform(SMALLEST, LARGEST) * min(height, width))
        top = int(rng.integers(height - side + 1))
        left = int(rng.integers(width - side + 1))
        found.append(Crop(place, number, top, left, side))
        ids.append(f"{photo}#{index // len(photos):03d}")
        groups.append(f"{sources[place].name}/{sources[place].groups[number]}")
    images = Crops(tuple(sources), tuple(found), size_px)
    disputes = (source.dispute or disputed(source.ids) for source in sources)
    dispute = next(filter(None, disputes), None)
    return StimulusSet(name, tuple(ids), images, groups=tuple(groups), dispute=dispute)
