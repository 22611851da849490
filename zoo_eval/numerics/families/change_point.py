"""Change point: where the slope of a line changes, and whether it does, over families.

The statistic is sup-F: the largest F, over the places where it may change, of a change of slope
(Andrews 1993, Econometrica 61:821). Where it changes is unknown when it does not, so that the largest has no
table; here it is compared with what it is if the line were true: a wild cluster bootstrap, in which all
residuals of a family keep their size and turn round together (Cameron, Gelbach & Miller 2008), with Webb's
six weights, as families are few.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo_eval.numerics.families.families import Families
from zoo_eval.numerics.families.shapes import breaks, hinged

Array = npt.NDArray[np.float64]

# Webb 2014: mean 0, variance 1.
WEBB = np.sqrt(np.array([0.5, 1.0, 1.5])) * np.array([[1], [-1]])
FEWEST_MODELS = 8


@dataclass(frozen=True)
class ChangePoint:
    """Where the slope changes most, the slopes on either side, and p of "it does not change"."""

    where: float
    before: float
    after: float
    p_value: float


def change_point(
    x: Array, y: Array, families: Families, *, n_resamples: int = 999, seed: int = 0
) -> ChangePoint | None:
    """The test; None with fewer than eight values of x or three families, or where y is on a line.

    Args:
        x: (model,), finite.
        y: (model,), finite.
        families: of the models.
        n_resamples: of the bootstrap.
        seed: of its weights.
    """
    if len(np.unique(x)) < FEWEST_MODELS or len(families.names) < 3:
        return None
    at = (x - x.min()) / np.ptp(x)
    line = np.linalg.qr(np.column_stack([np.ones(len(at)), at]))[0]
    straight = line @ (line.T @ y)
    left = y - straight
    if (left**2).sum() <= 1e-20 * max(float((y**2).sum()), 1e-300):
        return None
    places = breaks(at)
    hinges = _beyond(np.maximum(at[:, None] - places, 0), line)
    drawn = np.random.default_rng(seed).choice(
        WEBB.ravel(), size=(n_resamples, len(families.names))
    )
    turned = _beyond((drawn[:, families.codes] * left).T, line).T
    scores = _explained(left[None], hinges)
    largest = _explained(turned, hinges).max(1)
    where = float(places[int(scores[0].argmax())])
    _, before, change = np.linalg.lstsq(hinged(at, where), y, rcond=None)[0]
    unit = float(np.ptp(x))
    p = (1 + int((largest >= scores.max() * (1 - 1e-10)).sum())) / (1 + n_resamples)
    return ChangePoint(float(x.min() + where * unit), before / unit, (before + change) / unit, p)


def _beyond(columns: Array, line: Array) -> Array:
    """What a line does not explain of (model, ...)."""
    found: Array = columns - line @ (line.T @ columns)
    return found


def _explained(left: Array, hinges: Array) -> Array:
    """The share of what is left (resample, model) that each hinge explains: (resample, place).

    F is (n - 3) share / (1 - share): larger where this is.
    """
    sizes = (hinges**2).sum(0)
    usable = np.where(sizes > 1e-12, sizes, np.inf)
    shares: Array = (left @ hinges) ** 2 / usable / (left**2).sum(1, keepdims=True)
    return shares
