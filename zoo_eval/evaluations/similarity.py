"""Similarity readouts: RSA, CKA and Procrustes between a layer and a recording, without a fit.

Scored over all stimuli, and fold by fold: over a fold's test stimuli, with the similarity over its
training stimuli beside it, so that a layer can be chosen without looking at the score.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zoo_eval.errors import BadInput
from zoo_eval.evaluations.ceilings import STATISTICS
from zoo_eval.inputs import AnyRecording
from zoo_eval.numerics import bootstrap, cka, procrustes, rsa
from zoo_eval.numerics.splits import Fold, Rows, grouped_folds
from zoo_eval.recordings import Recording
from zoo_eval.recordings.rdm import RdmRecording
from zoo_eval.representations import LayerGram

Readout = Literal["rsa", "cka", "procrustes"]
CkaKind = Literal["debiased", "plain"]
# Debiased CKA divides by n - 3.
FEWEST_STIMULI = 4


@dataclass(frozen=True)
class Measure:
    """How alike a layer and a recording are: one readout and its choices."""

    readout: Readout
    dissimilarity: rsa.Dissimilarity = "correlation"
    comparison: rsa.Comparison = "spearman"
    cka: CkaKind = "debiased"

    @property
    def statistic(self) -> str:
        """The name of what is measured, as in the column `statistic`."""
        if self.readout == "rsa":
            return STATISTICS[self.comparison]
        if self.readout == "cka":
            return "debiased_cka" if self.cka == "debiased" else "cka"
        return "shape_similarity"


@dataclass(frozen=True)
class Similarity:
    """Over all stimuli (`fold` None) or a fold's: with the recording, and with each subject's RDM.

    `selection` is the same over the fold's training stimuli; `low` and `high` a 95 % bootstrap
    interval over stimuli. NaN where it is undefined, None where it does not apply.
    """

    fold: int | None
    score: float
    subjects: tuple[float, ...] | None
    selection: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class Reference:
    """A recording ready to be compared with: what needs no layer is computed once.

    `folds` are those of the stimulus set, the same for every layer and model.
    """

    measure: Measure
    recording: AnyRecording
    groups: Sequence[str]
    n_folds: int
    seed: int
    _sides: dict[int | str, "_Side"] = field(default_factory=dict)

    def scores(self, layer: LayerGram, *, n_resamples: int) -> list[Similarity]:
        """The layer's similarity over all stimuli, then fold by fold.

        Intervals are of RSA's linear comparisons; Spearman's ranks are those of the whole set.
        """
        found = [self._whole(layer, n_resamples)]
        for number, fold in enumerate(self._folds):
            score, subjects = self._side(number, fold.test).compared(layer)
            selection, _ = self._side(f"{number} training", fold.train).compared(layer)
            found.append(Similarity(number, score, subjects, selection))
        return found

    @cached_property
    def _folds(self) -> Sequence[Fold]:
        return grouped_folds(self.groups, n_folds=self.n_folds, seed=self.seed)

    def _whole(self, layer: LayerGram, n_resamples: int) -> Similarity:
        side = self._side("all", np.arange(len(self.groups)))
        if self.measure.readout != "rsa":
            return Similarity(None, *side.compared(layer))
        own = side.layer_rdm(layer)
        score, subjects = side.compared_rdm(own)
        low, high = side.interval(own, n_resamples=n_resamples, seed=self.seed)
        return Similarity(None, score, subjects, None, low, high)

    def _side(self, name: int | str, rows: Rows) -> "_Side":
        if name not in self._sides:
            self._sides[name] = _Side(self.measure, self.recording, rows)
        return self._sides[name]


@dataclass(frozen=True, eq=False)
class _Side:
    """The recording at some stimuli."""

    measure: Measure
    recording: AnyRecording
    rows: Rows

    @cached_property
    def subjects(self) -> list[rsa.Rdm]:
        """RDMs of the subjects; one of the mean responses where there are responses."""
        if isinstance(self.recording, RdmRecording):
            rdms = torch.from_numpy(self.recording.rdms)[:, self.rows][:, :, self.rows]
            return [rsa.Rdm(rsa.condensed(one)) for one in rdms]
        responses = torch.from_numpy(self.recording.mean[self.rows])
        found = rsa.feature_dissimilarities(responses, self.measure.dissimilarity)
        return [rsa.Rdm(found)]

    @cached_property
    def rdm(self) -> rsa.Rdm:
        return rsa.mean_rdm(self.subjects)

    @cached_property
    def gram(self) -> Tensor:
        if isinstance(self.recording, RdmRecording):
            squared = torch.from_numpy(self.recording.rdms.mean(0))
            return rsa.gram_of_squared_distances(squared[self.rows][:, self.rows])
        responses = torch.from_numpy(self.recording.mean[self.rows])
        return responses @ responses.T

    @cached_property
    def factor(self) -> Tensor:
        return procrustes.factor(self.gram)

    def compared(self, layer: LayerGram) -> tuple[float, tuple[float, ...] | None]:
        """The layer's similarity with the recording and, for RDMs of several, with each subject."""
        if self.measure.readout != "rsa":
            gram = layer.gram.cpu()[self.rows][:, self.rows]
            if self.measure.readout == "procrustes":
                return procrustes.shape_similarity(procrustes.factor(gram), self.factor), None
            kinds: dict[CkaKind, Callable[[Tensor, Tensor], float]] = {
                "debiased": cka.debiased_cka,
                "plain": cka.cka,
            }
            return kinds[self.measure.cka](gram, self.gram), None
        return self.compared_rdm(self.layer_rdm(layer))

    def compared_rdm(self, own: rsa.Rdm) -> tuple[float, tuple[float, ...] | None]:
        """The same for a layer's RDM at these stimuli."""
        comparison = self.measure.comparison
        score = rsa.compare(own, self.rdm, comparison)
        if isinstance(self.recording, Recording):
            return score, None
        return score, tuple(rsa.compare(own, one, comparison) for one in self.subjects)

    def layer_rdm(self, layer: LayerGram) -> rsa.Rdm:
        """The layer's dissimilarities at these stimuli."""
        rows = torch.from_numpy(self.rows)
        gram, sums = layer.gram.cpu()[rows][:, rows], layer.row_sums.cpu()[rows]
        kind = self.measure.dissimilarity
        return rsa.Rdm(rsa.dissimilarities(gram, sums, layer.n_features, kind))

    def interval(
        self, own: rsa.Rdm, *, n_resamples: int, seed: int
    ) -> tuple[float | None, float | None]:
        """A bootstrap over stimuli of a layer's RDM; None for a comparison that is not linear."""
        if self.measure.comparison not in ("pearson", "spearman"):
            return None, None
        if not (own.varies and self.rdm.varies):
            return None, None
        counts = bootstrap.resample_counts(len(self.rows), n_resamples=n_resamples, seed=seed)
        x, y = (self._square(rdm) for rdm in (own, self.rdm))
        draws = bootstrap.resampled_rdm_pearson(x, y, counts)
        low, high = bootstrap.percentile_interval(draws)
        return float(low), float(high)

    def _square(self, rdm: rsa.Rdm) -> bootstrap.Array:
        ranked = self.measure.comparison == "spearman"
        values = rdm.rank_deviation if ranked else rdm.deviation
        n = len(self.rows)
        square = np.zeros((n, n))
        square[np.triu_indices(n, 1)] = values.numpy()
        return square + square.T


