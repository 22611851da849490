"""Partial least squares: a few directions of a layer that covary most with the responses."""

from typing import Annotated, ClassVar, Self

from pydantic import Field

from zoo_eval.errors import BadInput
from zoo_eval.numerics import pls, solvers
from zoo_eval.readouts.design import Design, ProtocolName
from zoo_eval.readouts.fit import Fit
from zoo_eval.recordings.recording import Recording


class Pls(Fit):
    """PLS with `components`, or with the best of 1 to `components` inside each fold's training rows.

    They are chosen under `nested` and `published`, unless `choose_components` is false.
    """

    name: ClassVar[str] = "pls"
    scored_under: ClassVar[tuple[ProtocolName, ...]] = (
        "nested",
        "kfold",
        "brainscore",
        "published",
    )

    components: Annotated[int, Field(ge=1)] = 25
    choose_components: bool | None = None

    def agree(self, protocol: ProtocolName, *, chosen: bool) -> None:
        if self.choose_components and protocol not in ("nested", "published"):
            raise ValueError('`choose_components` goes with protocol = "nested" or "published"')

    def settled(self, protocol: ProtocolName) -> Self:
        if self.choose_components is not None:
            return self
        return self.model_copy(update={"choose_components": protocol in ("nested", "published")})

    def solver(self) -> solvers.Pls:
        return solvers.Pls(self.components, bool(self.choose_components))

    def check_training(self, where: str, n_training: int, n_stimuli: int) -> None:
        if self.components >= n_training:
            raise BadInput(
                f"{where}: {self.components} PLS components, but an inner training set has only "
                f"{n_training} of the {n_stimuli} stimuli; lower `components` or add stimuli"
            )

    def working_bytes(self, recording: Recording, design: Design) -> int:
        n_stimuli, n_targets = recording.n_stimuli, len(recording.target_ids)
        n_fits = design.n_splits * design.n_inner_folds
        found = 0
        for bytes_of_fold, most in (
            (pls.fold_bytes, pls.FOLDS_BYTES),
            (solvers.path_bytes, solvers.SCORES_BYTES),
        ):
            one = bytes_of_fold(n_stimuli, n_targets, self.components)
            found += max(one, min(most, n_fits * one))
        return found
