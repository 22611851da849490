"""How well a layer's features tell a recording: fits and similarities, from one Gram matrix per layer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from zoo_eval.errors import BadInput
from zoo_eval.evaluations.ceilings import Ceilings
from zoo_eval.evaluations.evaluation import (
    Candidate,
    Evaluation,
    Passed,
    Result,
    Rows,
    Workbench,
    gram_request,
)
from zoo_eval.evaluations.layer_choice import LayeredSection
from zoo_eval.evaluations.layers import Layers
from zoo_eval.evaluations.targets import Targets
from zoo_eval.inputs import Inputs
from zoo_eval.readouts.design import Design, ProtocolName, Reduction
from zoo_eval.readouts.readout import READOUTS, Readout, Scorer
from zoo_eval.recordings.split import Split
from zoo_eval.representations.footprint import FLOAT32_BYTES, GramRequest
from zoo_eval.representations.grams import LayerGram, NonFinite
from zoo_eval.representations.units import LayerUnits
from zoo_eval.stimuli.stimulus_set import StimulusSet, joined
from zoo_eval.trial import Trial


def _known(readout: str) -> str:
    try:
        READOUTS.get(readout)
    except BadInput as error:
        raise ValueError(str(error)) from error
    return readout


class NeuralFit(LayeredSection):
    """Every layer against a recording, by one or more readouts.

    The options of every readout may stand beside the fields below, under their own names. `nested`
    chooses hyper-parameters inside each fold's training rows, `kfold` fixes them, and `brainscore`
    is over ten stratified shuffles, on principal components of `pca_stimuli` if those are named;
    `published` trains and tests on the two parts of a split that came with the recording, `split`,
    choosing as `nested` does, under the ceilings of the tested stimuli.
    Whatever the protocol, a selection score from the training rows stands beside the score.
    """

    # Which further keys there may be, the readouts say: see `known_keys`.
    model_config = ConfigDict(extra="allow")

    kind: Literal["neural_fit"] = "neural_fit"
    recording: str
    readouts: Annotated[tuple[Annotated[str, AfterValidator(_known)], ...], Field(min_length=1)] = (
        "pls",
        "ridge",
    )
    protocol: ProtocolName = "nested"
    split: str | None = None
    n_folds: Annotated[int, Field(ge=2)] = 5
    n_inner_folds: Annotated[int, Field(ge=2)] = 4
    pca_stimuli: str | None = None
    pca_components: Annotated[int, Field(ge=1)] = 1000
    sketch: Annotated[int, Field(ge=2)] | None = None
    n_resamples: Annotated[int, Field(ge=10)] = 200

    version: ClassVar[int] = 5
    needs_model: ClassVar[bool] = True

    @classmethod
    def known_keys(cls) -> tuple[str, ...]:
        options = (key for readout in READOUTS.things().values() for key in readout.model_fields)
        return tuple(sorted({*cls.model_fields, *options}))

    @model_validator(mode="before")
    @classmethod
    def _every_key_is_known(cls, content: Any) -> Any:
        unknown = [key for key in content if key not in cls.known_keys()]
        if unknown:
            _refuse_absent(content.get("readouts", ()))
            raise ValidationError.from_exception_data(
                cls.__name__,
                [
                    {"type": "extra_forbidden", "loc": (key,), "input": content[key]}
                    for key in unknown
                ],
            )
        return content

    @model_validator(mode="after")
    def _choices_fit_together(self) -> "NeuralFit":
        known = READOUTS.things()
        suited = [name for name, one in known.items() if self.protocol in one.scored_under]
        if not set(self.readouts) <= set(suited):
            names = ", ".join(f'"{name}"' for name in suited)
            raise ValueError(
                f'protocol "{self.protocol}" is {" or ".join(suited).upper()}; '
                f"set readouts = [{names}]"
            )
        if self.split is not None and self.protocol != "published":
            raise ValueError('`split` goes with protocol = "published"')
        if self.pca_stimuli is not None and self.protocol != "brainscore":
            raise ValueError('`pca_stimuli` goes with protocol = "brainscore"')
        for name, readout in self._all_readouts().items():
            readout.agree(self.protocol, chosen=name in self.readouts)
        return self

    def _all_readouts(self) -> dict[str, Readout]:
        """Every readout with its options, whether chosen or not, unless it needs one not given."""
        return {
            name: self._readout(name)
            for name, one in READOUTS.things().items()
            if name in self.readouts
            or not any(field.is_required() for field in one.model_fields.values())
        }

    def _readout(self, name: str) -> Readout:
        """The readout with its options, those that the protocol settles too."""
        kind = READOUTS.get(name)
        given = {key: value for key, value in self._options.items() if key in kind.model_fields}
        return kind.model_validate(given).settled(self.protocol)

    @property
    def _options(self) -> Mapping[str, Any]:
        return self.model_extra or {}

    def _design(self, inputs: Inputs, seed: int) -> Design:
        reduction = None
        if self.pca_stimuli is not None:
            fitted_on = inputs.stimulus_set(self.pca_stimuli)
            reduction = Reduction(self.pca_components, len(fitted_on), fitted_on.digest)
        split = self._split(inputs)
        return Design(
            self.protocol,
            self.n_folds,
            self.n_inner_folds,
            self.n_resamples,
            seed,
            reduction,
            split,
        )

    def _split(self, inputs: Inputs) -> Split | None:
        """The published split that is tested on; None under the other protocols."""
        if self.protocol != "published":
            return None
        return inputs.recording(self.recording).split(self.split)

    def companions(self, inputs: Inputs) -> Iterable[Evaluation]:
        stimuli = inputs.recording(self.recording).stimuli
        shared: dict[str, Any] = {}
        for readout in self._all_readouts().values():
            shared |= readout.ceiling_choices
        if (split := self._split(inputs)) is not None:
            shared["split"] = split.name
        return [
            Ceilings(recording=self.recording, **shared),
            Targets(recording=self.recording),
            Layers(stimuli=stimuli, layers=self.layers, sketch=self.sketch),
        ]

    def trials(self, candidate: Candidate, inputs: Inputs, seed: int) -> Sequence[Trial]:
        recording = inputs.recording(self.recording)
        stimuli = inputs.stimulus_set(recording.stimuli)
        recording.check(stimuli)
        design = self._design(inputs, seed)
        key = {} if self.sketch is None else {"sketch": self.sketch}
        parameters = {}
        for name in self.readouts:
            readout = self._readout(name)
            readout.check(recording, stimuli, design)
            parameters[name] = readout.parameters(design) | readout.of_recording(recording) | key
        return [
            Trial(
                self.kind,
                self.version,
                self.protocol,
                parameters=parameters[name],
                layer=layer,
                readout=name,
                stimuli=stimuli.name,
                stimuli_digest=stimuli.digest,
                recording=recording.name,
                recording_digest=recording.digest,
                seed=seed,
                **candidate.identity,
            )
            for layer in self.chosen(candidate)
            for name in self.readouts
        ]

    def requests(
        self, trials: Sequence[Trial], candidate: Candidate, inputs: Inputs
    ) -> Iterable[GramRequest]:
        recording = inputs.recording(self.recording)
        design = self._design(inputs, trials[0].seed)
        readouts = [self._readout(name) for name in {str(trial.readout) for trial in trials}]
        kept = sum(readout.kept_bytes(recording, design) for readout in readouts)
        peak = max(readout.peak_bytes(recording, design) for readout in readouts)
        n_shown = recording.n_stimuli + design.n_images
        request = gram_request(candidate, trials, n_shown, sketch=self.sketch)
        # Of a batch, before there are fits: the units of all layers.
        units = FLOAT32_BYTES * request.batch_size * len(request.n_features)
        drawn = units * max(self._draws(trials), default=0)
        return [replace(request, after_bytes=max(kept + peak, drawn))]

    def n_passes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        # Once more for each draw: Gram matrices are there already, of a companion.
        return len(self._draws(trials)) * inputs.recording(self.recording).n_stimuli

    def _draws(self, trials: Sequence[Trial]) -> set[int]:
        """How many units of each layer the trials' readouts ask for."""
        names = {str(trial.readout) for trial in trials}
        return {n for name in names if (n := self._readout(name).n_drawn) is not None}

    def _shown(self, inputs: Inputs) -> StimulusSet:
        """The recording's stimuli, followed by those of the principal components."""
        stimuli = inputs.stimulus_set(inputs.recording(self.recording).stimuli)
        if self.pca_stimuli is None:
            return stimuli
        return joined(stimuli, inputs.stimulus_set(self.pca_stimuli))

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result | Passed]:
        model, representations = bench.opened()
        seed = trials[0].seed
        if not (trials := (yield from bench.taken_over(trials))):
            return
        layers = list(dict.fromkeys(str(trial.layer) for trial in trials))
        every = self._shown(bench.inputs)
        work = representations.computing(every, layers, sketch=self.sketch, seed=seed)
        yield from bench.told(work)
        grams = representations.grams(every, layers, sketch=self.sketch, seed=seed)
        shown = bench.inputs.stimulus_set(bench.inputs.recording(self.recording).stimuli)
        for n in sorted(self._draws(trials)):
            work = representations.drawing(shown, layers, n_units=n, seed=seed)
            yield from bench.told(work)
        units = {
            n: representations.units(shown, layers, n_units=n, seed=seed)
            for n in sorted(self._draws(trials))
        }
        # Fits are float64, which not every accelerator has.
        device = model.device if model.device.type == "cuda" else torch.device("cpu")
        scorers = {name: self._scorer(name, bench.inputs, seed, device) for name in self.readouts}
        for layer in layers:
            own = [trial for trial in trials if trial.layer == layer]
            yield from self._results(own, bench, grams[layer], scorers, units)

    def _results(
        self,
        trials: Sequence[Trial],
        bench: Workbench,
        gram: LayerGram | NonFinite,
        scorers: Mapping[str, Scorer],
        units: Mapping[int, LayerUnits],
    ) -> Iterator[Result]:
        """Those of one layer, whose Gram matrix is in memory until the last of them.

        `units` are draws of all layers, by how many were asked for.
        """
        for trial in trials:
            if isinstance(gram, NonFinite):
                yield Result(trial, error=gram)
                continue
            # One readout's failure is its own: the layer's others, and other layers, go on.
            try:
                n_drawn = self._readout(str(trial.readout)).n_drawn
                own = None if n_drawn is None else units[n_drawn][str(trial.layer)]
                scorer = scorers[str(trial.readout)]
                yield bench.made(
                    trial, partial(self._rows, trial, scorer, replace(gram, units=own))
                )
            except Exception as error:  # noqa: BLE001
                yield Result(trial, error=error)

    def _rows(self, trial: Trial, scorer: Scorer, gram: LayerGram) -> Rows:
        described = self._described(trial) | {"sketch": gram.sketch}
        return {"neural_scores": [described | row for row in scorer(gram)]}

    def _described(self, trial: Trial) -> dict[str, Any]:
        readout = self._readout(str(trial.readout))
        return {
            "trial_id": trial.id,
            "model": trial.model,
            "recording": self.recording,
            "layer": trial.layer,
            "readout": readout.name,
            "mode": readout.mode,
            "protocol": trial.protocol,
            "statistic": readout.statistic,
        }

    def _scorer(self, readout: str, inputs: Inputs, seed: int, device: torch.device) -> Scorer:
        """What makes a layer's rows; what all layers share is computed once."""
        recording = inputs.recording(self.recording)
        stimuli = inputs.stimulus_set(recording.stimuli)
        design = self._design(inputs, seed)
        return self._readout(readout).scorer(recording, stimuli, design, device)


def _refuse_absent(readouts: Any) -> None:
    """A key that nobody knows may be an option of a readout that cannot be had: that is said first."""
    for name in readouts if isinstance(readouts, list | tuple) else ():
        try:
            READOUTS.get(str(name))
        except BadInput as error:
            raise ValueError(str(error)) from error
