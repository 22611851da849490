"""An own network in an importable file, with the transform that belongs to it."""

import torch
from torch import Tensor, nn

from zoo_eval.transforms import Transform

SIDE = 32
TRANSFORM = Transform(
    input_px=SIDE,
    resize_px=SIDE,
    interpolation="bilinear",
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.3, 0.4),
)


class OwnNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 6, 5, stride=2), nn.BatchNorm2d(6), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(6, 8, 3), nn.Dropout(), nn.ReLU())
        self.head = nn.Linear(8, 1000)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x)).mean((2, 3)))


def own_net() -> OwnNet:
    torch.manual_seed(1)
    return OwnNet()


def build() -> tuple[OwnNet, Transform]:
    """What a sweep file names as a factory."""
    return own_net(), TRANSFORM
