"""Reverse PLS: a few directions of the targets that covary most with a layer's units."""

from typing import Annotated, ClassVar, Self

from pydantic import Field
from torch import Tensor

from zoo_eval.numerics import pls, solvers
from zoo_eval.readouts.design import Design, ProtocolName
from zoo_eval.readouts.pls import check_components, paths_bytes, scores_bytes
from zoo_eval.readouts.reverse import Reverse
from zoo_eval.recordings.recording import Recording
from zoo_eval.representations.footprint import FLOAT64_BYTES

# Of targets and what is predicted: their covariance, its decomposition, and what LAPACK works in.
COVARIANCES = 4


class ReversePls(Reverse):
    """PLS from the targets with `components`, or with the best of 1 to `components`, as for `pls`.

    Components depend on all that is predicted: those of the units that were drawn are their own, the
    best number being chosen for each; those of all units are of all, with one number in common.
    """

    name: ClassVar[str] = "reverse_pls"
    scored_under: ClassVar[tuple[ProtocolName, ...]] = ("nested", "kfold", "published")

    components: Annotated[int, Field(ge=1)] = 25
    choose_components: bool | None = None

    response_copies: ClassVar[int] = 6

    def settled(self, protocol: ProtocolName) -> Self:
        if self.choose_components is not None:
            return self
        return self.model_copy(update={"choose_components": protocol != "kfold"})

    def solver_of(self, predictors: Tensor, *, common: bool) -> solvers.Pls:
        return solvers.Pls(self.components, bool(self.choose_components), common, predictors)

    def check_training(self, where: str, n_training: int, n_stimuli: int) -> None:
        check_components(where, self.components, n_training, n_stimuli)

    def fitting_bytes(self, recording: Recording, n_predicted: int, design: Design) -> int:
        n_stimuli, n_targets = recording.n_stimuli, len(recording.target_ids)
        if n_targets >= min(n_predicted, n_stimuli):
            return paths_bytes(n_stimuli, n_predicted, self.components, design)
        # Fold by fold, with no more directions than there are targets.
        covariances = COVARIANCES * FLOAT64_BYTES * n_targets * n_predicted
        fold = pls.fold_bytes(n_stimuli, n_targets, self.components)
        return covariances + fold + scores_bytes(n_stimuli, n_predicted, self.components, design)
