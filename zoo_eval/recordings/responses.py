"""Responses of targets (neurons, voxels, channels) to stimuli, repetition by repetition."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo_eval.digests import bytes_digest, canonical_json
from zoo_eval.errors import BadInput
from zoo_eval.numerics import ceilings
from zoo_eval.numerics.ceilings import SCALES
from zoo_eval.numerics.correlation import deviations
from zoo_eval.numerics.rsa import Dissimilarity, Rdm, feature_dissimilarities
from zoo_eval.numerics.splits import Rows
from zoo_eval.recordings.ceiling import ALL, FROM_FILE, PLANTED, Ceiling, CeilingChoices
from zoo_eval.recordings.ceiling_file import FileCeilings
from zoo_eval.recordings.recording import Numbers, Recording
from zoo_eval.stimuli.stimulus_set import StimulusSet

# What ceilings of targets bound.
STATISTIC = "pearson_r"
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
    def repeated(self) -> Numbers:
        """Responses (stimulus, repetition, target)."""

    @property
    def mean(self) -> Numbers:
        mean: Numbers = self.repeated().mean(axis=1)
        return mean

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
        found = self._of_repetitions(choices.n_splits) if self.n_repetitions > 1 else []
        if len(self.target_ids) > 1:
            found.append(self._most_alike())
        if (exact := self.exact_reliability) is not None:
            found.append(self._of_targets(PLANTED, lambda _: exact))
        if (file := self.file_ceilings) is not None:
            known = self._of_targets(FROM_FILE, lambda _: file.values, {"file": file.digest})
            found.append(replace(known, scale=file.scale))
        return found

    def _of_repetitions(self, n_splits: int) -> list[Ceiling]:
        return [
            self._of_targets(
                "splithalf_spearman_brown",
                lambda seed: ceilings.splithalf_spearman_brown(
                    self.repeated(), n_splits=n_splits, seed=seed
                ),
                {"n_splits": n_splits},
            ),
            self._of_targets(
                "internal_consistency", lambda _: ceilings.internal_consistency(self.repeated())
            ),
            self._of_targets("leave_one_out", lambda _: ceilings.leave_one_out(self.repeated())),
            self._of_targets("ncsnr", lambda _: self._explainable()),
        ]

    def _explainable(self) -> Numbers:
        ratio = ceilings.ncsnr(self.repeated())
        return ceilings.explainable_variance(ratio, n_averaged=self.n_repetitions)

    def _most_alike(self) -> Ceiling:
        def of_all(_: int) -> Mapping[str, float]:
            (highest,) = ceilings.max_pairwise_target(self.mean[None])
            return {ALL: float(highest)}

        name = "max_pairwise_target"
        undefined = "fewer than two targets vary"
        return Ceiling(name, {}, STATISTIC, SCALES[name], of_all, lambda _: undefined)

    def _of_targets(
        self,
        estimator: str,
        values: Callable[[int], Numbers],
        parameters: Mapping[str, Any] | None = None,
    ) -> Ceiling:
        def by_target(seed: int) -> Mapping[str, float]:
            return dict(zip(self.target_ids, values(seed).tolist(), strict=True))

        scale = SCALES.get(estimator, "reliability")
        return Ceiling(
            estimator, parameters or {}, STATISTIC, scale, by_target, self._why_undefined
        )

    def _why_undefined(self, target: str) -> str:
        """Why repetitions say nothing of a target."""
        responses = self.repeated()[:, :, self.target_ids.index(target)]
        if not np.ptp(responses):
            return "constant responses"
        if constant := np.flatnonzero(np.ptp(responses, axis=0) == 0).tolist():
            return f"constant responses in repetition {', '.join(map(str, constant))}"
        return "the mean of a half of the repetitions is constant, or the opposite of the other's"


@dataclass(frozen=True, eq=False)
class ResponseRecording(OfTargets):
    """Responses (stimulus, repetition, target) to a StimulusSet, in its order.

    `exact_reliability` (target,) is known only for planted recordings, `file_ceilings` only where
    they were published with the responses, `by_position` only where rows came without ids (see
    Recording). `digest` is given for a planted recording (its recipe,
    which floating point cannot disturb) and is otherwise that of the content.

    Raises:
        BadInput: shapes that differ, a response that is NaN or infinite, or a repetition in which no
            target tells any two stimuli apart, though others do, or responses whose squares float64
            does not hold.
    """

    name: str
    stimuli: str
    responses: Numbers
    target_ids: tuple[str, ...]
    exact_reliability: Numbers | None = None
    file_ceilings: FileCeilings | None = None
    digest: str = ""
    by_position: str | None = None
    n_stimuli: int = field(init=False)
    n_repetitions: int = field(init=False)

    def __post_init__(self) -> None:
        shape = self.responses.shape
        if len(shape) != 3 or shape[2] != len(self.target_ids):
            raise BadInput(
                f"recording {self.name!r}: expected responses (stimulus, repetition, target) for "
                f"{len(self.target_ids)} targets, got shape {shape}"
            )
        self._check_observed()
        self._check_sizes()
        self._check_repetitions()
        object.__setattr__(self, "n_stimuli", shape[0])
        object.__setattr__(self, "n_repetitions", shape[1])
        if not self.digest:
            described = canonical_json([list(shape), self.target_ids])
            content = np.ascontiguousarray(self.responses).reshape(-1).data
            object.__setattr__(self, "digest", bytes_digest([described.encode(), content]))

    @property
    def observed(self) -> npt.NDArray[np.bool_]:
        """Which responses there are, bool (stimulus, repetition, target)."""
        return np.isfinite(self.responses)

    def _check_observed(self) -> None:
        observed = self.observed
        if not observed.all():
            stimulus, repetition, target = np.argwhere(~observed)[0]
            raise BadInput(
                f"recording {self.name!r}: the response of target {self.target_ids[target]!r} to "
                f"stimulus number {stimulus} (repetition {repetition}) is NaN or infinite; "
                "remove the target or the stimulus"
            )

    def _check_sizes(self) -> None:
        """Sums of squares must neither exceed float64 nor vanish in it: either would pass for constant."""
        if not self.responses.size:
            return
        high, low = self.responses.max((0, 1)), self.responses.min((0, 1))
        with np.errstate(over="ignore"):
            largest, spread = np.maximum(high, -low), high - low
        wrong = (largest > 1 / SMALLEST) | ((spread > 0) & (spread < SMALLEST))
        if wrong.any():
            target = int(wrong.argmax())
            raise BadInput(
                f"recording {self.name!r}: responses of target {self.target_ids[target]!r} are up to "
                f"{largest[target]:.3g} and {spread[target]:.3g} apart, whose squares float64 does not "
                "hold; remove what stands for a missing response, or give another unit"
            )

    def _check_repetitions(self) -> None:
        varies = (self.responses != self.responses[:1]).any((0, 2))
        if varies.any() and not varies.all():
            repetition = int(varies.argmin())
            raise BadInput(
                f"recording {self.name!r}: in repetition number {repetition} (from 0) every target answers "
                "all stimuli alike, while other repetitions vary: its mean and ceilings would be wrong; "
                "leave that repetition out, or fill in what was measured"
            )

    def repeated(self) -> Numbers:
        return self.responses
