"""Ridge regression, with a penalty per target."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from zoo_eval.numerics import protocols, ridge
from zoo_eval.readouts.design import Design, ProtocolName
from zoo_eval.readouts.fit import Fit
from zoo_eval.recordings.recording import Recording

# In units of the training Gram matrix's mean eigenvalue, so that the grid suits every layer.
ALPHAS = tuple(10.0**power for power in range(-6, 5))


class Ridge(Fit):
    """Ridge with the best of `ALPHAS` inside each fold's training rows, or with `alpha`."""

    name: ClassVar[str] = "ridge"
    matrices: ClassVar[int] = 8

    alpha: Annotated[float, Field(gt=0)] | None = None

    @property
    def relative_alphas(self) -> tuple[float, ...]:
        """The penalties that may be chosen, in units of the mean eigenvalue."""
        return ALPHAS if self.alpha is None else (self.alpha,)

    @property
    def choices(self) -> dict[str, Any]:
        found = super().choices | {"relative_alphas": list(self.relative_alphas)}
        del found["alpha"]
        return found

    def agree(self, protocol: ProtocolName, *, chosen: bool) -> None:
        if (self.alpha is not None) != (protocol == "kfold" and chosen):
            raise ValueError('`alpha` goes with ridge under protocol = "kfold", and only there')

    def solver(self) -> protocols.Ridge:
        return protocols.Ridge(self.relative_alphas)

    def working_bytes(self, recording: Recording, design: Design) -> int:
        n_train = recording.n_stimuli - recording.n_stimuli // design.n_splits
        n_held_out = -(-n_train // design.n_inner_folds)
        one = ridge.penalty_bytes(n_train, n_held_out, len(recording.target_ids))
        return max(one, min(ridge.BLOCK_BYTES, len(self.relative_alphas) * one))
