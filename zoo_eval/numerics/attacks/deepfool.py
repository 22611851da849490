"""DeepFool (Moosavi-Dezfooli et al. 2016, arXiv 1511.04599), through Foolbox."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from foolbox.attacks.deepfool import L2DeepFoolAttack
from torch import Tensor

from zoo_eval.numerics.attacks import foolbox_adapter


@dataclass(frozen=True)
class DeepFool:
    """Repeated steps to the nearest linearised boundary among the `candidates` likeliest classes."""

    # Foolbox goes on with the whole batch until its last image is solved.
    batched: ClassVar[bool] = False

    steps: int = 50
    candidates: int = 10
    overshoot: float = 0.02

    def __post_init__(self) -> None:
        if self.steps < 1 or self.candidates < 2 or self.overshoot < 0:
            raise ValueError("deepfool needs steps >= 1, candidates >= 2 and overshoot >= 0")

    def perturb(self, logits: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
        attack = L2DeepFoolAttack(
            steps=self.steps, candidates=self.candidates, overshoot=self.overshoot
        )
        return foolbox_adapter.run(attack, logits, images, labels)

    def passes_per_image(self) -> int:
        return 1 + 2 * self.steps * (self.candidates - 1)
