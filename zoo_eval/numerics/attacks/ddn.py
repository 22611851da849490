"""DDN: decoupled direction and norm (Rony et al. 2019, arXiv 1811.09600), through Foolbox."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from foolbox.attacks.ddn import DDNAttack
from torch import Tensor

from zoo_eval.numerics.attacks import foolbox_adapter


@dataclass(frozen=True)
class DDN:
    """The norm grows or shrinks by `gamma` each step; the direction follows the gradient."""

    batched: ClassVar[bool] = True

    steps: int = 100
    init_epsilon: float = 1.0
    gamma: float = 0.05

    def __post_init__(self) -> None:
        if self.steps < 1 or self.init_epsilon <= 0 or not 0 < self.gamma < 1:
            raise ValueError("ddn needs steps >= 1, init_epsilon > 0 and 0 < gamma < 1")

    def perturb(self, logits: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
        attack = DDNAttack(steps=self.steps, init_epsilon=self.init_epsilon, gamma=self.gamma)
        return foolbox_adapter.run(attack, logits, images, labels)

    def passes_per_image(self) -> int:
        return 2 * self.steps
