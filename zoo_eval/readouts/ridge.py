"""Ridge regression, with a penalty per target."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from zoo_eval.numerics import ridge, solvers
from zoo_eval.readouts.design import Design, ProtocolName
from zoo_eval.readouts.fit import Fit
from zoo_eval.recordings.recording import Recording
from zoo_eval.representations.footprint import FLOAT64_BYTES

# Brain-Score's own, as in scikit-learn's Ridge(alpha).
BRAINSCORE_ALPHAS = tuple(10.0**power for power in range(-10, 11))
# In units of the training Gram matrix's mean eigenvalue, so that the grid suits every layer.
ALPHAS = tuple(10.0**power for power in range(-6, 5))
# Of the responses of the targets that are fitted at once.
BLOCK_COPIES = 6


class Ridge(Fit):
    """Ridge with the best of `ALPHAS` inside each fold's training rows, or with `alpha`.

    `alphas = "brainscore"` are the 21 penalties of Brain-Score's own ridge, in the features' units.
    """

    name: ClassVar[str] = "ridge"
    matrices: ClassVar[int] = 8
    response_copies: ClassVar[int] = 4

    alpha: Annotated[float, Field(gt=0)] | None = None
    alphas: Literal["brainscore"] | None = None

    @property
    def penalties(self) -> tuple[float, ...]:
        """Those that may be chosen; in units of the mean eigenvalue, unless they are Brain-Score's."""
        if self.alphas is not None:
            return BRAINSCORE_ALPHAS
        return ALPHAS if self.alpha is None else (self.alpha,)

    @property
    def choices(self) -> dict[str, Any]:
        if self.alphas is not None:
            return {"alphas": self.alphas}
        return {"relative_alphas": list(self.penalties)}

    def agree(self, protocol: ProtocolName, *, chosen: bool) -> None:
        if (self.alpha is not None) != (protocol == "kfold" and chosen):
            raise ValueError('`alpha` goes with ridge under protocol = "kfold", and only there')
        if self.alphas is not None and not chosen:
            raise ValueError("`alphas` goes with ridge; add it to readouts")
        if self.alphas is not None and protocol == "kfold":
            raise ValueError('`alphas` are chosen among; set protocol = "nested"')

    def solver(self) -> solvers.Ridge:
        return solvers.Ridge(self.penalties, absolute=self.alphas is not None)

    def working_bytes(self, recording: Recording, design: Design) -> int:
        n_targets = len(recording.target_ids)
        return penalties_bytes(recording.n_stimuli, n_targets, len(self.penalties), design)


def penalties_bytes(n_stimuli: int, n_targets: int, n_penalties: int, design: Design) -> int:
    """What ridge under so many penalties takes at once, besides copies of Gram matrix and responses."""
    n_train = design.n_train(n_stimuli)
    n_held_out = -(-n_train // design.n_inner_folds)
    n_targets = min(n_targets, ridge.TARGETS_AT_ONCE)
    one = ridge.penalty_bytes(n_train, n_held_out, n_targets)
    block = BLOCK_COPIES * FLOAT64_BYTES * n_stimuli * n_targets
    return block + max(one, min(ridge.BLOCK_BYTES, n_penalties * one))
