"""Procrustes: what is left between two sets of points when one is rotated, moved and scaled."""

from functools import cached_property
from typing import ClassVar

from torch import Tensor

from zoo_eval.numerics import bootstrap, procrustes
from zoo_eval.numerics.splits import Rows
from zoo_eval.readouts.similarity import Compared, Side, Similarity, of_features
from zoo_eval.recordings.recording import Recording
from zoo_eval.representations.grams import LayerGram

# A resample takes a singular value decomposition of so many columns at most.
MOST_RANK = 256


class Procrustes(Similarity):
    """The nuclear-norm shape similarity, 1 for features that are rotated, moved or scaled."""

    name: ClassVar[str] = "procrustes"
    matrices: ClassVar[int] = 7
    most_resamples: ClassVar[int] = 50

    @property
    def statistic(self) -> str:
        return "shape_similarity"

    def check_recording(self, recording: Recording) -> None:
        recording.check_points(self.name)

    def side(self, recording: Recording, rows: Rows) -> "FactorSide":
        return FactorSide(recording, rows)


class FactorSide(Side[Tensor]):
    """A factor of the recording's Gram matrix at some stimuli: points at their distances."""

    @cached_property
    def factor(self) -> Tensor:
        return procrustes.factor(self.recording.gram_at(self.rows))

    def own(self, layer: LayerGram) -> Tensor:
        return procrustes.factor(self.gram(layer))

    def compared(self, own: Tensor) -> Compared:
        score = procrustes.shape_similarity(own, self.factor)
        return of_features(score, flat=lambda: own.shape[1] == 0)

    def draws(self, own: Tensor, counts: bootstrap.Array) -> bootstrap.Array | None:
        if min(own.shape[1], self.factor.shape[1]) > MOST_RANK:
            return None
        return bootstrap.resampled_shape_similarity(own, self.factor, counts)
