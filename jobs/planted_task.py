"""A planted task: two marks tell the class of an image; people, it is said, look at one of them.

Each image is noise with a bar whose orientation is the class, anywhere, and a faint spot at its upper edge
whose place tells the class as well: the confound. The human map marks the bar. Nobody looked at anything:
maps and images are both made here, to see what training with maps does.
"""

import csv
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from zoo_eval.transforms import Transform

SIDE_PX = 32
N_CLASSES = 4
# A bar's length, width and amplitude; the spot's side, and amplitude: of [0, 1].
BAR_PX, BAR_WIDTH_PX, BAR = 13, 3.0, 0.35
SPOT_PX, SPOT = 6, 0.15
NOISE = 0.06
N_SEEDS = 5

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Planted:
    """One image uint8 (row, column, RGB), its map uint8 (row, column) and its class."""

    pixels: npt.NDArray[np.uint8]
    human: npt.NDArray[np.uint8]
    label: int


def planted(rng: np.random.Generator, label: int, spot: int) -> Planted:
    """An image of a class, with the spot of a class: the same in training, another where it misleads."""
    pixels = 0.5 + NOISE * rng.normal(size=(SIDE_PX, SIDE_PX, 3))
    bar = _bar(label)
    # It never reaches into the strip of the spots.
    row = int(rng.integers(SPOT_PX, SIDE_PX - BAR_PX + 1))
    column = int(rng.integers(0, SIDE_PX - BAR_PX + 1))
    place = slice(row, row + BAR_PX), slice(column, column + BAR_PX)
    pixels[place] += BAR * bar[..., None]
    left = spot * SIDE_PX // N_CLASSES
    pixels[:SPOT_PX, left : left + SPOT_PX] += SPOT
    human = np.zeros((SIDE_PX, SIDE_PX))
    human[place] = bar
    return Planted(_levels(pixels), _levels(human), label)


def _bar(label: int) -> Values:
    """A bar with soft edges in the middle of its square, its orientation that of the class."""
    axis = np.arange(BAR_PX) - BAR_PX // 2
    angle = np.pi * label / N_CLASSES
    across = np.cos(angle) * axis[:, None] - np.sin(angle) * axis[None, :]
    inside = np.hypot(axis[:, None], axis[None, :]) <= BAR_PX / 2
    return np.asarray(np.exp(-((across / (BAR_WIDTH_PX / 2)) ** 2)) * inside)


def _levels(values: Values) -> npt.NDArray[np.uint8]:
    return (255 * values.clip(0, 1)).round().astype(np.uint8)


def write(folder: Path, n: int, seed: int, *, misled: float = 0.0) -> None:
    """Images and maps as PNG files, `images/` and `maps/`, and `labels.csv`.

    In a share `misled` of them the spot is that of another class.
    """
    for part in ("images", "maps"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, n])
    rows = []
    for number in range(n):
        label = number % N_CLASSES
        other = (label + 1 + int(rng.integers(N_CLASSES - 1))) % N_CLASSES
        spot = other if rng.random() < misled else label
        one = planted(rng, label, spot)
        name = f"{number:05d}.png"
        Image.fromarray(one.pixels).save(folder / "images" / name)
        Image.fromarray(one.human).save(folder / "maps" / name)
        rows.append([name, label])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "label"], *rows])


def network(seed: int) -> tuple[nn.Module, Transform]:
    """A small convolutional network with ImageNet's 1000 classes, of which four are used."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 12, 5, padding=2), nn.Softplus(5), nn.AvgPool2d(2),
        nn.Conv2d(12, 24, 5, padding=2), nn.Softplus(5), nn.AvgPool2d(2),
        nn.Conv2d(24, 24, 3, padding=1), nn.Softplus(5), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(24 * (SIDE_PX // 8) ** 2, 1000),
    )  # fmt: skip
    return net, Transform(SIDE_PX, SIDE_PX, "bilinear", (0.5,) * 3, (0.25,) * 3)


# Factories that a run file can name, one for each seed.
start_0, start_1, start_2, start_3, start_4 = (partial(network, seed) for seed in range(N_SEEDS))
