"""Targets of a recording: what is known of each; planned beside every neural fit, without a model."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import pyarrow as pa

from zoo_eval.digests import digest
from zoo_eval.evaluations.evaluation import Candidate, EvaluationSection, Result, Workbench
from zoo_eval.inputs import Inputs
from zoo_eval.recordings.presentations import TARGET_ID
from zoo_eval.trial import Trial

# Columns of the table of their own, where a recording has them; all others are among `known`.
TEXTS = ("region", "subject", "session", "electrode")
REALS = ("reliability",)


class Targets(EvaluationSection):
    """What a recording's files say of its targets; nothing where they say nothing."""

    kind: Literal["targets"] = "targets"
    recording: str

    version: ClassVar[int] = 1
    needs_model: ClassVar[bool] = False

    def trials(self, candidate: Candidate, inputs: Inputs, seed: int) -> Sequence[Trial]:
        recording = inputs.recording(self.recording)
        if recording.targets is None or recording.targets.num_columns < 2:
            return []
        stimuli = inputs.stimulus_set(recording.stimuli)
        known = [recording.targets.column_names, _rows(recording.targets)]
        return [
            Trial(
                self.kind,
                self.version,
                "as_published",
                parameters={"targets_digest": digest(known)},
                stimuli=stimuli.name,
                stimuli_digest=stimuli.digest,
                recording=recording.name,
                recording_digest=recording.digest,
                seed=seed,
            )
        ]

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result]:
        recording = bench.inputs.recording(self.recording)
        assert recording.targets is not None
        for trial in trials:
            shared = {
                "trial_id": trial.id,
                "model": None,
                "recording": recording.name,
                "recording_digest": recording.digest,
            }
            rows = [shared | _row(one) for one in _rows(recording.targets)]
            yield Result(trial, {"targets": rows})


def _rows(targets: pa.Table) -> list[dict[str, Any]]:
    """The rows as JSON can hold them."""
    named: list[dict[str, Any]] = targets.to_pylist()
    return [{key: _plain(value) for key, value in one.items()} for one in named]


def _row(known: dict[str, Any]) -> dict[str, Any]:
    texts = {name: None if known.get(name) is None else str(known[name]) for name in TEXTS}
    reals = {name: _real(known.get(name)) for name in REALS}
    return {"target": known[TARGET_ID], **texts, **reals, "known": json.dumps(known)}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        # JSON has no NaN.
        return value if value - value == 0 else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _real(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
