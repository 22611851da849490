"""Fits from a layer to a recording's targets: PLS and ridge under a protocol, scored fold by fold."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zoo_eval.digests import seed_from
from zoo_eval.errors import BadInput
from zoo_eval.inputs import AnyRecording
from zoo_eval.numerics import bootstrap, pls, protocols, ridge
from zoo_eval.numerics.correlation import median_defined
from zoo_eval.numerics.principal_components import reduced_gram
from zoo_eval.numerics.protocols import FoldScore
from zoo_eval.numerics.splits import Fold
from zoo_eval.recordings.recording import Recording
from zoo_eval.representations.footprint import FLOAT64_BYTES, gram_bytes
from zoo_eval.representations.grams import LayerGram
from zoo_eval.stimuli.stimulus_set import StimulusSet

# Of a Gram matrix's size, at most at once: copies, centred and by training rows; of `ridge` and of
# principal components also the eigenvectors and what LAPACK works in. About a third of them are the
# gaps in a heap that keeps what is freed.
PLS_MATRICES, RIDGE_MATRICES, REDUCTION_MATRICES = 3, 8, 6
# Of the responses' size, and of the size of a number per target and resample.
RESPONSES, RESAMPLED = 15, 10
# In units of the training Gram matrix's mean eigenvalue, so that the grid suits every layer.
ALPHAS = tuple(10.0**power for power in range(-6, 5))


@dataclass(frozen=True)
class Regression:
    """A readout fitted per target, and how folds and hyper-parameters are made.

    `pca_components` says that the Gram matrix also holds the images, behind the recording's
    stimuli, that principal components are fitted on.
    """

    readout: str
    protocol: str
    n_folds: int
    n_inner_folds: int
    components: int
    choose_components: bool = False
    alpha: float | None = None
    pca_components: int | None = None
    n_resamples: int = 200

    def check(self, recording: AnyRecording, stimuli: StimulusSet) -> None:
        """Refuses what cannot be fitted, at planning.

        Raises:
            BadInput: dissimilarities alone, too few groups or stimuli, no labels to stratify by.
        """
        where = f"{self.readout} of recording {recording.name!r}"
        if not isinstance(recording, Recording):
            raise BadInput(
                f"{where}: a recording of dissimilarities has no targets to predict; use rsa"
            )
        if self.protocol == "brainscore" and stimuli.labels is None:
            raise BadInput(
                f"{where}: protocol brainscore stratifies by label, but stimuli {stimuli.name!r} "
                "have none; give `labels` or `label_pattern`"
            )
        try:
            smallest = min(len(fold.train) for fold in self._inner_folds(stimuli))
        except ValueError as error:
            raise BadInput(
                f"{where}: stimuli {stimuli.name!r} have {len(stimuli)} images in "
                f"{len(set(stimuli.groups))} groups, too few for the {self.protocol} protocol "
                f"({error}); lower n_folds or n_inner_folds"
            ) from error
        if self.readout == "pls" and self.components >= smallest:
            raise BadInput(
                f"{where}: {self.components} PLS components, but an inner training set has only "
                f"{smallest} of the {len(stimuli)} stimuli; lower `components` or add stimuli"
            )

    def _inner_folds(self, stimuli: StimulusSet) -> list[Fold]:
        n_inner_folds = self.n_inner_folds
        if self.protocol == "brainscore":
            _, inner = protocols.brainscore_folds(_strata(stimuli), n_inner_folds=n_inner_folds)
        else:
            _, inner = protocols.nested_folds(
                stimuli.groups, n_folds=self.n_folds, n_inner_folds=n_inner_folds, seed=0
            )
        return [fold for some in inner for fold in some]

    def peak_bytes(self, recording: AnyRecording, n_images: int = 0) -> int:
        """The most that a layer's fit takes at once, besides its Gram matrix.

        `n_images` are those that principal components are fitted on.
        """
        assert isinstance(recording, Recording)
        n_stimuli, n_targets = len(recording.responses), len(recording.target_ids)
        n_folds = protocols.BRAINSCORE_SPLITS if self.protocol == "brainscore" else self.n_folds
        rows = RESPONSES * n_stimuli + RESAMPLED * self.n_resamples
        found = FLOAT64_BYTES * rows * n_targets
        if self.readout == "pls":
            for bytes_of_fold, most in (
                (pls.fold_bytes, pls.FOLDS_BYTES),
                (protocols.path_bytes, protocols.SCORES_BYTES),
            ):
                one = bytes_of_fold(n_stimuli, n_targets, self.components)
                found += max(one, min(most, n_folds * self.n_inner_folds * one))
            found += PLS_MATRICES * gram_bytes(n_stimuli)
        else:
            n_train = n_stimuli - n_stimuli // n_folds
            one = ridge.penalty_bytes(n_train, -(-n_train // self.n_inner_folds), n_targets)
            n_alphas = len(ALPHAS) if self.alpha is None else 1
            found += max(one, min(ridge.BLOCK_BYTES, n_alphas * one))
            found += RIDGE_MATRICES * gram_bytes(n_stimuli)
        # Principal components come before the fit, and leave one Gram matrix of the stimuli.
        reducing = REDUCTION_MATRICES * gram_bytes(n_images)
        reducing += 2 * FLOAT64_BYTES * n_images * n_stimuli
        reduced = gram_bytes(n_stimuli) if n_images else 0
        return reduced + max(found, reducing)

    def rows(
        self, layer: LayerGram, recording: AnyRecording, stimuli: StimulusSet, *, seed: int
    ) -> list[dict[str, Any]]:
        """One row of `neural_scores` per fold, as far as the fit knows them."""
        assert isinstance(recording, Recording)
        responses = torch.from_numpy(recording.mean).to(layer.gram.device)
        scores = self._scores(self._gram(layer, len(stimuli)), responses, stimuli, seed)
        return [
            {
                "statistic": "pearson_r",
                "fold": fold,
                "score": score.median_r,
                **self._intervals(score, responses, stimuli, seed_from(f"{seed} {fold}")),
                "r": score.r.tolist(),
                "selection_score": median_defined(score.selection_r),
                "choices": score.choice.tolist(),
                "target_ids": list(recording.target_ids),
                "n_constant_targets": int(score.r.isnan().sum()),
                "undefined": reasons(score.undefined),
            }
            for fold, score in enumerate(scores)
        ]

    def _gram(self, layer: LayerGram, n: int) -> Tensor:
        if self.pca_components is None:
            return layer.gram
        cross, fitting = layer.gram[:n, n:], layer.gram[n:, n:]
        return reduced_gram(cross, fitting, self.pca_components)

    def _scores(
        self, gram: Tensor, responses: Tensor, stimuli: StimulusSet, seed: int
    ) -> list[FoldScore]:
        if self.protocol == "brainscore":
            pls = protocols.Pls(self.components)
            return protocols.brainscore(
                gram, responses, _strata(stimuli), pls, n_inner_folds=self.n_inner_folds
            )
        run = {"nested": protocols.nested, "kfold": protocols.kfold}[self.protocol]
        # From the sweep's seed alone: every model and layer is scored on the same folds.
        return run(
            gram,
            responses,
            stimuli.groups,
            self._readout(),
            n_folds=self.n_folds,
            n_inner_folds=self.n_inner_folds,
            seed=seed,
        )

    def _readout(self) -> protocols.Readout:
        if self.readout == "pls":
            return protocols.Pls(self.components, self.choose_components)
        return protocols.Ridge(ALPHAS if self.alpha is None else (self.alpha,))

    def _intervals(
        self, score: FoldScore, responses: Tensor, stimuli: StimulusSet, seed: int
    ) -> Mapping[str, float | None]:
        """95 % intervals of the median r, over targets and over the fold's groups of stimuli."""
        n_resamples = self.n_resamples
        groups = [stimuli.groups[row] for row in score.rows.tolist()]
        medians = bootstrap.resampled_medians(
            score.r.cpu().numpy(), n_resamples=n_resamples, seed=seed
        )
        counts = bootstrap.resample_counts(groups, n_resamples=n_resamples, seed=seed)
        draws = bootstrap.resampled_pearson(
            score.predictions.cpu().numpy(), responses[score.rows].cpu().numpy(), counts
        )
        found: dict[str, float | None] = {}
        for name, values in (("score", medians), ("stimuli", bootstrap.medians_defined(draws))):
            low, high = bootstrap.percentile_interval(values)
            found |= {f"{name}_low": defined(float(low)), f"{name}_high": defined(float(high))}
        return found


def _strata(stimuli: StimulusSet) -> Sequence[int]:
    assert stimuli.labels is not None
    return stimuli.labels


def reasons(undefined: tuple[str, ...]) -> list[str] | None:
    """The reasons, or None where there is none: what the column `undefined` holds."""
    return list(undefined) if any(undefined) else None


def defined(value: float | None) -> float | None:
    """The value, or None where it is NaN: what SQL calls unknown."""
    return None if value is None or math.isnan(value) else value
