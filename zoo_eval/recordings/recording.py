"""Recording: responses of targets (neurons, voxels, channels) to stimuli, repetition by repetition."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from zoo_eval.digests import bytes_digest, canonical_json
from zoo_eval.errors import BadInput
from zoo_eval.recordings.ceiling_file import FileCeilings
from zoo_eval.stimuli.stimulus_set import StimulusSet

Responses = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Recording:
    """Responses (stimulus, repetition, target) to a StimulusSet, in its order.

    `exact_reliability` (target,) is known only for planted recordings, `file_ceilings` only where
    they were published with the responses. `digest` is given for a planted recording (its recipe,
    which floating point cannot disturb) and is otherwise that of the content.

    Raises:
        BadInput: shapes that differ, or a response that is NaN or infinite.
    """

    name: str
    stimuli: str
    responses: Responses
    target_ids: tuple[str, ...]
    exact_reliability: npt.NDArray[np.float64] | None = None
    file_ceilings: FileCeilings | None = None
    digest: str = field(default="")

    def __post_init__(self) -> None:
        if self.responses.ndim != 3 or self.responses.shape[2] != len(self.target_ids):
            raise BadInput(
                f"recording {self.name!r}: expected responses (stimulus, repetition, target) for "
                f"{len(self.target_ids)} targets, got shape {self.responses.shape}"
            )
        if not np.isfinite(self.responses).all():
            stimulus, repetition, target = np.argwhere(~np.isfinite(self.responses))[0]
            raise BadInput(
                f"recording {self.name!r}: the response of target {self.target_ids[target]!r} to "
                f"stimulus number {stimulus} (repetition {repetition}) is NaN or infinite; "
                "remove the target or the stimulus"
            )
        if not self.digest:
            described = canonical_json([list(self.responses.shape), self.target_ids])
            content = np.ascontiguousarray(self.responses).tobytes()
            object.__setattr__(self, "digest", bytes_digest([described.encode(), content]))

    @property
    def mean(self) -> Responses:
        """Responses averaged over repetitions, (stimulus, target)."""
        mean: Responses = self.responses.mean(axis=1)
        return mean

    def check(self, stimuli: StimulusSet) -> None:
        """Refuses a recording that does not answer exactly this stimulus set."""
        if self.responses.shape[0] != len(stimuli):
            raise BadInput(
                f"recording {self.name!r}: {self.responses.shape[0]} stimuli recorded, but "
                f"stimuli {stimuli.name!r} has {len(stimuli)}; name the set that was shown"
            )
