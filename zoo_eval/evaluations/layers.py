"""The geometry of layers: shape, depth and effective dimensionality over a stimulus set."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

from zoo_eval.evaluations import Choices, Result, Subject, Workbench, layer_trials
from zoo_eval.footprint import gram_bytes
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.gram import effective_dim
from zoo_eval.representations import NonFinite
from zoo_eval.trial import Trial


class Layers(Choices):
    """One `layers` row per captured layer; planned beside every neural fit."""

    kind: Literal["layers"] = "layers"
    stimuli: str
    layers: str | tuple[str, ...] = "blocks"

    version: ClassVar[int] = 1
    needs_model: ClassVar[bool] = True

    def trials(self, subject: Subject, inputs: Inputs, seed: int) -> Sequence[Trial]:
        stimuli = inputs.stimulus_set(self.stimuli)
        return layer_trials(self, "centred", subject, stimuli, self.layers, seed)

    def least_bytes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        return gram_bytes(len(trials), len(inputs.stimulus_set(self.stimuli)))

    def n_passes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        return len(inputs.stimulus_set(self.stimuli))

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result]:
        model, representations = bench.opened()
        stimuli = bench.inputs.stimulus_set(self.stimuli)
        names = [str(trial.layer) for trial in trials]
        grams = representations.grams(stimuli, names)
        for trial, layer in zip(trials, names, strict=True):
            gram = grams[layer]
            if isinstance(gram, NonFinite):
                yield Result(trial, error=gram)
                continue
            row = {
                "trial_id": trial.id,
                "model": model.card.name,
                "layer": layer,
                "layer_index": model.blueprint.layer_index(layer),
                "depth": model.blueprint.depth(layer),
                "shape": list(gram.shape),
                "n_features": gram.n_features,
                "effective_dim": effective_dim(gram.gram),
            }
            yield Result(trial, {"layers": [row]})
