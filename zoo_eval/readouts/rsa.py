"""Representational similarity analysis: a comparison of two RDMs."""

from dataclasses import dataclass
from functools import cached_property
from math import isnan
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from zoo_eval.numerics import bootstrap, rsa
from zoo_eval.numerics.rsa import STATISTICS, Comparison, Dissimilarity, Rdm
from zoo_eval.numerics.splits import Rows
from zoo_eval.readouts.similarity import Compared, Side, Similarity
from zoo_eval.recordings.recording import Recording
from zoo_eval.representations.grams import LayerGram

# A resample of Kendall's tau-a takes as long as the RDMs themselves: milliseconds up to here.
MOST_KENDALL_STIMULI = 512
# Kept of an RDM, in units of it: its deviations, or order and ranks.
DIRECTION, RANKING = 1.0, 1.5


class Rsa(Similarity):
    """RSA: the layer's dissimilarities, by `comparison` with the recording's."""

    name: ClassVar[str] = "rsa"
    matrices: ClassVar[int] = 11

    dissimilarity: Dissimilarity = "correlation"
    comparison: Comparison = "spearman"

    @property
    def statistic(self) -> str:
        return STATISTICS[self.comparison]

    @property
    def ceiling_choices(self) -> dict[str, Any]:
        return {"comparison": self.comparison}

    def check_recording(self, recording: Recording) -> None:
        recording.check_rdms(self.name, self.dissimilarity)

    def kept_matrices(self, recording: Recording) -> float:
        # Those of several subjects have a mean beside them.
        n_subjects = len(recording.subject_ids)
        n_rdms = 1 if n_subjects < 2 else n_subjects + 1
        kept = RANKING if self.comparison == "kendall_tau_a" else DIRECTION
        return n_rdms * (1 + kept) / 2

    def working_matrices(self, recording: Recording) -> int:
        return super().working_matrices(recording) + len(recording.subject_ids) // 2

    def side(self, recording: Recording, rows: Rows) -> "RdmSide":
        return RdmSide(recording, rows, self)


@dataclass(frozen=True, eq=False)
class RdmSide(Side[Rdm]):
    """The recording's RDMs at some stimuli."""

    readout: Rsa

    @cached_property
    def subjects(self) -> list[Rdm]:
        """RDMs of the subjects; one of the mean responses where there are responses."""
        return self.recording.rdms_at(self.rows, self.readout.dissimilarity)

    @cached_property
    def rdm(self) -> Rdm:
        return rsa.mean_rdm(self.subjects)

    def own(self, layer: LayerGram) -> Rdm:
        sums = layer.row_sums.cpu()[torch.from_numpy(self.rows)]
        kind = self.readout.dissimilarity
        return Rdm(rsa.dissimilarities(self.gram(layer), sums, layer.n_features, kind))

    def compared(self, own: Rdm) -> Compared:
        comparison = self.readout.comparison
        if not self.recording.subject_ids:
            score = rsa.compare(own, self.rdm, comparison)
            return Compared(score, (_reason(score, own, self.rdm),))
        score, *subjects = rsa.compare_with_each(own, [self.rdm, *self.subjects], comparison)
        undefined = (
            _reason(value, own, one) for value, one in zip(subjects, self.subjects, strict=True)
        )
        return Compared(score, tuple(undefined), tuple(subjects))

    def draws(self, own: Rdm, counts: bootstrap.Array) -> bootstrap.Array | None:
        """The similarity in each resample; Spearman's ranks are those of the whole set."""
        if not (own.varies and self.rdm.varies):
            return None
        comparison = self.readout.comparison
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


def _reason(score: float, own: Rdm, reference: Rdm) -> str:
    if not isnan(score):
        return ""
    for side, whose in ((own, "the layer"), (reference, "the recording")):
        if not side.is_finite:
            return f"a dissimilarity of {whose} is undefined"
        if not side.varies:
            return f"constant dissimilarities of {whose}"
    return ""
