"""Ceilings of responses: how well repetitions, or other targets, predict each target."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo_eval.numerics import ceilings
from zoo_eval.numerics.ceilings import SCALES
from zoo_eval.numerics.repetitions import Repetitions
from zoo_eval.numerics.uneven_ceilings import mean_inverse
from zoo_eval.recordings.ceiling import ALL, Ceiling
from zoo_eval.recordings.recording import Numbers

# What ceilings of targets bound.
STATISTIC = "pearson_r"
FEWEST_REPEATED = 3


@dataclass(frozen=True, eq=False)
class ResponseCeilings:
    """The ceilings of some targets' responses, not computed yet.

    `repeated` gives the responses, when they are needed; `parameters` are what tells these ceilings from
    those of other stimuli of the same recording.
    """

    target_ids: tuple[str, ...]
    repeated: Callable[[], Repetitions]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def repetitions(self, n_splits: int) -> list[Ceiling]:
        """Those that repetitions say."""

        def halved(seed: int) -> Numbers:
            return self.repeated().by_target(
                lambda some: ceilings.splithalf_spearman_brown(some, n_splits=n_splits, seed=seed)
            )

        def by_target(estimator: Callable[[Numbers], Numbers]) -> Callable[[int], Numbers]:
            return lambda _: self.repeated().by_target(estimator)

        return [
            self.targets("splithalf_spearman_brown", halved, {"n_splits": n_splits}),
            self.targets("internal_consistency", by_target(ceilings.internal_consistency)),
            self.targets("leave_one_out", by_target(ceilings.leave_one_out)),
            self.targets("ncsnr", by_target(explainable)),
        ]

    def most_alike(self) -> Ceiling:
        """That of the two most alike targets."""

        def of_all(_: int) -> Mapping[str, float]:
            (highest,) = ceilings.max_pairwise_target(self.repeated().mean()[None])
            return {ALL: float(highest)}

        name = "max_pairwise_target"
        undefined = "fewer than two targets vary"
        return Ceiling(name, self.parameters, STATISTIC, SCALES[name], of_all, lambda _: undefined)

    def targets(
        self,
        estimator: str,
        values: Callable[[int], Numbers],
        parameters: Mapping[str, Any] | None = None,
    ) -> Ceiling:
        """One that `values` gives of a seed, a number per target."""

        def by_target(seed: int) -> Mapping[str, float]:
            return dict(zip(self.target_ids, values(seed).tolist(), strict=True))

        scale = SCALES.get(estimator, "reliability")
        given = {**(parameters or {}), **self.parameters}
        return Ceiling(estimator, given, STATISTIC, scale, by_target, self._why_undefined)

    def _why_undefined(self, target: str) -> str:
        """Why repetitions say nothing of a target."""
        number = self.target_ids.index(target)
        responses = self.repeated().padded(slice(number, number + 1))[:, :, 0]
        there = ~np.isnan(responses)
        if not there.any():
            return "no response"
        if not _spread(responses[there]):
            return "constant responses"
        constant = [
            str(repetition)
            for repetition in range(responses.shape[1])
            if not _spread(responses[there[:, repetition], repetition])
        ]
        if there.all() and constant:
            return f"constant responses in repetition {', '.join(constant)}"
        if (there.sum(1) > 1).sum() < FEWEST_REPEATED:
            return f"fewer than {FEWEST_REPEATED} stimuli have two responses"
        return "the mean of a half of the repetitions is constant, or the opposite of the other's"


def explainable(responses: Numbers) -> Numbers:
    """What NSD's ncsnr says of the variance of means, from responses (stimulus, repetition, target)."""
    n = (~np.isnan(responses)).sum(1)
    is_even = n.size and (n == n.flat[0]).all()
    n_averaged = n.flat[0] if is_even else 1 / mean_inverse(n)
    return ceilings.explainable_variance(ceilings.ncsnr(responses), n_averaged=n_averaged)


def _spread(values: Numbers) -> float:
    return float(np.ptp(values)) if values.size else 0.0
