"""An attack made of a function, and small networks without a known minimum."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class PlantedAttack:
    """Whatever `rule` does with logits, images and labels."""

    rule: Callable[..., Tensor]
    batched: bool = True
    norm: str = "l2"
    bound: float = float("inf")
    blind_bound: float = float("inf")

    def perturb(self, logits, images, labels):
        return self.rule(logits, images, labels)

    def passes_per_image(self):
        return 1


def network(seed=0, *, n_classes=10, scale=1.0):
    """A random convolutional network of 3 x 8 x 8 images, logits (image, class), no batch effects."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2, padding=1),
        nn.ReLU(), nn.Flatten(), nn.Linear(256, n_classes),
    )  # fmt: skip
    net.requires_grad_(False)
    return lambda images: scale * net(images * 4 - 2)
