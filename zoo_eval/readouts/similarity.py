"""Similarity readouts: RSA, CKA and Procrustes between a layer and a recording, without a fit.

Scored over all stimuli, and fold by fold: over a fold's test stimuli, with the similarity over its
training stimuli beside it, so that a layer can be chosen without looking at the score.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from math import isnan
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zoo_eval.errors import BadInput
from zoo_eval.inputs import AnyRecording
from zoo_eval.numerics import bootstrap, cka, procrustes, rsa
from zoo_eval.numerics.rsa import STATISTICS
from zoo_eval.numerics.splits import Fold, Rows, grouped_folds
from zoo_eval.recordings.rdm import RdmRecording
from zoo_eval.recordings.recording import Recording
from zoo_eval.representations.footprint import FLOAT64_BYTES, gram_bytes
from zoo_eval.representations.grams import LayerGram

Readout = Literal["rsa", "cka", "procrustes"]
CkaKind = Literal["debiased", "plain"]
# Of a Gram matrix's size, at most at once besides it: most of them while stimuli are resampled. About
# a fourth of them are the gaps in a heap that keeps what is freed.
MATRICES: Mapping[Readout, int] = {"rsa": 11, "cka": 9, "procrustes": 7}
# The same, where the recording's own are averaged first.
MEAN = 3
# Of the size of a number per stimulus and resample.
RESAMPLED = 6
# Kept of an RDM, in units of it: its deviations, or order and ranks.
DIRECTION, RANKING = 1.0, 1.5
# Debiased CKA divides by n - 3.
FEWEST_STIMULI = 4
# A resample of Kendall's tau-a takes as long as the RDMs themselves: milliseconds up to here.
MOST_KENDALL_STIMULI = 512
# A resample of Procrustes takes a singular value decomposition of so many columns at most.
MOST_PROCRUSTES_RANK = 256
MOST_PROCRUSTES_RESAMPLES = 50


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

    `undefined` says why, per subject or of the score, "" where there is a number. `selection` is
    the score over the fold's training stimuli; `low` and `high` a 95 % bootstrap interval over
    stimuli. NaN where it is undefined, None where it does not apply.
    """

    fold: int | None
    score: float
    subjects: tuple[float, ...] | None
    undefined: tuple[str, ...]
    selection: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class Reference:
    """A recording ready to be compared with: what needs no layer is computed once.

    `folds` are those of the stimulus set, the same for every layer and model; each has its part of
    the recording, kept as long as this is.
    """

    measure: Measure
    recording: AnyRecording
    groups: Sequence[str]
    n_folds: int
    seed: int
    _sides: dict[int | str, "_Side"] = field(default_factory=dict)

    @property
    def _n_subjects(self) -> int:
        """How many RDMs the recording has; 0 where it has responses."""
        return len(self.recording.subject_ids) if isinstance(self.recording, RdmRecording) else 0

    @property
    def kept_bytes(self) -> int:
        """What the recording's sides take once they are known."""
        n, k = len(self.groups), self.n_folds
        # All stimuli, and the test and training stimuli of each fold.
        n_pairs = gram_bytes(n) * (1 + 1 / k + (k - 1) ** 2 / k)
        if self.measure.readout != "rsa":
            return int(n_pairs)
        # Those of several subjects have a mean beside them.
        n_rdms = 1 if self._n_subjects < 2 else self._n_subjects + 1
        kept = RANKING if self.measure.comparison == "kendall_tau_a" else DIRECTION
        return int(n_pairs / 2 * n_rdms * (1 + kept))

    def peak_bytes(self, n_resamples: int) -> int:
        """The most that a layer's scores take at once, besides its Gram matrix and what is kept."""
        n, n_matrices = len(self.groups), MATRICES[self.measure.readout]
        if self._n_subjects:
            n_matrices += MEAN
        if self.measure.readout == "rsa":
            n_matrices += self._n_subjects // 2
        return n_matrices * gram_bytes(n) + RESAMPLED * FLOAT64_BYTES * n_resamples * n

    def scores(self, layer: LayerGram, *, n_resamples: int) -> list[Similarity]:
        """The layer's similarity over all stimuli, with its interval, then fold by fold."""
        found = [self._whole(layer, n_resamples)]
        for number, fold in enumerate(self._folds):
            test = self._side(number, fold.test)
            score, subjects, undefined = test.compared(test.own(layer))
            training = self._side(f"{number} training", fold.train)
            selection = training.compared(training.own(layer))[0]
            found.append(Similarity(number, score, subjects, undefined, selection))
        return found

    @cached_property
    def _folds(self) -> Sequence[Fold]:
        return grouped_folds(self.groups, n_folds=self.n_folds, seed=self.seed)

    def _whole(self, layer: LayerGram, n_resamples: int) -> Similarity:
        side = self._side("all", np.arange(len(self.groups)))
        own = side.own(layer)
        score, subjects, undefined = side.compared(own)
        low, high = side.interval(own, self.groups, n_resamples=n_resamples, seed=self.seed)
        return Similarity(None, score, subjects, undefined, None, low, high)

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
            rdms = torch.from_numpy(self.recording.rdms)
            return [rsa.Rdm(rsa.condensed(one[self.rows][:, self.rows])) for one in rdms]
        responses = torch.from_numpy(self.recording.mean[self.rows])
        found = rsa.feature_dissimilarities(responses, self.measure.dissimilarity)
        return [rsa.Rdm(found)]

    @cached_property
    def rdm(self) -> rsa.Rdm:
        return rsa.mean_rdm(self.subjects)

    @cached_property
    def gram(self) -> Tensor:
        return self._gram()

    @cached_property
    def factor(self) -> Tensor:
        return procrustes.factor(self._gram())

    def _gram(self) -> Tensor:
        """Kept for `cka` alone: `procrustes` keeps its factor."""
        if isinstance(self.recording, RdmRecording):
            squared = torch.from_numpy(self.recording.rdms.mean(0))
            return rsa.gram_of_squared_distances(squared[self.rows][:, self.rows])
        responses = torch.from_numpy(self.recording.mean[self.rows])
        return responses @ responses.T

    def own(self, layer: LayerGram) -> "Own":
        """What of the layer is compared: its RDM, Gram matrix or factor at these stimuli."""
        rows, gram = torch.from_numpy(self.rows), layer.gram.cpu()
        if len(rows) < len(gram):
            gram = gram[rows][:, rows]
        if self.measure.readout == "procrustes":
            return procrustes.factor(gram)
        if self.measure.readout == "cka":
            return gram
        sums, kind = layer.row_sums.cpu()[rows], self.measure.dissimilarity
        return rsa.Rdm(rsa.dissimilarities(gram, sums, layer.n_features, kind))

    def compared(self, own: "Own") -> tuple[float, tuple[float, ...] | None, tuple[str, ...]]:
        """The score, each subject's where there are RDMs, and why they are undefined."""
        if isinstance(own, rsa.Rdm):
            comparison = self.measure.comparison
            if isinstance(self.recording, Recording):
                score = rsa.compare(own, self.rdm, comparison)
                return score, None, (self._reason(score, own, self.rdm),)
            score, *subjects = rsa.compare_with_each(own, [self.rdm, *self.subjects], comparison)
            undefined = (
                self._reason(value, own, one)
                for value, one in zip(subjects, self.subjects, strict=True)
            )
            return score, tuple(subjects), tuple(undefined)
        if self.measure.readout == "procrustes":
            score = procrustes.shape_similarity(own, self.factor)
        else:
            score = _CKA[self.measure.cka](own, self.gram)
        if not isnan(score):
            return score, None, ("",)
        is_factor = self.measure.readout == "procrustes"
        flat = own.shape[1] == 0 if is_factor else bool(cka.centred(own).isnan().any())
        return score, None, ("constant features" if flat else "constant responses",)

    def _reason(self, score: float, own: rsa.Rdm, reference: rsa.Rdm) -> str:
        if not isnan(score):
            return ""
        for side, whose in ((own, "the layer"), (reference, "the recording")):
            if not side.is_finite:
                return f"a dissimilarity of {whose} is undefined"
            if not side.varies:
                return f"constant dissimilarities of {whose}"
        return ""

    def interval(
        self, own: "Own", groups: Sequence[str], *, n_resamples: int, seed: int
    ) -> tuple[float | None, float | None]:
        """A bootstrap over groups of stimuli; None where undefined or where it would take too long."""
        if self.measure.readout == "procrustes":
            n_resamples = min(n_resamples, MOST_PROCRUSTES_RESAMPLES)
        counts = bootstrap.resample_counts(groups, n_resamples=n_resamples, seed=seed)
        draws = self._draws(own, counts)
        if draws is None or np.isnan(draws).all():
            return None, None
        low, high = bootstrap.percentile_interval(draws)
        return float(low), float(high)

    def _draws(self, own: "Own", counts: bootstrap.Array) -> bootstrap.Array | None:
        """The similarity in each resample; Spearman's ranks are those of the whole set."""
        if isinstance(own, rsa.Rdm):
            return self._rdm_draws(own, counts)
        if self.measure.readout == "cka":
            resampled = (
                bootstrap.resampled_debiased_cka
                if self.measure.cka == "debiased"
                else bootstrap.resampled_cka
            )
            return resampled(cka.centred(own).numpy(), cka.centred(self.gram).numpy(), counts)
        if min(own.shape[1], self.factor.shape[1]) > MOST_PROCRUSTES_RANK:
            return None
        return bootstrap.resampled_shape_similarity(own, self.factor, counts)

    def _rdm_draws(self, own: rsa.Rdm, counts: bootstrap.Array) -> bootstrap.Array | None:
        if not (own.varies and self.rdm.varies):
            return None
        comparison = self.measure.comparison
        if comparison == "kendall_tau_a":
            if len(self.rows) > MOST_KENDALL_STIMULI:
                return None
            return bootstrap.resampled_rdm_tau_a(own.ranking, self.rdm.ranking, counts)
        x, y = (self._square(rsa.DIRECTIONS[comparison](rdm)) for rdm in (own, self.rdm))
        if comparison == "cosine":
            return bootstrap.resampled_rdm_cosine(x, y, counts)
        return bootstrap.resampled_rdm_pearson(x, y, counts)

    def _square(self, values: Tensor) -> bootstrap.Array:
        n = len(self.rows)
        square = np.zeros((n, n))
        square[np.triu_indices(n, 1)] = values.numpy()
        return square + square.T


