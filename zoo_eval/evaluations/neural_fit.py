"""Fits from a layer's features to a recording's targets, exactly, from one Gram matrix per layer."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field

from zoo_eval.errors import BadInput
from zoo_eval.evaluations import Choices, Evaluation, Result, Subject, Workbench
from zoo_eval.evaluations.ceilings import Ceilings
from zoo_eval.evaluations.layers import Layers
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.correlation import median_defined
from zoo_eval.numerics.nested import FoldScore, nested_scores, pls_path, ridge_path
from zoo_eval.numerics.splits import grouped_folds
from zoo_eval.recordings import Recording
from zoo_eval.representations import LayerGram, NonFinite
from zoo_eval.stimuli import StimulusSet
from zoo_eval.trial import Trial

Readout = Literal["pls", "ridge"]
# In units of the training Gram matrix's mean eigenvalue, so that the grid suits every layer.
RELATIVE_ALPHAS = tuple(10.0**power for power in range(-6, 5))


class NeuralFit(Choices):
    """PLS and ridge from every layer to every target, scored on untouched folds."""

    kind: Literal["neural_fit"] = "neural_fit"
    recording: str
    readouts: Annotated[tuple[Readout, ...], Field(min_length=1)] = ("pls", "ridge")
    protocol: Literal["nested"] = "nested"
    layers: str | tuple[str, ...] = "blocks"
    components: Annotated[int, Field(ge=1)] = 25
    n_folds: Annotated[int, Field(ge=2)] = 5
    n_inner_folds: Annotated[int, Field(ge=2)] = 4

    version: ClassVar[int] = 1
    needs_model: ClassVar[bool] = True

    def companions(self, inputs: Inputs) -> Iterable[Evaluation]:
        stimuli = inputs.recording(self.recording).stimuli
        return [Ceilings(recording=self.recording), Layers(stimuli=stimuli, layers=self.layers)]

    def trials(self, subject: Subject, inputs: Inputs, seed: int) -> Sequence[Trial]:
        _, blueprint = subject.known()
        recording = inputs.recording(self.recording)
        stimuli = inputs.stimulus_set(recording.stimuli)
        recording.check(stimuli)
        self._check_folds(stimuli, recording)
        return [
            Trial(
                self.kind,
                self.version,
                self.protocol,
                parameters=self._parameters(readout),
                layer=layer,
                readout=readout,
                stimuli=stimuli.name,
                stimuli_digest=stimuli.digest,
                recording=recording.name,
                recording_digest=recording.digest,
                seed=seed,
                **subject.identity,
            )
            for layer in blueprint.layers(self.layers)
            for readout in self.readouts
        ]

    def n_passes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        return len(inputs.stimulus_set(inputs.recording(self.recording).stimuli))

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result]:
        _, representations = bench.opened()
        recording = bench.inputs.recording(self.recording)
        stimuli = bench.inputs.stimulus_set(recording.stimuli)
        layers = list(dict.fromkeys(str(trial.layer) for trial in trials))
        grams = representations.grams(stimuli, layers)
        for trial in trials:
            gram = grams[str(trial.layer)]
            if isinstance(gram, NonFinite):
                yield Result(trial, error=gram)
            else:
                scores = self._scores(trial, gram, recording, stimuli)
                yield Result(trial, {"neural_scores": _rows(trial, recording, scores)})

    def _scores(
        self, trial: Trial, gram: LayerGram, recording: Recording, stimuli: StimulusSet
    ) -> list[FoldScore]:
        paths = {"pls": pls_path(self.components), "ridge": ridge_path(RELATIVE_ALPHAS)}
        return nested_scores(
            gram.gram,
            torch.from_numpy(recording.mean),
            stimuli.groups,
            paths[str(trial.readout)],
            n_folds=self.n_folds,
            n_inner_folds=self.n_inner_folds,
            # From the sweep's seed alone: every model and layer is scored on the same folds.
            seed=trial.seed,
        )

    def _parameters(self, readout: Readout) -> dict[str, Any]:
        folds = {"n_folds": self.n_folds, "n_inner_folds": self.n_inner_folds}
        if readout == "pls":
            return {**folds, "components": self.components}
        return {**folds, "relative_alphas": list(RELATIVE_ALPHAS)}

    def _check_folds(self, stimuli: StimulusSet, recording: Recording) -> None:
        n_groups = len(set(stimuli.groups))
        try:
            outer = grouped_folds(stimuli.groups, n_folds=self.n_folds, seed=0)
            for fold in outer:
                training = [stimuli.groups[row] for row in fold.train]
                inner = grouped_folds(training, n_folds=self.n_inner_folds, seed=0)
        except ValueError as error:
            raise BadInput(
                f"neural_fit of {recording.name!r}: stimuli {stimuli.name!r} have {n_groups} groups "
                f"for {self.n_folds} x {self.n_inner_folds} nested folds ({error}); "
                "lower n_folds or n_inner_folds"
            ) from error
        smallest = min(len(fold.train) for fold in inner)
        if "pls" in self.readouts and self.components >= smallest:
            raise BadInput(
                f"neural_fit of {recording.name!r}: {self.components} PLS components, but an inner "
                f"training set has only {smallest} of the {len(stimuli)} stimuli; "
                "lower `components` or add stimuli"
            )


def _rows(trial: Trial, recording: Recording, scores: Sequence[FoldScore]) -> list[dict[str, Any]]:
    return [
        {
            "trial_id": trial.id,
            "model": trial.model,
            "recording": recording.name,
            "layer": trial.layer,
            "readout": trial.readout,
            "protocol": trial.protocol,
            "statistic": "pearson_r",
            "fold": fold,
            "score": median_defined(score.r),
            "r": score.r.tolist(),
            "selection_score": median_defined(score.selection_r),
            "target_ids": list(recording.target_ids),
            "n_constant_targets": int(score.r.isnan().sum()),
        }
        for fold, score in enumerate(scores)
    ]
