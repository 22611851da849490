"""Reverse: readouts that predict a layer's units from a recording's targets; who explains whom.

Targets that answered every stimulus that is looked at are the predictors, averaged over repetitions. A
seeded draw of the layer's units is predicted unit by unit, and all of its units at once as far as
their variance goes, which follows from the layer's Gram matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from zoo_eval.errors import BadInput
from zoo_eval.numerics.correlation import deviations, median_defined
from zoo_eval.numerics.protocols import FoldScore
from zoo_eval.numerics.rotated import rotated, variance_explained
from zoo_eval.numerics.solvers import Solver
from zoo_eval.numerics.splits import Rows
from zoo_eval.readouts.design import Design, ProtocolName
from zoo_eval.readouts.fit import RESAMPLED, Fit, fold_intervals
from zoo_eval.readouts.readout import Mode, Row, Scorer, defined, reasons
from zoo_eval.recordings.recording import Numbers, Recording
from zoo_eval.representations.footprint import FLOAT64_BYTES, gram_bytes
from zoo_eval.representations.grams import LayerGram
from zoo_eval.stimuli.stimulus_set import StimulusSet

MOST_UNITS = 1000
# What a fit of targets calls responses are activations here.
CONSTANT = {"constant responses": "constant activations"}


class Reverse(Fit):
    """Base of fits from targets to units: `n_units` of each layer are drawn, at most.

    `matrices` and `response_copies` are as for `Fit`, the units being what is predicted.
    """

    mode: ClassVar[Mode] = "reverse"
    scored_under: ClassVar[tuple[ProtocolName, ...]] = ("nested", "published")

    n_units: Annotated[int, Field(ge=1, le=MOST_UNITS)] = MOST_UNITS

    @property
    def n_drawn(self) -> int | None:
        return self.n_units

    def solver_of(self, predictors: Tensor, *, common: bool) -> Solver:
        """What is fitted from predictors (stimulus, target), choosing for each unit, or in common for all."""
        raise NotImplementedError

    def fitting_bytes(self, recording: Recording, n_predicted: int, design: Design) -> int:
        """What its solver takes at once besides copies of Gram matrix and of what is predicted."""
        return 0

    def check(self, recording: Recording, stimuli: StimulusSet, design: Design) -> None:
        super().check(recording, stimuli, design)
        if len(recording.complete_targets):
            return
        rows = _looked_at(recording, design)
        if design.split is None or not len(_complete(recording.mean[rows])):
            raise BadInput(
                f"{self.name} of recording {recording.name!r}: no target answered all of the "
                f"{len(rows)} stimuli, and units are predicted from those that did; leave out stimuli "
                "that many targets did not answer"
            )

    def kept_bytes(self, recording: Recording, design: Design) -> int:
        n = recording.n_stimuli
        return gram_bytes(n) + FLOAT64_BYTES * n * len(recording.target_ids)

    def peak_bytes(self, recording: Recording, design: Design) -> int:
        n = recording.n_stimuli
        # The draw is fitted first, then as many rotated units as there are stimuli.
        drawn = FLOAT64_BYTES * RESAMPLED * design.n_resamples * self.n_units
        drawn += self._predicting_bytes(recording, self.n_units, design)
        return max(drawn, self._predicting_bytes(recording, n, design))

    def _predicting_bytes(self, recording: Recording, n_predicted: int, design: Design) -> int:
        found = self.matrices * gram_bytes(recording.n_stimuli)
        found += FLOAT64_BYTES * self.response_copies * recording.n_stimuli * n_predicted
        return found + self.fitting_bytes(recording, n_predicted, design)

    def scorer(
        self, recording: Recording, stimuli: StimulusSet, design: Design, device: torch.device
    ) -> Scorer:
        return _Reversed(self, recording, stimuli, design, device)


def _looked_at(recording: Recording, design: Design) -> Rows:
    """The stimuli that are trained or tested on, ascending."""
    if design.split is None:
        return np.arange(recording.n_stimuli)
    fold = design.split.fold
    return np.sort(np.concatenate([fold.train, fold.test]))


def _complete(responses: Numbers) -> Rows:
    """Numbers of the targets that answered all of some stimuli (stimulus, target)."""
    found: Rows = np.flatnonzero(~np.isnan(responses).any(0))
    return found


@dataclass(frozen=True, eq=False)
class _Reversed:
    """A recording ready to predict any layer's units."""

    readout: Reverse
    recording: Recording
    stimuli: StimulusSet
    design: Design
    device: torch.device

    @cached_property
    def _predictors(self) -> Tensor:
        """Centred responses of those that predict (stimulus, target), 0 at stimuli that are not looked at."""
        rows = _looked_at(self.recording, self.design)
        given = self.recording.mean[rows]
        given = given[:, _complete(given)]
        found = torch.zeros(self.recording.n_stimuli, given.shape[1], dtype=torch.float64)
        found[rows] = deviations(torch.from_numpy(given))
        return found.to(self.device)

    @cached_property
    def _gram(self) -> Tensor:
        return self._predictors @ self._predictors.T

    def __call__(self, layer: LayerGram) -> list[Row]:
        """One row of `neural_scores` per fold."""
        assert layer.units is not None
        drawn = self._drawn(layer)
        shares = self._variance_explained(layer.on(self.device).gram, len(drawn))
        n_predictors = self._predictors.shape[1]
        return [
            row | {"n_predictors": n_predictors, "variance_explained": defined(share)}
            for row, share in zip(drawn, shares, strict=True)
        ]

    def _scores(self, predicted: Tensor, *, common: bool) -> list[FoldScore]:
        solver = self.readout.solver_of(self._predictors, common=common)
        return self.design.scores(self._gram, predicted, self.stimuli, solver)

    def _drawn(self, layer: LayerGram) -> list[Row]:
        """The scores of the units that were drawn, fold by fold."""
        assert layer.units is not None
        units = layer.units.values.to(self.device).double()
        names = [str(number) for number in layer.units.numbers.tolist()]
        scores = self._scores(units, common=False)
        return [self._row(fold, score, units, names) for fold, score in enumerate(scores)]

    def _row(self, fold: int, score: FoldScore, units: Tensor, names: Sequence[str]) -> Row:
        return {
            "fold": fold,
            "score": score.median_r,
            **fold_intervals(score, fold, units, self.stimuli, self.design),
            "r": score.r.tolist(),
            "selection_score": median_defined(score.selection_r),
            "choices": score.choice.tolist(),
            "target_ids": names,
            "n_constant_targets": int(score.r.isnan().sum()),
            "undefined": reasons(tuple(CONSTANT.get(why, why) for why in score.undefined)),
            "n_stimuli": len(score.rows),
        }

    def _variance_explained(self, gram: Tensor, n_folds: int) -> list[float]:
        """Of all units, fold by fold; NaN where the layer is constant."""
        units = rotated(gram)
        if units is None:
            return [float("nan")] * n_folds
        training = self.design.training_rows(self.stimuli)
        return [
            variance_explained(
                score.predictions,
                units[score.rows],
                units[torch.from_numpy(rows).to(self.device)].mean(0),
            )
            for score, rows in zip(self._scores(units, common=True), training, strict=True)
        ]
