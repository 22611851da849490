"""Feature vectors, on request: one row per layer and stimulus."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

from zoo_eval.evaluations.evaluation import (
    Candidate,
    Passed,
    Result,
    Workbench,
)
from zoo_eval.evaluations.layer_choice import LayerChoice, LayeredSection
from zoo_eval.inputs import Inputs
from zoo_eval.trial import Trial


class Features(LayeredSection):
    """The flattened activations of chosen layers."""

    kind: Literal["features"] = "features"
    stimuli: str
    layers: LayerChoice = "logits"

    version: ClassVar[int] = 1
    needs_model: ClassVar[bool] = True

    def trials(self, candidate: Candidate, inputs: Inputs, seed: int) -> Sequence[Trial]:
        stimuli = inputs.stimulus_set(self.stimuli)
        trial = Trial(
            self.kind,
            self.version,
            "flattened",
            stimuli=stimuli.name,
            stimuli_digest=stimuli.digest,
            seed=seed,
            **candidate.identity,
        )
        return self.over_layers(trial, candidate)

    def n_passes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        return len(inputs.stimulus_set(self.stimuli))

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result | Passed]:
        _, representations = bench.opened()
        stimuli = bench.inputs.stimulus_set(self.stimuli)
        by_layer = {trial.layer: trial for trial in trials if trial.layer}
        rows: dict[str, list[dict[str, Any]]] = {layer: [] for layer in by_layer}
        broken: dict[str, str] = {}
        for batch in representations.features(stimuli, list(by_layer)):
            for layer, vectors in batch.items():
                finite = vectors.isfinite().all(1)
                if layer not in broken and not finite.all():
                    broken[layer] = stimuli.ids[len(rows[layer]) + int(finite.int().argmin())]
                for vector in vectors.numpy():
                    rows[layer].append(
                        {
                            "layer": layer,
                            "stimulus_id": stimuli.ids[len(rows[layer])],
                            "vector": vector,
                        }
                    )
            yield from bench.passed()
        for layer, trial in by_layer.items():
            if layer in broken:
                yield Result(trial, error=_not_finite(layer, broken[layer]))
            else:
                yield Result(trial, {"features": rows[layer]})


def _not_finite(layer: str, stimulus_id: str) -> ValueError:
    return ValueError(
        f"layer {layer} has non-finite activations, first of {stimulus_id!r}; check the weights"
    )
