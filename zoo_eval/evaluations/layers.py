"""The geometry of layers: shape, depth and effective dimensionality over a stimulus set."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from zoo_eval.evaluations.evaluation import (
    Candidate,
    Passed,
    Result,
    Workbench,
    gram_request,
)
from zoo_eval.evaluations.layer_choice import LayeredSection
from zoo_eval.inputs import Inputs
from zoo_eval.models.open_model import OpenModel
from zoo_eval.numerics.gram import effective_dim
from zoo_eval.representations.footprint import GramRequest, gram_bytes
from zoo_eval.representations.grams import LayerGram, NonFinite
from zoo_eval.trial import Trial


class Layers(LayeredSection):
    """One `layers` row per captured layer; planned beside every neural fit, with its sketch."""

    kind: Literal["layers"] = "layers"
    stimuli: str
    sketch: Annotated[int, Field(ge=2)] | None = None

    version: ClassVar[int] = 1
    needs_model: ClassVar[bool] = True

    def trials(self, candidate: Candidate, inputs: Inputs, seed: int) -> Sequence[Trial]:
        stimuli = inputs.stimulus_set(self.stimuli)
        trial = Trial(
            self.kind,
            self.version,
            "centred",
            parameters={} if self.sketch is None else {"sketch": self.sketch},
            stimuli=stimuli.name,
            stimuli_digest=stimuli.digest,
            seed=seed,
            **candidate.identity,
        )
        return self.over_layers(trial, candidate)

    def requests(
        self, trials: Sequence[Trial], candidate: Candidate, inputs: Inputs
    ) -> Iterable[GramRequest]:
        n_stimuli = len(inputs.stimulus_set(self.stimuli))
        request = gram_request(candidate, trials, n_stimuli, sketch=self.sketch)
        # The centred Gram matrix.
        return [replace(request, after_bytes=gram_bytes(n_stimuli))]

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result | Passed]:
        model, representations = bench.opened()
        stimuli = bench.inputs.stimulus_set(self.stimuli)
        names = [str(trial.layer) for trial in trials]
        seed = trials[0].seed
        work = representations.computing(stimuli, names, sketch=self.sketch, seed=seed)
        yield from bench.told(work)
        grams = representations.grams(stimuli, names, sketch=self.sketch, seed=seed)
        for trial, layer in zip(trials, names, strict=True):
            yield self._result(trial, model, grams[layer])

    def _result(self, trial: Trial, model: OpenModel, gram: LayerGram | NonFinite) -> Result:
        if isinstance(gram, NonFinite):
            return Result(trial, error=gram)
        layer, blueprint = str(trial.layer), model.blueprint
        row = {
            "layer": layer,
            "layer_index": blueprint.layer_index(layer),
            "depth": blueprint.depth(layer),
            "shape": list(gram.shape),
            "n_features": gram.n_features,
            "effective_dim": effective_dim(gram.gram),
            "sketch": gram.sketch,
            "chosen_by": ", ".join(self.patterns(model.card.name)),
        }
        return Result(trial, {"layers": [row]})
