"""Reverse ridge: a layer's units predicted from the targets, with a penalty per unit."""

from typing import Any, ClassVar

from torch import Tensor

from zoo_eval.numerics import solvers
from zoo_eval.readouts.design import Design
from zoo_eval.readouts.reverse import Reverse
from zoo_eval.readouts.ridge import ALPHAS, penalties_bytes
from zoo_eval.recordings.recording import Recording


class ReverseRidge(Reverse):
    """Ridge with the best of `ALPHAS` inside each fold's training rows, in units of their mean eigenvalue.

    It is the best for each unit that was drawn; of all units together, one penalty in common.
    """

    name: ClassVar[str] = "reverse_ridge"
    matrices: ClassVar[int] = 8
    response_copies: ClassVar[int] = 7

    @property
    def choices(self) -> dict[str, Any]:
        return super().choices | {"relative_alphas": list(ALPHAS)}

    def solver_of(self, predictors: Tensor, *, common: bool) -> solvers.Ridge:
        return solvers.Ridge(ALPHAS, common=common)

    def fitting_bytes(self, recording: Recording, n_predicted: int, design: Design) -> int:
        return penalties_bytes(recording.n_stimuli, n_predicted, len(ALPHAS), design)
