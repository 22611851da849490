"""Minimal attacks by name: frozen values that turn images into nearby misclassified ones.

An attack is offered here only while it passes the closed-form suite in tests/numerics/attacks.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from torch import Tensor

from zoo_eval.numerics.attacks.ddn import DDN
from zoo_eval.numerics.attacks.deepfool import DeepFool

Logits = Callable[[Tensor], Tensor]


class Attack(Protocol):
    """Searches the smallest l2 perturbation that changes the prediction.

    `batched` says whether an image in a larger batch costs no more passes than alone.
    """

    batched: ClassVar[bool]

    def perturb(self, logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        """Images (image, channel, row, column) in [0, 1] -> candidates of the same shape."""
        ...

    def passes_per_image(self) -> int:
        """Forward and backward passes per image that the attack may make at most."""
        ...


ATTACKS: Mapping[str, Callable[..., Attack]] = {"ddn": DDN, "deepfool": DeepFool}


def build(name: str, options: Mapping[str, Any]) -> Attack:
    """The named attack with its options.

    Raises:
        KeyError: no such attack in the registry.
        TypeError: no such option.
        ValueError: an option out of range.
    """
    return ATTACKS[name](**options)
