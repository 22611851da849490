"""Ceilings of a recording: no model is opened; planned once beside every neural fit."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from zoo_eval.evaluations.evaluation import Candidate, EvaluationSection, Result, Workbench
from zoo_eval.inputs import Inputs
from zoo_eval.numerics import ceilings
from zoo_eval.numerics.ceilings import SCALES, Array, Scale
from zoo_eval.numerics.rdm_ceilings import nili_lower, nili_upper
from zoo_eval.numerics.rsa import STATISTICS, Comparison, Rdm, condensed
from zoo_eval.recordings.rdm import RdmRecording
from zoo_eval.recordings.recording import Recording
from zoo_eval.trial import Trial

PLANTED = "planted_exact"
FROM_FILE = "from_file"
# Whom a ceiling of a whole recording is said of.
ALL = "all"


class Ceilings(EvaluationSection):
    """How well the recording predicts itself, per estimator and target (or all subjects)."""

    kind: Literal["ceilings"] = "ceilings"
    recording: str
    n_splits: int = 10
    comparison: Comparison = "spearman"

    version: ClassVar[int] = 2
    needs_model: ClassVar[bool] = False

    def trials(self, candidate: Candidate, inputs: Inputs, seed: int) -> Sequence[Trial]:
        recording = inputs.recording(self.recording)
        stimuli = inputs.stimulus_set(recording.stimuli)
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
            for estimator, parameters in self._estimators(recording).items()
        ]

    def _estimators(self, recording: Recording | RdmRecording) -> dict[str, dict[str, Any]]:
        if isinstance(recording, RdmRecording):
            names = ["nili_lower", "nili_upper"] if len(recording.subject_ids) > 1 else []
            return {name: {"comparison": self.comparison} for name in names}
        found: dict[str, dict[str, Any]] = {}
        if recording.responses.shape[1] > 1:
            found["splithalf_spearman_brown"] = {"n_splits": self.n_splits}
            found |= {"leave_one_out": {}, "ncsnr": {}}
        if len(recording.target_ids) > 1:
            found["max_pairwise_target"] = {}
        if recording.exact_reliability is not None:
            found[PLANTED] = {}
        if recording.file_ceilings is not None:
            found[FROM_FILE] = {"file": recording.file_ceilings.digest}
        return found

    def n_passes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        return 0

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result]:
        recording = bench.inputs.recording(self.recording)
        for trial in trials:
            if isinstance(recording, RdmRecording):
                found = self._of_subjects(trial.protocol, recording)
                statistic, scale = STATISTICS[self.comparison], SCALES[trial.protocol]
            else:
                found = self._of_targets(trial, recording)
                statistic, scale = "pearson_r", _scale(trial.protocol, recording)
            rows = [
                {
                    "trial_id": trial.id,
                    "model": None,
                    "recording": recording.name,
                    "recording_digest": recording.digest,
                    "estimator": trial.protocol,
                    "statistic": statistic,
                    "scale": scale,
                    "target": target,
                    "ceiling": value if np.isfinite(value) else None,
                }
                for target, value in found.items()
            ]
            yield Result(trial, {"ceilings": rows})

    def _of_subjects(self, estimator: str, recording: RdmRecording) -> dict[str, float]:
        subjects = [Rdm(condensed(torch.from_numpy(rdm))) for rdm in recording.rdms]
        bound = {"nili_lower": nili_lower, "nili_upper": nili_upper}[estimator]
        return {ALL: bound(subjects, self.comparison)}

    def _of_targets(self, trial: Trial, recording: Recording) -> dict[str, float]:
        if trial.protocol == "max_pairwise_target":
            (highest,) = ceilings.max_pairwise_target(recording.mean[None])
            return {ALL: float(highest)}
        values = self._values(trial, recording)
        return dict(zip(recording.target_ids, values.tolist(), strict=True))

    def _values(self, trial: Trial, recording: Recording) -> Array:
        responses = recording.responses
        if trial.protocol == "splithalf_spearman_brown":
            return ceilings.splithalf_spearman_brown(
                responses, n_splits=self.n_splits, seed=trial.random_seed
            )
        if trial.protocol == "leave_one_out":
            return ceilings.leave_one_out(responses)
        if trial.protocol == "ncsnr":
            ratio = ceilings.ncsnr(responses)
            return ceilings.explainable_variance(ratio, n_averaged=responses.shape[1])
        if trial.protocol == FROM_FILE:
            assert recording.file_ceilings is not None
            return recording.file_ceilings.values
        assert recording.exact_reliability is not None
        return recording.exact_reliability


def _scale(estimator: str, recording: Recording) -> Scale:
    if estimator == FROM_FILE:
        assert recording.file_ceilings is not None
        return recording.file_ceilings.scale
    return SCALES.get(estimator, "reliability")
