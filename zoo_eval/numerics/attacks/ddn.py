"""DDN: decoupled direction and norm (Rony et al. 2019, arXiv 1811.09600), through Foolbox."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from foolbox.attacks.ddn import DDNAttack
from torch import Tensor

from zoo_eval.numerics.attacks import foolbox_adapter

MARGIN = 10.0


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
        return foolbox_adapter.run(attack, _rescaled(logits, images), images, labels)

    def passes_per_image(self) -> int:
        return 1 + 2 * self.steps


@torch.no_grad()
def _rescaled(logits: Callable[[Tensor], Tensor], images: Tensor) -> Callable[[Tensor], Tensor]:
    """The same decisions with each image's logits scaled to a clean margin of `MARGIN`.

    The minimum does not depend on the scale, but the cross-entropy that DDN follows does: with a
    large margin its float32 gradient is exactly zero and the attack wanders at random; with a
    small one it pulls towards all classes at once instead of the nearest boundary.
    """
    first, second = logits(images).topk(2, dim=1).values.unbind(1)
    scale = ((first - second) / MARGIN).clamp(min=torch.finfo(first.dtype).tiny)[:, None]
    return lambda batch: logits(batch) / scale
