"""Networks as people have them, each of which raises something at another step."""

import sys

import torch
from torch import nn

from zoo_eval.transforms import Transform

TRANSFORM = Transform(32, 32, "bicubic", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
N_CLASSES = 1000


class Net(nn.Module):
    """Means of colours, and logits made of them."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, N_CLASSES)

    def forward(self, pixels):
        return self.head(pixels.mean((2, 3)))


def sound():
    torch.manual_seed(0)
    return Net(), TRANSFORM


def lazy():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(N_CLASSES)), TRANSFORM


def ends():
    sys.exit("usage: train.py [--epochs N]")


def recursive():
    return recursive()


class Raising(Net):
    def forward(self, pixels):
        raise AssertionError("first line\nsecond line")


def raising():
    return Raising(), TRANSFORM


class Later(Net):
    """Runs on images of no content, as it is looked at, and on no others."""

    def forward(self, pixels):
        if pixels.abs().sum() > 0:
            raise KeyError("later")
        return super().forward(pixels)


def later():
    return Later(), TRANSFORM


class Pair(Net):
    def forward(self, pixels):
        return super().forward(pixels), pixels


def pair():
    return Pair(), TRANSFORM


class Named(Net):
    def forward(self, pixels):
        return {"logits": super().forward(pixels)}


def named():
    return Named(), TRANSFORM


class Unnamed(Net):
    """Raises when anybody asks for its tensors."""

    def state_dict(self, *args, **kwargs):
        raise LookupError("no state here")


def unnamed():
    return Unnamed(), TRANSFORM


def swapped():
    return Net(), Transform(256, 224, "bicubic", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def no_network():
    return "a network"
