"""Responses of targets (neurons, voxels, channels) to stimuli that were shown any number of times."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from zoo_eval.digests import bytes_digest, canonical_json
from zoo_eval.errors import BadInput
from zoo_eval.numerics.correlation import deviations
from zoo_eval.numerics.repetitions import Repetitions
from zoo_eval.numerics.rsa import Dissimilarity, Rdm, feature_dissimilarities
from zoo_eval.numerics.splits import Rows
from zoo_eval.recordings.ceiling import FROM_FILE, PLANTED, Ceiling, CeilingChoices
from zoo_eval.recordings.ceiling_file import FileCeilings
from zoo_eval.recordings.presentations import Side
from zoo_eval.recordings.recording import Numbers, Recording
from zoo_eval.recordings.response_ceilings import ResponseCeilings
from zoo_eval.stimuli.stimulus_set import StimulusSet

# Fewer targets leave every dissimilarity of that kind the same.
FEWEST_TARGETS: Mapping[Dissimilarity, int] = {
    "squared_euclidean": 1,
    "cosine": 2,
    "correlation": 3,
}
# Responses of a target, or their spread, below this or above its inverse are taken for a mistake.
SMALLEST = 1e-100


class OfTargets(Recording):
    """What recordings of responses answer alike, whether or not the responses are made yet."""

    n_repetitions: int
    exact_reliability: Numbers | None
    file_ceilings: FileCeilings | None
    subject_ids = ()

    @abstractmethod
    def repeated(self) -> Repetitions:
        """Every response."""

    @property
    def mean(self) -> Numbers:
        return self.repeated().mean()

    @cached_property
    def complete(
        self,
    ) -> Rows:  # Asked for by every plan of a fit: means of all responses are behind it.
        if self.pending is not None or self.repeated().is_complete:
            return super().complete
        found: Rows = np.flatnonzero(~np.isnan(self.mean).any(1))
        return found

    @cached_property
    def complete_targets(self) -> Rows:
        if self.pending is not None or self.repeated().is_complete:
            return super().complete_targets
        found: Rows = np.flatnonzero(~np.isnan(self.mean).any(0))
        return found

    def check(self, stimuli: StimulusSet) -> None:
        if self.n_stimuli != len(stimuli):
            raise BadInput(
                f"recording {self.name!r}: {self.n_stimuli} stimuli recorded, but stimuli "
                f"{stimuli.name!r} has {len(stimuli)}; name the set that was shown"
            )

    def check_targets(self, reader: str) -> None:
        return

    def check_rdms(self, reader: str, dissimilarity: Dissimilarity) -> None:
        n_targets = len(self.target_ids)
        if n_targets < FEWEST_TARGETS[dissimilarity]:
            raise BadInput(
                f"{reader} of recording {self.name!r}: {dissimilarity} dissimilarities of "
                f'{n_targets} targets say nothing; set dissimilarity = "squared_euclidean"'
            )

    def check_products(self, reader: str) -> None:
        return

    def check_points(self, reader: str) -> None:
        return

    def rdms_at(self, rows: Rows, dissimilarity: Dissimilarity) -> list[Rdm]:
        responses = torch.from_numpy(self.mean[rows])
        return [Rdm(feature_dissimilarities(responses, dissimilarity))]

    def gram_at(self, rows: Rows) -> Tensor:
        # Whoever reads it centres it; after the product, a large offset would have cost digits.
        responses = deviations(torch.from_numpy(self.mean[rows]))
        return responses @ responses.T

    def ceilings(self, choices: CeilingChoices) -> Sequence[Ceiling]:
        rows = None if choices.split is None else choices.split.fold.test
        of = ResponseCeilings(
            self.target_ids,
            self.repeated if rows is None else lambda: self.repeated().at(rows),
            {} if choices.split is None else choices.split.parameters,
        )
        most = self.n_repetitions if rows is None else int(self.repeated().counts[rows].max())
        found = of.repetitions(choices.n_splits) if most > 1 else []
        if len(self.target_ids) > 1:
            found.append(of.most_alike())
        if (exact := self.exact_reliability) is not None:
            found.append(of.targets(PLANTED, lambda _: exact))
        if (file := self.file_ceilings) is not None:
            known = of.targets(FROM_FILE, lambda _: file.values, {"file": file.digest})
            found.append(replace(known, scale=file.scale))
        return found


@dataclass(frozen=True, eq=False)
class ResponseRecording(OfTargets):
    """Responses to a StimulusSet, in its order: given as (stimulus, repetition, target), or Repetitions.

    A response that is missing is NaN. `targets` is what is known of them, a row each in the order of
    `target_ids`; `exact_reliability` (target,) is known only for planted recordings, `file_ceilings`
    only where they were published with the responses, `by_position` only where rows came without ids
    (see Recording). `digest` is given for a planted recording (its recipe, which floating point cannot
    disturb) and is otherwise that of the content. `splits` are published ones by name: the part that
    each stimulus is in.

    Raises:
        BadInput: shapes that differ, an infinite response, no response at all, a repetition in which no
            target tells any two stimuli apart, though others do, or responses whose squares float64 does
            not hold.
    """

    name: str
    stimuli: str
    responses: Numbers | Repetitions
    target_ids: tuple[str, ...]
    exact_reliability: Numbers | None = None
    file_ceilings: FileCeilings | None = None
    digest: str = ""
    by_position: str | None = None
    targets: pa.Table | None = None
    splits: Mapping[str, tuple[Side, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    n_stimuli: int = field(init=False)
    n_repetitions: int = field(init=False)

    def __post_init__(self) -> None:
        given = self.responses
        if not isinstance(given, Repetitions):
            if given.ndim != 3 or given.shape[2] != len(self.target_ids):
                self._refuse_shape(given.shape)
            given = Repetitions.of(given)
        # An axis of repetitions is filled up where stimuli were shown less often than others.
        object.__setattr__(self, "responses", given.answered())
        repeated = self.repeated()
        if repeated.is_void:
            raise BadInput(
                f"recording {self.name!r}: no response is a number; fill in what was measured"
            )
        if repeated.n_targets != len(self.target_ids):
            self._refuse_shape(repeated.responses.shape)
        self._check_values(repeated)
        if repeated.is_even and repeated.is_complete:
            self._check_repetitions(repeated.padded())
        object.__setattr__(self, "n_stimuli", repeated.n_stimuli)
        object.__setattr__(self, "n_repetitions", repeated.most)
        if not self.digest:
            object.__setattr__(self, "digest", self._digest(repeated))
        # A recording made of another has its notes already.
        notes = dict.fromkeys([*self._told(repeated), *self.notes])
        object.__setattr__(self, "notes", tuple(notes))

    def _refuse_shape(self, shape: tuple[int, ...]) -> NoReturn:
        raise BadInput(
            f"recording {self.name!r}: expected responses (stimulus, repetition, target) for "
            f"{len(self.target_ids)} targets, got shape {shape}; give one id per target"
        )

    def repeated(self) -> Repetitions:
        assert isinstance(self.responses, Repetitions)
        return self.responses

    def _digest(self, repeated: Repetitions) -> str:
        if repeated.is_even and repeated.is_complete:
            shape: list[Any] = [repeated.n_stimuli, repeated.most, repeated.n_targets]
        else:
            shape = [repeated.counts.tolist(), repeated.n_targets]
        kind = [] if repeated.responses.dtype == np.float64 else [str(repeated.responses.dtype)]
        described = canonical_json([shape, self.target_ids, *kind])
        content = np.ascontiguousarray(repeated.responses).reshape(-1).data
        return bytes_digest([described.encode(), content])

    def _told(self, repeated: Repetitions) -> list[str]:
        """What a plan says of how much was measured."""
        found = []
        if not repeated.is_even:
            fewest = int(repeated.counts.min())
            found.append(f"stimuli were shown {fewest} to {repeated.most} times")
        if not repeated.is_complete:
            blocks = (np.isnan(repeated.responses[:, some]).sum(0) for some in repeated.blocks())
            missing = np.concatenate(list(blocks))
            without = int((missing == len(repeated.responses)).sum())
            found.append(
                f"{missing.sum()} of {repeated.responses.size} responses are missing; each target is scored on "
                "the stimuli that it answered"
            )
            if without:
                found.append(
                    f"{without} of {repeated.n_targets} targets have no response, and no score"
                )
        return found

    def _check_values(self, repeated: Repetitions) -> None:
        for some in repeated.blocks():
            values = repeated.responses[:, some]
            names = self.target_ids[some]
            infinite = np.isinf(values)
            if infinite.any():
                presentation, target = np.argwhere(infinite)[0]
                stimulus = int(repeated.stimulus[presentation])
                raise BadInput(
                    f"recording {self.name!r}: the response of target {names[target]!r} to stimulus number "
                    f"{stimulus} is infinite; remove it, or write NaN where nothing was measured"
                )
            if values.size:
                self._check_sizes(values, names)

    def _check_sizes(self, values: Any, names: Sequence[str]) -> None:
        """Sums of squares must neither exceed float64 nor vanish in it: either would pass for constant."""
        there = ~np.isnan(values)
        high = np.where(there, values, -np.inf).max(0).astype(np.float64)
        low = np.where(there, values, np.inf).min(0).astype(np.float64)
        with np.errstate(over="ignore"):
            largest, spread = np.maximum(high, -low), high - low
        wrong = (largest > 1 / SMALLEST) | ((spread > 0) & (spread < SMALLEST))
        if wrong.any():
            target = int(wrong.argmax())
            raise BadInput(
                f"recording {self.name!r}: responses of target {names[target]!r} are up to "
                f"{largest[target]:.3g} and {spread[target]:.3g} apart, whose squares float64 does not "
                "hold; remove what stands for a missing response, or give another unit"
            )

    def _check_repetitions(self, responses: Numbers) -> None:
        varies = (responses != responses[:1]).any((0, 2))
        if varies.any() and not varies.all():
            repetition = int(varies.argmin())
            raise BadInput(
                f"recording {self.name!r}: in repetition number {repetition} (from 0) every target answers "
                "all stimuli alike, while other repetitions vary: its mean and ceilings would be wrong; "
                "leave that repetition out, or fill in what was measured"
            )