# What of a layer is compared: of `rsa` its RDM, of `cka` its Gram matrix, of `procrustes` a factor.
Own = rsa.Rdm | Tensor
_CKA: dict[CkaKind, Callable[[Tensor, Tensor], float]] = {
    "debiased": cka.debiased_cka,
    "plain": cka.cka,
}


@lru_cache(maxsize=16)
def _not_of_points(recording: RdmRecording) -> str | None:
    """Why the mean RDM is of no points in any space; once per recording, not per model."""
    squared = torch.from_numpy(recording.rdms.mean(0))
    try:
        procrustes.factor(rsa.gram_of_squared_distances(squared))
    except ValueError as error:
        return str(error)
    return None


def check(measure: Measure, recording: AnyRecording, groups: Sequence[str], n_folds: int) -> None:
    """Refuses what cannot be measured, at planning.

    Raises:
        BadInput: too few stimuli for the folds, a single target, or dissimilarities of an unknown
            kind, or of no points, where inner products are needed.
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
        if measure.readout == "procrustes" and (why := _not_of_points(recording)):
            raise BadInput(
                f"{where} needs distances between points, and these mean RDM's are not ({why}), as "
                "cross-validated distances often are not; use rsa or cka"
            )
    elif measure.readout == "rsa" and measure.dissimilarity != "squared_euclidean":
        n_targets = len(recording.target_ids)
        if n_targets < (3 if measure.dissimilarity == "correlation" else 2):
            raise BadInput(
                f"{where}: {measure.dissimilarity} dissimilarities of {n_targets} targets say "
                'nothing; set dissimilarity = "squared_euclidean"'
            )
