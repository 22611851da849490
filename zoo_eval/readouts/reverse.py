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
from zoo_eval.recordings.recording import Recording
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

    def solver_of(self, *, common: bool) -> Solver:
        """What is fitted, its choices made for each unit, or in common for all."""
        raise NotImplementedError

    def solver(self) -> Solver:
        return self.solver_of(common=False)

    def fitting_bytes(self, n_stimuli: int, n_predicted: int, design: Design) -> int:
        """What its solver takes at once besides copies of Gram matrix and of what is predicted."""
        return 0

    def check(self, recording: Recording, stimuli: StimulusSet, design: Design) -> None:
        super().check(recording, stimuli, design)
        # Without gaps every target is one, whether or not the responses are made yet.
        if len(recording.complete) < recording.n_stimuli:
            rows = _looked_at(recording, design)
            if not _complete(recording, rows).any():
                raise BadInput(
                    f"{self.name} of recording {recording.name!r}: no target answered all of the "
                    f"{len(rows)} stimuli, and units are predicted from those that did; leave out stimuli "
                    "or targets with many gaps"
                )

    def kept_bytes(self, recording: Recording, design: Design) -> int:
        return gram_bytes(recording.n_stimuli)

    def peak_bytes(self, recording: Recording, design: Design) -> int:
        n = recording.n_stimuli
        # The draw is fitted first, then as many rotated units as there are stimuli.
        drawn = FLOAT64_BYTES * RESAMPLED * design.n_resamples * self.n_units
        drawn += self._predicting_bytes(n, self.n_units, design)
        return max(drawn, self._predicting_bytes(n, n, design))

    def _predicting_bytes(self, n_stimuli: int, n_predicted: int, design: Design) -> int:
        found = self.matrices * gram_bytes(n_stimuli)
        found += FLOAT64_BYTES * self.response_copies * n_stimuli * n_predicted
        return found + self.fitting_bytes(n_stimuli, n_predicted, design)

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


def _complete(recording: Recording, rows: Rows) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which targets answered all of some stimuli (target,)."""
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = ~np.isnan(recording.mean[rows]).any(0)
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
    def _predictors(self) -> tuple[Tensor, int]:
        """The Gram matrix of the predictors (stimulus, stimulus), 0 where none is looked at; how many."""
        rows = _looked_at(self.recording, self.design)
        complete = _complete(self.recording, rows)
        responses = deviations(torch.from_numpy(self.recording.mean[rows][:, complete]))
        n = self.recording.n_stimuli
        gram = torch.zeros(n, n, dtype=torch.float64)
        gram[np.ix_(rows, rows)] = responses @ responses.T
        return gram.to(self.device), int(complete.sum())

    def __call__(self, layer: LayerGram) -> list[Row]:
        """One row of `neural_scores` per fold."""
        assert layer.units is not None
        drawn = self._drawn(layer)
        shares = self._variance_explained(layer.on(self.device).gram, len(drawn))
        n_predictors = self._predictors[1]
        return [
            row | {"n_predictors": n_predictors, "variance_explained": defined(share)}
            for row, share in zip(drawn, shares, strict=True)
        ]

    def _scores(self, predicted: Tensor, *, common: bool) -> list[FoldScore]:
        solver = self.readout.solver_of(common=common)
        return self.design.scores(self._predictors[0], predicted, self.stimuli, solver)

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
