"""Ceilings of a recording: no model is opened; planned once beside every neural fit."""

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import ClassVar, Literal

from zoo_eval.evaluations.evaluation import Candidate, EvaluationSection, Result, Workbench
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.rsa import Comparison
from zoo_eval.recordings.ceiling import Ceiling, CeilingChoices
from zoo_eval.recordings.recording import Recording
from zoo_eval.trial import Trial


class Ceilings(EvaluationSection):
    """How well the recording predicts itself, per estimator and target (or all subjects)."""

    kind: Literal["ceilings"] = "ceilings"
    recording: str
    n_splits: int = 10
    comparison: Comparison = "spearman"
    # Of the test stimuli of a published split alone.
    split: str | None = None

    version: ClassVar[int] = 3
    needs_model: ClassVar[bool] = False

    def trials(self, candidate: Candidate, inputs: Inputs, seed: int) -> Sequence[Trial]:
        recording = inputs.recording(self.recording)
        stimuli = inputs.stimulus_set(recording.stimuli)
        return [
            Trial(
                self.kind,
                self.version,
                ceiling.estimator,
                parameters=ceiling.parameters,
                stimuli=stimuli.name,
                stimuli_digest=stimuli.digest,
                recording=recording.name,
                recording_digest=recording.digest,
                seed=seed,
            )
            for ceiling in self._ceilings(recording)
        ]

    def _ceilings(self, recording: Recording) -> Sequence[Ceiling]:
        split = None if self.split is None else recording.split(self.split)
        return recording.ceilings(CeilingChoices(self.n_splits, self.comparison, split))

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result]:
        recording = bench.inputs.recording(self.recording)
        known = {ceiling.estimator: ceiling for ceiling in self._ceilings(recording)}
        for trial in trials:
            ceiling = known[trial.protocol]
            rows = [
                {
                    "trial_id": trial.id,
                    "model": None,
                    "recording": recording.name,
                    "recording_digest": recording.digest,
                    "estimator": ceiling.estimator,
                    "statistic": ceiling.statistic,
                    "scale": ceiling.scale,
                    "target": target,
                    "ceiling": value if isfinite(value) else None,
                    "undefined": None if isfinite(value) else ceiling.undefined(target),
                    "split": self.split,
                }
                for target, value in ceiling.values(trial.random_seed).items()
            ]
            yield Result(trial, {"ceilings": rows})
