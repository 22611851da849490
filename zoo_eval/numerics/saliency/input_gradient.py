"""Input gradient: how the true class's logit changes with each pixel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from zoo_eval.numerics.saliency.method import Logits, checked, gradient


@dataclass(frozen=True)
class InputGradient:
    """The gradient of the true class's logit (Simonyan et al. 2014; Fel et al. 2022)."""

    name: ClassVar[str] = "input_gradient"
    published_reduction: ClassVar[str] = "abs_max"

    @property
    def n_passes(self) -> int:
        return 1

    def attribute(
        self, logits: Logits, images: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Tensor:
        return gradient(checked(logits, labels), images, labels)
