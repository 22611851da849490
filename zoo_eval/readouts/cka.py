"""Linear centred kernel alignment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

from torch import Tensor

from zoo_eval.numerics import bootstrap, cka
from zoo_eval.numerics.splits import Rows
from zoo_eval.readouts.similarity import Compared, Side, Similarity, of_features
from zoo_eval.recordings.recording import Recording
from zoo_eval.representations.grams import LayerGram

Kind = Literal["debiased", "plain"]


@dataclass(frozen=True)
class _Estimator:
    statistic: str
    of: Callable[[Tensor, Tensor], float]
    resampled: Callable[[bootstrap.Array, bootstrap.Array, bootstrap.Array], bootstrap.Array]


_ESTIMATORS: Mapping[Kind, _Estimator] = {
    "debiased": _Estimator("debiased_cka", cka.debiased_cka, bootstrap.resampled_debiased_cka),
    "plain": _Estimator("cka", cka.cka, bootstrap.resampled_cka),
}


class Cka(Similarity):
    """CKA of the layer's and the recording's Gram matrices, `debiased` or `plain`."""

    name: ClassVar[str] = "cka"
    matrices: ClassVar[int] = 9

    cka: Kind = "debiased"

    @property
    def statistic(self) -> str:
        return _ESTIMATORS[self.cka].statistic

    def side(self, recording: Recording, rows: Rows) -> "GramSide":
        return GramSide(recording, rows, self.cka)


@dataclass(frozen=True, eq=False)
class GramSide(Side[Tensor]):
    """The recording's Gram matrix at some stimuli."""

    kind: Kind

    @cached_property
    def reference(self) -> Tensor:
        return self.recording.gram_at(self.rows)

    def own(self, layer: LayerGram) -> Tensor:
        return self.gram(layer)

    def compared(self, own: Tensor) -> Compared:
        score = _ESTIMATORS[self.kind].of(own, self.reference)
        return of_features(score, flat=lambda: bool(cka.centred(own).isnan().any()))

    def draws(self, own: Tensor, counts: bootstrap.Array) -> bootstrap.Array:
        x, y = (cka.centred(gram).numpy() for gram in (own, self.reference))
        return _ESTIMATORS[self.kind].resampled(x, y, counts)
