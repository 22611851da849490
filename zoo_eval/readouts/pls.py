"""Partial least squares: a few directions of a layer that covary most with the responses."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field

from zoo_eval.digests import digest
from zoo_eval.errors import BadInput
from zoo_eval.numerics import pls, solvers
from zoo_eval.numerics.splits import Rows
from zoo_eval.readouts.design import Design, ProtocolName
from zoo_eval.readouts.fit import Fit
from zoo_eval.recordings.recording import Recording


class Pls(Fit):
    """PLS with `components`, or with the best of 1 to `components` inside each fold's training rows.

    They are chosen under `nested` and `published`, unless `choose_components` is false. Components depend
    on every target that they are fitted to: `fit_by` names columns of the recording's targets, such as
    subject and region, and targets that differ in them are fitted apart.
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
    fit_by: tuple[str, ...] = ()

    def agree(self, protocol: ProtocolName, *, chosen: bool) -> None:
        if self.choose_components and protocol not in ("nested", "published"):
            raise ValueError('`choose_components` goes with protocol = "nested" or "published"')

    def settled(self, protocol: ProtocolName) -> Self:
        if self.choose_components is not None:
            return self
        return self.model_copy(update={"choose_components": protocol in ("nested", "published")})

    def solver(self) -> solvers.Pls:
        return solvers.Pls(self.components, bool(self.choose_components))

    @property
    def choices(self) -> dict[str, Any]:
        # All targets together is what trials without the option were.
        found = super().choices
        return found if self.fit_by else {key: found[key] for key in found if key != "fit_by"}

    def fitted_apart(self, recording: Recording) -> Sequence[Rows]:
        return recording.groups(self.fit_by) if self.fit_by else ()

    def of_recording(self, recording: Recording) -> dict[str, Any]:
        if not self.fit_by:
            return {}
        groups = [numbers.tolist() for numbers in self.fitted_apart(recording)]
        return {"fitted_together": digest(groups)}

    def check_training(self, where: str, n_training: int, n_stimuli: int) -> None:
        check_components(where, self.components, n_training, n_stimuli)

    def working_bytes(self, recording: Recording, design: Design) -> int:
        return paths_bytes(recording.n_stimuli, len(recording.target_ids), self.components, design)


def check_components(where: str, components: int, n_training: int, n_stimuli: int) -> None:
    """Raises BadInput where the smallest training set is too small for so many components."""
    if components >= n_training:
        raise BadInput(
            f"{where}: {components} PLS components, but an inner training set has only "
            f"{n_training} of the {n_stimuli} stimuli; lower `components` or add stimuli"
        )


def paths_bytes(n_stimuli: int, n_targets: int, components: int, design: Design) -> int:
    """What paths of PLS take at once, besides copies of Gram matrix and responses."""
    one = pls.fold_bytes(n_stimuli, n_targets, components)
    making = max(one, min(pls.FOLDS_BYTES, _n_fits(design) * one))
    return making + scores_bytes(n_stimuli, n_targets, components, design)


def scores_bytes(n_stimuli: int, n_targets: int, components: int, design: Design) -> int:
    """What paths of PLS that were made take while they are scored."""
    one = solvers.path_bytes(n_stimuli, n_targets, components)
    return max(one, min(solvers.SCORES_BYTES, _n_fits(design) * one))


def _n_fits(design: Design) -> int:
    return design.n_splits * design.n_inner_folds
