"""A planted recording of maps: made from a layer's own maps over positions, so that the layer is known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NoReturn

import numpy as np
import pyarrow as pa
from pydantic import Field

from zoo_eval.digests import digest, seed_from
from zoo_eval.errors import BadInput, Refusal, WrongSweep
from zoo_eval.recordings.recording import Numbers, Recording, RecordingSection
from zoo_eval.recordings.spatial import SpatialMaps
from zoo_eval.recordings.spatial_recording import OverPositions, SpatialRecording
from zoo_eval.stimuli.stimulus_set import Sweepmates

VERSION = 1
Side = Annotated[int, Field(ge=2, le=256)]


@dataclass(frozen=True)
class SpatialRecipe:
    """What planted maps are made of: everything that determines them."""

    weights_digest: str
    transform: Mapping[str, Any]
    layer: str
    stimuli_digest: str
    grid: tuple[int, int]
    n_components: int
    n_channels: int
    n_repetitions: int
    noise: float
    seed: int

    @property
    def channel_ids(self) -> tuple[str, ...]:
        return tuple(f"planted_{channel:02d}" for channel in range(self.n_channels))

    @property
    def digest(self) -> str:
        return digest({"planted_spatial": VERSION, **vars(self)})


@dataclass(frozen=True, eq=False)
class PlantedMaps(OverPositions):
    """Planted maps before they are made: all that is known of them without a response.

    Raises:
        RuntimeError: a response is asked for.
    """

    name: str
    stimuli: str
    image_ids: tuple[str, ...]
    model: str
    recipe: SpatialRecipe
    n_stimuli: int = field(init=False)
    n_repetitions: int = field(init=False)
    channel_ids: tuple[str, ...] = field(init=False)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_stimuli", len(self.image_ids))
        object.__setattr__(self, "n_repetitions", self.recipe.n_repetitions)
        object.__setattr__(self, "channel_ids", self.recipe.channel_ids)
        object.__setattr__(self, "digest", self.recipe.digest)

    @property
    def layer(self) -> str:
        return self.recipe.layer

    @property
    def grid(self) -> tuple[int, int]:
        return self.recipe.grid

    @property
    def spatial_shape(self) -> tuple[int, int, int]:
        return (*self.recipe.grid, self.recipe.n_channels)

    @property
    def pending(self) -> "PlantedMaps":
        return self

    def spatial(self) -> NoReturn:
        raise RuntimeError(
            f"recording {self.name!r} is planned but not made yet; make it of layer "
            f"{self.layer!r} of {self.model!r} first"
        )

    def made(self, source: Numbers) -> SpatialRecording:
        responses = plant(self.name, source, self.recipe)
        return self._recording(responses)

    def kept(self, table: pa.Table) -> SpatialRecording:
        values = np.stack(table["responses"].to_numpy())
        shape = (len(self.image_ids), self.n_repetitions, *self.spatial_shape)
        return self._recording(values.reshape(shape))

    def table(self, recording: Recording) -> pa.Table:
        repeated = recording.spatial().repetitions
        assert repeated is not None, "planted maps have repetitions"
        n_images, n_repetitions = repeated.shape[:2]
        return pa.table(
            {
                "image": np.repeat(np.arange(n_images), n_repetitions),
                "repetition": np.tile(np.arange(n_repetitions), n_images),
                "responses": list(repeated.reshape(n_images * n_repetitions, -1)),
            }
        )

    def _recording(self, repeated: Numbers) -> SpatialRecording:
        maps = SpatialMaps(repeated.mean(1), self.image_ids, self.channel_ids, repeated)
        return SpatialRecording(self.name, self.stimuli, maps, digest=self.digest)


class PlantedSpatialSection(RecordingSection):
    """Maps planted in a layer of one of the sweep's models, whose input the images are resized to whole."""

    kind: Literal["planted_spatial"] = "planted_spatial"
    model: str
    layer: str
    grid: tuple[Side, Side] = (17, 17)
    n_components: Annotated[int, Field(ge=1)] = 10
    n_channels: Annotated[int, Field(ge=1)] = 32
    n_repetitions: Annotated[int, Field(ge=1)] = 4
    noise: Annotated[float, Field(ge=0)] = 1.0
    seed: int = 0

    def read(self, name: str, known: Sweepmates) -> PlantedMaps:
        shown = known.stimuli(self.stimuli)
        try:
            planted_in = known.layer(self.model, self.layer)
        except Refusal as error:
            raise BadInput(f"recording {name!r} cannot be planted: {error}") from error
        except BadInput as error:
            raise WrongSweep(f"recording {name!r}: {error}") from error
        recipe = SpatialRecipe(
            weights_digest=planted_in.weights_digest,
            transform=planted_in.transform,
            layer=self.layer,
            stimuli_digest=shown.digest,
            grid=self.grid,
            n_components=self.n_components,
            n_channels=self.n_channels,
            n_repetitions=self.n_repetitions,
            noise=self.noise,
            seed=self.seed,
        )
        return PlantedMaps(name, shown.name, shown.ids, self.model, recipe)


def plant(name: str, maps: Numbers, recipe: SpatialRecipe) -> Numbers:
    """Channels = random directions among the leading principal components of image x position + noise.

    Each channel is scaled to unit variance over images and positions; each repetition adds Gaussian noise
    of standard deviation `noise`.

    Args:
        name: the recording's, for messages.
        maps: of the planted layer on the grid, (image, row, column, feature).
        recipe: sizes, noise and seed.

    Returns:
        (image, repetition, row, column, channel).

    Raises:
        BadInput: more components than the layer has over these images.
    """
    n_images, *grid, n_features = maps.shape
    x = maps.reshape(-1, n_features).astype(np.float64)
    x = x - x.mean(0)
    # With the sign of their largest entry, scores are the same everywhere.
    _, values, vectors = np.linalg.svd(x, full_matrices=False)
    rank = int((values > 1e-6 * values[0]).sum()) if values.size and values[0] > 0 else 0
    if recipe.n_components > rank:
        raise BadInput(
            f"recording {name!r}: {recipe.n_components} components asked for, but layer "
            f"{recipe.layer!r} has rank {rank} over {len(x)} positions of images; lower n_components"
        )
    scores = x @ vectors[: recipe.n_components].T
    scores *= np.sign(scores[np.abs(scores).argmax(0), np.arange(recipe.n_components)])
    rng = np.random.default_rng(seed_from(recipe.digest))
    signal = scores @ rng.standard_normal((recipe.n_components, recipe.n_channels))
    signal = (signal - signal.mean(0)) / signal.std(0)
    shape = (n_images, recipe.n_repetitions, *grid, recipe.n_channels)
    noise = recipe.noise * rng.standard_normal(shape)
    found: Numbers = signal.reshape(n_images, 1, *grid, -1) + noise
    return found
