"""Ceilings of a recording: no model is opened; planned once beside every neural fit."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import numpy as np

from zoo_eval.evaluations import Choices, Result, Subject, Workbench
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.ceilings import splithalf_spearman_brown
from zoo_eval.trial import Trial

SPLITHALF = "splithalf_spearman_brown"
PLANTED = "planted_exact"


class Ceilings(Choices):
    """How well the recording predicts itself, per target and estimator."""

    kind: Literal["ceilings"] = "ceilings"
    recording: str
    n_splits: int = 10

    version: ClassVar[int] = 1
    needs_model: ClassVar[bool] = False

    def trials(self, subject: Subject, inputs: Inputs, seed: int) -> Sequence[Trial]:
        recording = inputs.recording(self.recording)
        stimuli = inputs.stimulus_set(recording.stimuli)
        estimators: dict[str, dict[str, int]] = {}
        if recording.responses.shape[1] > 1:
            estimators[SPLITHALF] = {"n_splits": self.n_splits}
        if recording.exact_reliability is not None:
            estimators[PLANTED] = {}
        return [
            Trial(
                self.kind,
                self.version,
                estimator,
                parameters=parameters,
                stimuli=stimuli.name,
                stimuli_digest=stimuli.digest,
                recording=recording.name,
                recording_digest=recording.digest,
                seed=seed,
            )
            for estimator, parameters in estimators.items()
        ]

    def n_passes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        return 0

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result]:
        recording = bench.inputs.recording(self.recording)
        for trial in trials:
            if trial.protocol == SPLITHALF:
                values = splithalf_spearman_brown(
                    recording.responses, n_splits=self.n_splits, seed=trial.random_seed
                )
            else:
                assert recording.exact_reliability is not None
                values = recording.exact_reliability
            rows = [
                {
                    "trial_id": trial.id,
                    "model": None,
                    "recording": recording.name,
                    "recording_digest": recording.digest,
                    "estimator": trial.protocol,
                    "scale": "reliability",
                    "target": target,
                    "ceiling": float(value) if np.isfinite(value) else None,
                }
                for target, value in zip(recording.target_ids, values, strict=True)
            ]
            yield Result(trial, {"ceilings": rows})
