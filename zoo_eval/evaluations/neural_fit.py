"""How well a layer's features tell a recording: fits and similarities, from one Gram matrix per layer."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator

from zoo_eval.evaluations.ceilings import Ceilings
from zoo_eval.evaluations.evaluation import (
    Candidate,
    Evaluation,
    EvaluationSection,
    Result,
    Workbench,
    gram_request,
)
from zoo_eval.evaluations.layers import Layers
from zoo_eval.inputs import AnyRecording, Inputs
from zoo_eval.numerics import protocols
from zoo_eval.numerics.rsa import Comparison, Dissimilarity
from zoo_eval.readouts import regression
from zoo_eval.readouts.regression import Regression
from zoo_eval.readouts.similarity import CkaKind, Measure, Reference
from zoo_eval.readouts.similarity import check as check_similarity
from zoo_eval.representations.footprint import GramRequest
from zoo_eval.representations.grams import LayerGram, NonFinite
from zoo_eval.stimuli.stimulus_set import StimulusSet, joined
from zoo_eval.trial import Trial

Readout = Literal["pls", "ridge", "rsa", "cka", "procrustes"]
Protocol = Literal["nested", "kfold", "brainscore"]
FITS = ("pls", "ridge")
Row = dict[str, Any]
Scorer = Callable[[LayerGram], list[Row]]


class NeuralFit(EvaluationSection):
    """Every layer against a recording: `pls` and `ridge` per target, `rsa`, `cka`, `procrustes`.

    `nested` chooses hyper-parameters inside each fold's training rows (the number of PLS components
    too, unless `choose_components` is false), `kfold` fixes them, and `brainscore` is PLS over ten
    stratified shuffles, on principal components of `pca_stimuli` if those are named. Whatever the
    protocol, a selection score from the training rows stands beside the score.
    """

    kind: Literal["neural_fit"] = "neural_fit"
    recording: str
    readouts: Annotated[tuple[Readout, ...], Field(min_length=1)] = ("pls", "ridge")
    protocol: Protocol = "nested"
    layers: str | tuple[str, ...] = "blocks"
    components: Annotated[int, Field(ge=1)] = 25
    choose_components: bool | None = None
    alpha: Annotated[float, Field(gt=0)] | None = None
    n_folds: Annotated[int, Field(ge=2)] = 5
    n_inner_folds: Annotated[int, Field(ge=2)] = 4
    dissimilarity: Dissimilarity = "correlation"
    comparison: Comparison = "spearman"
    cka: CkaKind = "debiased"
    pca_stimuli: str | None = None
    pca_components: Annotated[int, Field(ge=1)] = 1000
    sketch: Annotated[int, Field(ge=2)] | None = None
    n_resamples: Annotated[int, Field(ge=10)] = 200

    version: ClassVar[int] = 4
    needs_model: ClassVar[bool] = True

    @model_validator(mode="after")
    def _choices_fit_together(self) -> "NeuralFit":
        if self.protocol == "brainscore" and set(self.readouts) != {"pls"}:
            raise ValueError('protocol "brainscore" is PLS; set readouts = ["pls"]')
        if self.pca_stimuli is not None and self.protocol != "brainscore":
            raise ValueError('`pca_stimuli` goes with protocol = "brainscore"')
        if self.choose_components and self.protocol != "nested":
            raise ValueError('`choose_components` goes with protocol = "nested"')
        if (self.alpha is not None) != (self.protocol == "kfold" and "ridge" in self.readouts):
            raise ValueError('`alpha` goes with ridge under protocol = "kfold", and only there')
        return self

    def companions(self, inputs: Inputs) -> Iterable[Evaluation]:
        stimuli = inputs.recording(self.recording).stimuli
        return [
            Ceilings(recording=self.recording, comparison=self.comparison),
            Layers(stimuli=stimuli, layers=self.layers, sketch=self.sketch),
        ]

    def trials(self, candidate: Candidate, inputs: Inputs, seed: int) -> Sequence[Trial]:
        _, blueprint = candidate.known()
        recording = inputs.recording(self.recording)
        stimuli = inputs.stimulus_set(recording.stimuli)
        recording.check(stimuli)
        for readout in self.readouts:
            if readout in FITS:
                self._regression(readout).check(recording, stimuli)
            else:
                check_similarity(self._measure(readout), recording, stimuli.groups, self.n_folds)
        return [
            Trial(
                self.kind,
                self.version,
                self.protocol,
                parameters=self._parameters(readout, inputs),
                layer=layer,
                readout=readout,
                stimuli=stimuli.name,
                stimuli_digest=stimuli.digest,
                recording=recording.name,
                recording_digest=recording.digest,
                seed=seed,
                **candidate.identity,
            )
            for layer in blueprint.layers(self.layers)
            for readout in self.readouts
        ]

    def requests(
        self, trials: Sequence[Trial], candidate: Candidate, inputs: Inputs
    ) -> Iterable[GramRequest]:
        recording = inputs.recording(self.recording)
        stimuli = inputs.stimulus_set(recording.stimuli)
        n_images = len(inputs.stimulus_set(self.pca_stimuli)) if self.pca_stimuli else 0
        kept, peak = 0, 0
        for readout in {str(trial.readout) for trial in trials}:
            if readout in FITS:
                peak = max(peak, self._regression(readout).peak_bytes(recording, n_images))
            else:
                reference = self._reference(readout, recording, stimuli, trials[0].seed)
                kept += reference.kept_bytes
                peak = max(peak, reference.peak_bytes(self.n_resamples))
        request = gram_request(candidate, trials, len(stimuli) + n_images, sketch=self.sketch)
        return [replace(request, after_bytes=kept + peak)]

    def _shown(self, inputs: Inputs) -> StimulusSet:
        """The recording's stimuli, followed by those of the principal components."""
        stimuli = inputs.stimulus_set(inputs.recording(self.recording).stimuli)
        if self.pca_stimuli is None:
            return stimuli
        return joined(stimuli, inputs.stimulus_set(self.pca_stimuli))

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result]:
        model, representations = bench.opened()
        recording = bench.inputs.recording(self.recording)
        stimuli = bench.inputs.stimulus_set(recording.stimuli)
        layers = list(dict.fromkeys(str(trial.layer) for trial in trials))
        grams = representations.grams(
            self._shown(bench.inputs), layers, sketch=self.sketch, seed=trials[0].seed
        )
        # Fits are float64, which not every accelerator has.
        device = model.device if model.device.type == "cuda" else torch.device("cpu")
        scorers: dict[str, Scorer] = {
            readout: self._scorer(readout, recording, stimuli, device, trials[0].seed)
            for readout in self.readouts
        }
        for layer in layers:
            own = [trial for trial in trials if trial.layer == layer]
            yield from self._results(own, grams[layer], recording.name, scorers)

    def _results(
        self,
        trials: Sequence[Trial],
        gram: LayerGram | NonFinite,
        recording: str,
        scorers: Mapping[str, Scorer],
    ) -> Iterator[Result]:
        """Those of one layer, whose Gram matrix is in memory until the last of them."""
        for trial in trials:
            if isinstance(gram, NonFinite):
                yield Result(trial, error=gram)
                continue
            described = {
                "trial_id": trial.id,
                "model": trial.model,
                "recording": recording,
                "layer": trial.layer,
                "readout": trial.readout,
                "protocol": trial.protocol,
                "sketch": gram.sketch,
            }
            # One readout's failure is its own: the layer's others, and other layers, go on.
            try:
                found = scorers[str(trial.readout)](gram)
            except Exception as error:  # noqa: BLE001
                yield Result(trial, error=error)
                continue
            yield Result(trial, {"neural_scores": [described | row for row in found]})

    def _scorer(
        self,
        readout: Readout,
        recording: AnyRecording,
        stimuli: StimulusSet,
        device: torch.device,
        seed: int,
    ) -> Scorer:
        """What all layers share of a readout (a recording's ranks and factors) is computed once."""
        if readout in FITS:
            fit = self._regression(readout)
            return lambda gram: fit.rows(gram.on(device), recording, stimuli, seed=seed)
        reference = self._reference(readout, recording, stimuli, seed)
        return lambda gram: _similarity_rows(reference, gram, self.n_resamples)

    def _reference(
        self, readout: str, recording: AnyRecording, stimuli: StimulusSet, seed: int
    ) -> Reference:
        measure = self._measure(readout)
        return Reference(measure, recording, stimuli.groups, self.n_folds, seed)

    def _regression(self, readout: str) -> Regression:
        return Regression(
            readout=readout,
            protocol=self.protocol,
            n_folds=self.n_folds,
            n_inner_folds=self.n_inner_folds,
            components=self.components,
            choose_components=self._chooses,
            alpha=self.alpha,
            pca_components=self.pca_components if self.pca_stimuli else None,
            n_resamples=self.n_resamples,
        )

    @property
    def _chooses(self) -> bool:
        return (
            self.protocol == "nested" if self.choose_components is None else self.choose_components
        )

    def _measure(self, readout: Any) -> Measure:
        return Measure(readout, self.dissimilarity, self.comparison, self.cka)

    def _parameters(self, readout: str, inputs: Inputs) -> dict[str, Any]:
        """What of the choices changes this readout's numbers."""
        found: dict[str, Any] = {
            "n_resamples": self.n_resamples,
            "protocol_version": protocols.VERSIONS[self.protocol],
        }
        if self.sketch is not None:
            found["sketch"] = self.sketch
        if self.protocol != "brainscore":
            found["n_folds"] = self.n_folds
        if readout in FITS:
            found["n_inner_folds"] = self.n_inner_folds
        if readout == "pls":
            found |= {"components": self.components, "choose_components": self._chooses}
            if self.pca_stimuli is not None:
                digest = inputs.stimulus_set(self.pca_stimuli).digest
                found |= {"pca_stimuli": digest, "pca_components": self.pca_components}
        elif readout == "ridge":
            found["relative_alphas"] = [self.alpha] if self.alpha else list(regression.ALPHAS)
        elif readout == "rsa":
            found |= {"dissimilarity": self.dissimilarity, "comparison": self.comparison}
        elif readout == "cka":
            found["cka"] = self.cka
        return found


def _similarity_rows(reference: Reference, gram: LayerGram, n_resamples: int) -> list[Row]:
    subjects = getattr(reference.recording, "subject_ids", None)
    return [
        {
            "statistic": reference.measure.statistic,
            "fold": one.fold,
            "score": regression.defined(one.score),
            "stimuli_low": one.low,
            "stimuli_high": one.high,
            "r": one.subjects,
            "selection_score": regression.defined(one.selection),
            "target_ids": subjects if one.subjects else None,
            "n_constant_targets": 0,
            "undefined": regression.reasons(one.undefined),
        }
        for one in reference.scores(gram, n_resamples=n_resamples)
    ]
