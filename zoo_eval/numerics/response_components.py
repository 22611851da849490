"""Principal components of responses: in which of a recording's own directions predictions are right."""

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_eval.numerics.correlation import deviations, pearson
from zoo_eval.numerics.ridge import target_parts

N_COMPONENTS = 10
# Of the largest variance: below it a direction is rounding.
SMALLEST = 1e-12


@dataclass(frozen=True, eq=False)
class ResponseComponents:
    """Leading principal components of some targets' responses, most variance first.

    targets: numbers of the targets, those that answered every stimulus.
    axes: unit vectors (target, component).
    """

    targets: Tensor
    axes: Tensor

    def r(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """Pearson r over stimuli of both sides' projections: (component,), NaN where one is constant.

        Args:
            predicted: (stimulus, target), of all targets.
            observed: the same of what was measured.
        """
        sides = (side[:, self.targets] @ self.axes for side in (predicted, observed))
        return pearson(*sides)


def response_components(responses: Tensor, n: int = N_COMPONENTS) -> ResponseComponents:
    """The first components of responses, at most as many as they have directions.

    Args:
        responses: float64 (stimulus, target); targets with a NaN are left out.
        n: how many.
    """
    complete = (~responses.isnan().any(0)).nonzero()[:, 0]
    # On the smaller side; never all of the deviations at once, where targets are many.
    if len(complete) <= len(responses):
        centred = deviations(responses[:, complete])
        values, axes = torch.linalg.eigh(centred.T @ centred)
    else:
        parts = [complete[some] for some in target_parts(len(complete))]
        products = responses.new_zeros(len(responses), len(responses))
        for some in parts:
            centred = deviations(responses[:, some])
            products += centred @ centred.T
        values, scores = torch.linalg.eigh(products)
        scores /= values.clamp(min=0).sqrt().where(values > 0, torch.inf)
        scores = scores[:, -n:]
        axes = torch.cat([deviations(responses[:, some]).T @ scores for some in parts])
        values = values[-n:]
    largest = values[-1] if len(values) else responses.new_zeros(())
    kept = (values > SMALLEST * largest).nonzero()[:, 0].flip(0)[:n]
    return ResponseComponents(complete, axes[:, kept])