def check(measure: Measure, recording: AnyRecording, groups: Sequence[str], n_folds: int) -> None:
    """Refuses what cannot be measured, at planning.

    Raises:
        BadInput: too few stimuli for the folds, a single target, or dissimilarities of an unknown
            kind where inner products are needed.
    """
    where = f"{measure.readout} of recording {recording.name!r}"
    try:
        folds = grouped_folds(groups, n_folds=n_folds, seed=0)
    except ValueError as error:
        raise BadInput(f"{where}: {error}; lower n_folds") from error
    if (fewest := min(len(fold.test) for fold in folds)) < FEWEST_STIMULI:
        raise BadInput(
            f"{where}: a test fold has {fewest} of the {len(groups)} stimuli, at least "
            f"{FEWEST_STIMULI} are needed; lower n_folds or add stimuli"
        )
    if isinstance(recording, RdmRecording):
        if measure.readout != "rsa" and recording.dissimilarity != "squared_euclidean":
            raise BadInput(
                f"{where} needs inner products, which follow from squared Euclidean distances "
                'only; set dissimilarity = "squared_euclidean" if these are, or use rsa'
            )
    elif measure.readout == "rsa" and measure.dissimilarity != "squared_euclidean":
        n_targets = len(recording.target_ids)
        if n_targets < (3 if measure.dissimilarity == "correlation" else 2):
            raise BadInput(
                f"{where}: {measure.dissimilarity} dissimilarities of {n_targets} targets say "
                'nothing; set dissimilarity = "squared_euclidean"'
            )
