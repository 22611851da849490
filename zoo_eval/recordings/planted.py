"""A planted recording: made from a model's own layer, so layer, ranking and ceiling are known.

Its identity is its recipe, so it is planned before it is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NoReturn

import numpy as np
import pyarrow as pa
from pydantic import Field

from zoo_eval.digests import digest, seed_from
from zoo_eval.errors import BadInput, Refusal, WrongSweep
from zoo_eval.recordings.recording import Numbers, Recording, RecordingSection
from zoo_eval.recordings.responses import OfTargets, ResponseRecording
from zoo_eval.stimuli.stimulus_set import Sweepmates

VERSION = 1


@dataclass(frozen=True)
class Recipe:
    """What a planted recording is made of: everything that determines its responses."""

    weights_digest: str
    transform: Mapping[str, Any]
    layer: str
    stimuli_digest: str
    n_components: int
    n_targets: int
    n_repetitions: int
    noise: float
    seed: int

    @property
    def reliability(self) -> float:
        """Of the mean over repetitions: signal variance 1, noise variance noise^2 / repetitions."""
        return 1 / (1 + self.noise**2 / self.n_repetitions)

    @property
    def target_ids(self) -> tuple[str, ...]:
        return tuple(f"planted_{target:03d}" for target in range(self.n_targets))

    @property
    def digest(self) -> str:
        return digest({"planted": VERSION, **vars(self)})


@dataclass(frozen=True, eq=False)
class PlantedRecording(OfTargets):
    """A planted recording before it is made: all that is known of it without its responses.

    Raises:
        RuntimeError: whatever needs a response is asked for.
    """

    name: str
    stimuli: str
    n_stimuli: int
    model: str
    recipe: Recipe
    file_ceilings: None = None
    grid: None = None
    target_ids: tuple[str, ...] = field(init=False)
    n_repetitions: int = field(init=False)
    exact_reliability: Numbers = field(init=False)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        recipe = self.recipe
        object.__setattr__(self, "target_ids", recipe.target_ids)
        object.__setattr__(self, "n_repetitions", recipe.n_repetitions)
        exact = np.full(recipe.n_targets, recipe.reliability)
        object.__setattr__(self, "exact_reliability", exact)
        object.__setattr__(self, "digest", recipe.digest)

    @property
    def layer(self) -> str:
        return self.recipe.layer

    @property
    def pending(self) -> "PlantedRecording":
        return self

    def repeated(self) -> NoReturn:
        raise RuntimeError(
            f"recording {self.name!r} is planned but not made yet; make it of layer "
            f"{self.layer!r} of {self.model!r} first"
        )

    def made(self, source: Numbers) -> ResponseRecording:
        return plant(self.name, self.stimuli, source, self.recipe)

    def kept(self, table: pa.Table) -> ResponseRecording:
        return from_table(self.name, self.stimuli, table, self.recipe)

    def table(self, recording: Recording) -> pa.Table:
        assert isinstance(recording, OfTargets)
        return to_table(recording)


class PlantedSection(RecordingSection):
    """Responses planted in a layer of one of the sweep's models."""

    kind: Literal["planted"] = "planted"
    model: str
    layer: str
    n_components: Annotated[int, Field(ge=1)] = 20
    n_targets: Annotated[int, Field(ge=1)] = 64
    n_repetitions: Annotated[int, Field(ge=1)] = 8
    noise: Annotated[float, Field(ge=0)] = 1.0
    seed: int = 0

    def read(self, name: str, known: Sweepmates) -> PlantedRecording:
        shown = known.stimuli(self.stimuli)
        if self.n_components >= len(shown):
            raise WrongSweep(
                f"recording {name!r}: {self.n_components} components asked for, but {len(shown)} "
                f"stimuli have {len(shown) - 1} at most; lower n_components"
            )
        try:
            planted_in = known.layer(self.model, self.layer)
        except Refusal as error:
            raise BadInput(f"recording {name!r} cannot be planted: {error}") from error
        except BadInput as error:
            raise WrongSweep(f"recording {name!r}: {error}") from error
        recipe = Recipe(
            weights_digest=planted_in.weights_digest,
            transform=planted_in.transform,
            layer=self.layer,
            stimuli_digest=shown.digest,
            n_components=self.n_components,
            n_targets=self.n_targets,
            n_repetitions=self.n_repetitions,
            noise=self.noise,
            seed=self.seed,
        )
        return PlantedRecording(name, shown.name, len(shown), self.model, recipe)


def plant(name: str, stimuli: str, gram: Numbers, recipe: Recipe) -> ResponseRecording:
    """Responses = random readout of a layer's leading principal components + independent noise.

    Each target is a random direction among the component scores, scaled to unit variance over the
    stimuli; each repetition adds Gaussian noise of standard deviation `noise`. The mean over R
    repetitions then has reliability 1 / (1 + noise^2 / R), exactly.

    Args:
        name: the recording's name.
        stimuli: the stimulus set's name.
        gram: Gram matrix (stimulus, stimulus) of the planted layer's features.
        recipe: sizes, noise and seed.

    Raises:
        BadInput: more components than the layer has over these stimuli.
    """
    n_stimuli = gram.shape[0]
    centred = gram - gram.mean(0) - gram.mean(1)[:, None] + gram.mean()
    values, vectors = np.linalg.eigh(centred)
    rank = int((values > 1e-10 * values[-1]).sum())
    if recipe.n_components > rank:
        raise BadInput(
            f"recording {name!r}: {recipe.n_components} components asked for, but layer "
            f"{recipe.layer!r} has rank {rank} over {n_stimuli} stimuli; lower n_components"
        )
    leading = slice(-recipe.n_components, None)
    # An eigenvector's sign is arbitrary; fixing it keeps the planted responses the same everywhere.
    signs = np.sign(vectors[np.abs(vectors).argmax(0), np.arange(n_stimuli)])
    scores = (vectors * signs)[:, leading] * np.sqrt(values[leading])
    rng = np.random.default_rng(seed_from(recipe.digest))
    signal = scores @ rng.standard_normal((recipe.n_components, recipe.n_targets))
    signal = (signal - signal.mean(0)) / signal.std(0)
    shape = (n_stimuli, recipe.n_repetitions, recipe.n_targets)
    responses = signal[:, None, :] + recipe.noise * rng.standard_normal(shape)
    return _recording(name, stimuli, responses, recipe)


def to_table(recording: OfTargets) -> pa.Table:
    """The responses as an Arrow table, one row per stimulus and repetition."""
    responses = recording.repeated().padded()
    n_stimuli, n_repetitions, n_targets = responses.shape
    return pa.table(
        {
            "stimulus": np.repeat(np.arange(n_stimuli), n_repetitions),
            "repetition": np.tile(np.arange(n_repetitions), n_stimuli),
            "responses": list(responses.reshape(-1, n_targets)),
        }
    )


def from_table(name: str, stimuli: str, table: pa.Table, recipe: Recipe) -> ResponseRecording:
    """The recording that `to_table` wrote for the same recipe."""
    values = np.stack(table["responses"].to_numpy())
    responses = values.reshape(-1, recipe.n_repetitions, recipe.n_targets)
    return _recording(name, stimuli, responses, recipe)


def _recording(name: str, stimuli: str, responses: Numbers, recipe: Recipe) -> ResponseRecording:
    return ResponseRecording(
        name,
        stimuli,
        responses,
        recipe.target_ids,
        exact_reliability=np.full(recipe.n_targets, recipe.reliability),
        digest=recipe.digest,
    )
