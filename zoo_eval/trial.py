"""Trial: the smallest thing worth not repeating; its id is a digest of what determines its numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from zoo_eval.digests import canonical_json, digest, seed_from

# Of trials for which no network is run; of others, their candidate says it.
NUMERICS: Mapping[str, Any] = {"dtype": "float32", "tf32": False, "amp": False}


@dataclass(frozen=True)
class Trial:
    """One model, one evaluation with one readout or attack, one layer where there are layers.

    A model's name is part of the identity, because rows carry it; the names of stimuli,
    recordings and importance maps are not: their digests are.
    """

    evaluation: str
    evaluation_version: int
    protocol: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    weights_digest: str | None = None
    architecture: str | None = None
    transform: Mapping[str, Any] | None = None
    layer: str | None = None
    readout: str | None = None
    attack: str | None = None
    stimuli: str | None = None
    stimuli_digest: str | None = None
    recording: str | None = None
    recording_digest: str | None = None
    importance: str | None = None
    importance_digest: str | None = None
    seed: int = 0
    numerics: Mapping[str, Any] = field(default_factory=lambda: NUMERICS)

    @cached_property
    def id(self) -> str:
        named = {k: v for k, v in vars(self).items() if k in self.__dataclass_fields__}
        named.pop("stimuli")
        named.pop("recording")
        named.pop("importance")
        if self.importance_digest is None:
            # Trials without maps keep the ids that they had before there were any.
            named.pop("importance_digest")
        return digest(named)

    @property
    def random_seed(self) -> int:
        """The seed of everything random in this trial."""
        return seed_from(self.id)

    def row(self) -> dict[str, Any]:
        """The trial's columns in the `trials` table."""
        return {
            "trial_id": self.id,
            "model": self.model,
            "evaluation": self.evaluation,
            "evaluation_version": self.evaluation_version,
            "protocol": self.protocol,
            "parameters": canonical_json(dict(self.parameters)),
            "layer": self.layer,
            "readout": self.readout,
            "attack": self.attack,
            "stimuli": self.stimuli,
            "stimuli_digest": self.stimuli_digest,
            "recording": self.recording,
            "recording_digest": self.recording_digest,
            "importance": self.importance,
            "importance_digest": self.importance_digest,
            "weights_digest": self.weights_digest,
            "transform": None if self.transform is None else canonical_json(dict(self.transform)),
            "numerics": canonical_json(dict(self.numerics)),
            "seed": self.seed,
        }
