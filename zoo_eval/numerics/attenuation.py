"""Attenuation: what a correlation with noisy responses would be without their noise (Spearman 1904)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from zoo_eval.numerics.intervals import FEWEST_DRAWN

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Corrected:
    """A score over the root of its reliability, with a 95 % interval that counts the errors of both.

    `low_known` and `high_known` are the ends if the reliability were known without error.
    """

    value: float | None
    low: float | None
    high: float | None
    low_known: float | None
    high_known: float | None
    n_targets: int
    no_interval: str | None


def corrected(
    scores: Array, reliabilities: Array, *, n_resamples: int = 2000, seed: int = 0
) -> Corrected:
    """V = median score / sqrt(median reliability) over targets, with their errors over targets.

    Delta method on the logarithm: var(log v) = var(s) / s^2 + var(c) / (4 c^2) - cov(s, c) / (s c), in
    which s and c are the medians, and their variances and covariance those of resamples of the targets,
    the same for both. Student's t with one degree less than there are targets.

    Args:
        scores: r of each target (target,).
        reliabilities: of the same targets (target,), on the scale of squared correlations; targets that
            lack either are left out.
        n_resamples: of the targets.
        seed: of the resampling.
    """
    known = np.isfinite(scores) & np.isfinite(reliabilities)
    sides = np.stack([scores[known], reliabilities[known]])
    n_targets = sides.shape[1]

    def nothing(value: float | None, why: str) -> Corrected:
        return Corrected(value, None, None, None, None, n_targets, why)

    if not n_targets:
        return nothing(None, "no target has both a score and a reliability")
    s, c = map(float, np.median(sides, axis=1))
    if c <= 0:
        return nothing(None, "the median reliability is not above zero")
    value = s / c**0.5
    if n_targets < FEWEST_DRAWN:
        return nothing(value, f"an interval takes {FEWEST_DRAWN} targets")
    if s <= 0:
        return nothing(value, "the score is not above zero: it has no logarithm")
    rows = np.random.default_rng(seed).integers(n_targets, size=(n_resamples, n_targets))
    spread = np.cov(np.median(sides[:, rows], axis=2))
    alone = spread[0, 0] / s**2
    both = alone + spread[1, 1] / (4 * c**2) - spread[0, 1] / (s * c)
    t = float(stdtrit(n_targets - 1, 0.975))
    factor, factor_known = (float(np.exp(t * max(one, 0.0) ** 0.5)) for one in (both, alone))
    ends = (value / factor, value * factor)
    ends_known = (value / factor_known, value * factor_known)
    return Corrected(value, *ends, *ends_known, n_targets, None)
