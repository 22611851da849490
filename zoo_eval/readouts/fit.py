"""Fit: readouts that predict each of a recording's targets, scored fold by fold under a protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from zoo_eval.digests import seed_from
from zoo_eval.errors import BadInput
from zoo_eval.numerics import bootstrap, intervals
from zoo_eval.numerics.correlation import median_defined
from zoo_eval.numerics.protocols import FoldScore, of_groups
from zoo_eval.numerics.response_components import ResponseComponents, response_components
from zoo_eval.numerics.solvers import Solver
from zoo_eval.numerics.splits import Rows
from zoo_eval.readouts.design import Design, has_strata
from zoo_eval.readouts.readout import Mode, Readout, Row, Scorer, defined, reasons
from zoo_eval.recordings.recording import Recording
from zoo_eval.representations.footprint import FLOAT64_BYTES, gram_bytes
from zoo_eval.representations.grams import LayerGram
from zoo_eval.stimuli.stimulus_set import StimulusSet

# Of a Gram matrix's size, at most at once, for principal components: copies, eigenvectors and what
# LAPACK works in. About a third of them are the gaps in a heap that keeps what is freed.
REDUCTION_MATRICES = 6
# Of the size of a number per target and resample.
RESAMPLED = 10


class Fit(Readout):
    """Base of fits: a readout says what is fitted, and what memory that takes.

    `matrices` are copies of a Gram matrix's training part, at most at once, centred; those of
    an eigendecomposition and of what LAPACK works in too. About a third of them are gaps.
    `response_copies` are of the responses, predictions among them.
    """

    mode: ClassVar[Mode] = "fit"
    matrices: ClassVar[int] = 3
    response_copies: ClassVar[int] = 15

    @property
    def statistic(self) -> str:
        return "pearson_r"

    def solver(self) -> Solver:
        """What is fitted."""
        raise NotImplementedError

    def fitted_apart(self, recording: Recording) -> Sequence[Rows]:
        """Numbers of the targets that are fitted together, where not all of them are; else ()."""
        return ()

    def working_bytes(self, recording: Recording, design: Design) -> int:
        """What its solver takes at once besides copies of Gram matrix, responses and resamples."""
        return 0

    def check_training(self, where: str, n_training: int, n_stimuli: int) -> None:
        """Raises BadInput where the smallest training set, inside a fold, is too small for it."""

    def parameters(self, design: Design) -> Row:
        return super().parameters(design) | {"n_inner_folds": design.n_inner_folds}

    def check(self, recording: Recording, stimuli: StimulusSet, design: Design) -> None:
        """Refuses what cannot be fitted, at planning.

        Raises:
            BadInput: dissimilarities alone, too few groups or stimuli, no labels to stratify by.
        """
        where = f"{self.name} of recording {recording.name!r}"
        recording.check_targets(str(self.name))
        if design.is_stratified and not has_strata(stimuli):
            raise BadInput(
                f"{where}: protocol {design.protocol} stratifies by label, but stimuli "
                f"{stimuli.name!r} have none; give `labels` or `label_pattern`, or the `strata` of a "
                "Brain-Score set"
            )
        try:
            smallest = min(len(fold.train) for fold in design.inner_folds(stimuli))
        except ValueError as error:
            raise BadInput(
                f"{where}: stimuli {stimuli.name!r} have {len(stimuli)} images in "
                f"{len(set(stimuli.groups))} groups, too few for the {design.protocol} protocol "
                f"({error}); lower n_folds or n_inner_folds"
            ) from error
        self.check_training(where, smallest, len(stimuli))

    def peak_bytes(self, recording: Recording, design: Design) -> int:
        n_stimuli, n_targets = recording.n_stimuli, len(recording.target_ids)
        rows = self.response_copies * n_stimuli + RESAMPLED * design.n_resamples
        # Targets that did not answer all stimuli are fitted on a part of the Gram matrix.
        parted = 2 * gram_bytes(n_stimuli) * (len(recording.complete) < n_stimuli)
        fitting = FLOAT64_BYTES * rows * n_targets + parted
        fitting += self.matrices * gram_bytes(design.n_train(n_stimuli))
        fitting += self.working_bytes(recording, design)
        # Principal components come before the fit, and leave one Gram matrix of the stimuli.
        n_images = design.n_images
        reducing = REDUCTION_MATRICES * gram_bytes(n_images)
        reducing += 2 * FLOAT64_BYTES * n_images * n_stimuli
        reduced = gram_bytes(n_stimuli) if n_images else 0
        return reduced + max(fitting, reducing)

    def scorer(
        self, recording: Recording, stimuli: StimulusSet, design: Design, device: torch.device
    ) -> Scorer:
        apart = self.fitted_apart(recording)
        return _Fitted(self.solver(), recording, stimuli, design, device, apart)


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A solver with all that it is fitted to but the layer."""

    solver: Solver
    recording: Recording
    stimuli: StimulusSet
    design: Design
    device: torch.device
    apart: Sequence[Rows] = ()
    components: dict[int, ResponseComponents] = field(default_factory=dict)

    @cached_property
    def responses(self) -> Tensor:
        return torch.from_numpy(self.recording.mean).to(self.device)

    def __call__(self, layer: LayerGram) -> list[Row]:
        """One row of `neural_scores` per fold."""
        gram = self.design.reduced(layer.on(self.device).gram, len(self.stimuli))
        return [self._row(fold, score) for fold, score in enumerate(self._scores(gram))]

    def _scores(self, gram: Tensor) -> list[FoldScore]:
        if not self.apart:
            return self.design.scores(gram, self.responses, self.stimuli, self.solver)
        parts = [
            self.design.scores(gram, self.responses[:, targets], self.stimuli, self.solver)
            for targets in self.apart
        ]
        return [of_groups(self.apart, scores) for scores in zip(*parts, strict=True)]

    def _row(self, fold: int, score: FoldScore) -> Row:
        return {
            "fold": fold,
            "score": score.median_r,
            **fold_intervals(score, fold, self.responses, self.stimuli, self.design),
            "r": score.r.tolist(),
            "selection_score": median_defined(score.selection_r),
            "choices": score.choice.tolist(),
            "target_ids": list(self.recording.target_ids),
            "n_constant_targets": int(score.r.isnan().sum()),
            "undefined": reasons(score.undefined),
            "n_stimuli": len(score.rows),
            "n_observed": None if score.is_complete else score.n_observed.tolist(),
            "n_sets": score.n_sets,
            "pc_r": self._components(fold)
            .r(score.predictions, self.responses[score.rows])
            .tolist(),
        }

    def _components(self, fold: int) -> ResponseComponents:
        """Those of the stimuli that a fold trains on: what is tested has no part in them."""
        if fold not in self.components:
            train = torch.from_numpy(self.design.training_rows(self.stimuli)[fold])
            self.components[fold] = response_components(self.responses[train.to(self.device)])
        return self.components[fold]


def fold_intervals(
    score: FoldScore, fold: int, observed: Tensor, stimuli: StimulusSet, design: Design
) -> Mapping[str, float | None]:
    """95 % intervals of a fold's median r, over what is predicted and over its groups of stimuli.

    `observed` is what was predicted, at all stimuli (stimulus, target).
    """
    n_resamples, r = design.n_resamples, score.r.cpu().numpy()
    seed = seed_from(f"{design.seed} {fold}")
    groups = [stimuli.groups[row] for row in score.rows.tolist()]
    medians = bootstrap.resampled_medians(r, n_resamples=n_resamples, seed=seed)
    counts = bootstrap.resample_counts(groups, n_resamples=n_resamples, seed=seed)
    draws = bootstrap.resampled_pearson(
        score.predictions.cpu().numpy(), observed[score.rows].cpu().numpy(), counts
    )
    found: dict[str, float | None] = {}
    for name, values, n_drawn in (
        ("score", medians, int(np.isfinite(r).sum())),
        ("stimuli", bootstrap.medians_defined(draws), len(set(groups))),
    ):
        low, high = intervals.percentile_interval(values, n_drawn=n_drawn)
        found |= {f"{name}_low": defined(float(low)), f"{name}_high": defined(float(high))}
    return found
