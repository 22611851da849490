"""A planted recording: made from a model's own layer, so layer, ranking and ceiling are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from zoo_eval.digests import digest, seed_from
from zoo_eval.errors import BadInput
from zoo_eval.recordings.recording import Recording, Responses

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
    def digest(self) -> str:
        return digest({"planted": VERSION, **vars(self)})


def plant(name: str, stimuli: str, gram: npt.NDArray[np.float64], recipe: Recipe) -> Recording:
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


def to_table(recording: Recording) -> pa.Table:
    """The responses as an Arrow table, one row per stimulus and repetition."""
    n_stimuli, n_repetitions, n_targets = recording.responses.shape
    return pa.table(
        {
            "stimulus": np.repeat(np.arange(n_stimuli), n_repetitions),
            "repetition": np.tile(np.arange(n_repetitions), n_stimuli),
            "responses": list(recording.responses.reshape(-1, n_targets)),
        }
    )


def from_table(name: str, stimuli: str, table: pa.Table, recipe: Recipe) -> Recording:
    """The recording that `to_table` wrote for the same recipe."""
    values = np.stack(table["responses"].to_numpy())
    responses = values.reshape(-1, recipe.n_repetitions, recipe.n_targets)
    return _recording(name, stimuli, responses, recipe)


def _recording(name: str, stimuli: str, responses: Responses, recipe: Recipe) -> Recording:
    return Recording(
        name,
        stimuli,
        responses,
        tuple(f"planted_{target:03d}" for target in range(recipe.n_targets)),
        exact_reliability=np.full(recipe.n_targets, recipe.reliability),
        digest=recipe.digest,
    )
