"""Probe: how fast this machine runs networks, found in a second, before anything was measured."""

import time
from dataclasses import dataclass
from functools import cache
from statistics import median

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

SECONDS = 1.0
# Images at once, and the side of each: small, so that a slow core finishes several in the second.
ON_CPU, ON_GPU = (4, 112), (64, 224)


@dataclass(frozen=True)
class Probed:
    """FLOPs per second (two per multiply-add), and what that rests on."""

    flops_per_s: float
    how: str


@cache
def probed(n_threads: int | None = None) -> Probed:
    """What a small convolution network gets of this machine in float32, forward; asked once.

    `n_threads` is how many of the CPU's threads a slot has; None asks the first GPU, if there is one, or
    as many threads as PyTorch has now.
    """
    if n_threads is None and torch.cuda.is_available():
        device = torch.device("cuda:0")
        return Probed(_rate(device, *ON_GPU), _how(torch.cuda.get_device_name(device)))
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads or before)
    try:
        n = torch.get_num_threads()
        where = "one CPU thread" if n == 1 else f"{n} CPU threads"
        return Probed(_rate(torch.device("cpu"), *ON_CPU), _how(where))
    finally:
        torch.set_num_threads(before)


def _how(where: str) -> str:
    return f"probed here for a second on {where} (a GPU or another machine has its own)"


def _rate(device: torch.device, n_images: int, side: int) -> float:
    # Random numbers are drawn for the weights: whoever set a seed before this is not to notice.
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.no_grad():
        net = _net().eval().to(device)
        images = torch.ones(n_images, 3, side, side, device=device)
        with FlopCounterMode(display=False) as counter:
            net(images)
        _wait(device)
        took: list[float] = []
        began = time.perf_counter()
        while not took or time.perf_counter() - began < SECONDS:
            start = time.perf_counter()
            net(images)
            _wait(device)
            took.append(time.perf_counter() - start)
    # Whatever else had the processor for some of them says nothing of the machine.
    return float(counter.get_total_flops()) / median(took)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _net() -> nn.Module:
    """Plain, depthwise and pointwise convolutions, as the networks of a zoo mix them."""
    return nn.Sequential(
        *_convolution(3, 32, stride=2),
        _Block(32),
        *_convolution(32, 32),
        *_convolution(32, 64, stride=2),
        _Block(64),
        *_convolution(64, 64),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 1000),
    )


def _convolution(
    n_in: int, n_out: int, *, side: int = 3, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    padding = side // 2
    convolution = nn.Conv2d(n_in, n_out, side, stride, padding, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(n_out), nn.ReLU()]


class _Block(nn.Module):
    """An inverted bottleneck with its shortcut."""

    def __init__(self, width: int, expansion: int = 4) -> None:
        super().__init__()
        inner = expansion * width
        self.inside = nn.Sequential(
            *_convolution(width, inner, side=1),
            *_convolution(inner, inner, groups=inner),
            *_convolution(inner, width, side=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        inside: Tensor = self.inside(features)
        return features + inside
