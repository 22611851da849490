"""Anatomy: what a network is made of and what an image costs it, known without its weights.

The libraries' own architectures come measured with the package, in `anatomies/`: one file per
library and version, written by `python -m benchmarks.anatomies`.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

SHIPPED = Path(__file__).parent / "anatomies"
N_IMAGENET = 1000
# Rows and columns of an image, in pixels.
Size = tuple[int, int]
# Bare architecture, input size, n_classes.
Key = tuple[str, Size, int]


def pixels_text(size: Size) -> str:
    """A size as it is written: the side of a square, or rows x columns."""
    rows, columns = size
    return str(rows) if rows == columns else f"{rows}x{columns}"


def _size(text: str) -> Size:
    rows, _, columns = text.partition("x")
    return int(rows), int(columns or rows)


class Block(NamedTuple):
    """One of a network's blocks: its position among the modules, and the numbers it gives an image."""

    name: str
    place: int
    n_features: int

    @classmethod
    def from_text(cls, text: str) -> "Block":
        name, _, numbers = text.rpartition("=")
        place, n_features = numbers.split(":")
        return cls(name, int(place), int(n_features))

    def __str__(self) -> str:
        return f"{self.name}={self.place}:{self.n_features}"


@dataclass(frozen=True)
class Anatomy:
    """A network at one input size.

    `flops` of one image's forward pass: two per multiply-add of products and convolutions, the
    rest left out. `activation_bytes`: what that pass keeps for a backward pass to the pixels.
    `blocks` in network order, their positions among the `n_modules` named modules.
    """

    n_params: int
    n_classes: int
    zero_shot: bool
    flops: int
    activation_bytes: int
    n_modules: int
    blocks: tuple[Block, ...]

    @property
    def head(self) -> str:
        """What the logits stand for: `imagenet1k`, `zero_shot`, `other:N` or `none`."""
        if self.zero_shot:
            return "zero_shot"
        if self.n_classes == N_IMAGENET:
            return "imagenet1k"
        return f"other:{self.n_classes}" if self.n_classes else "none"

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> "Anatomy":
        return cls(**{**facts, "blocks": tuple(Block(*block) for block in facts["blocks"])})


@cache
def shipped(library: str) -> dict[Key, Anatomy]:
    """The anatomies that come with the package for a library and version, e.g. timm-1.0.31."""
    path = SHIPPED / f"{library}.csv"
    return dict(read(path)) if path.is_file() else {}


def read(path: Path) -> Iterable[tuple[Key, Anatomy]]:
    """The anatomies in a file of `data/anatomies/`."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            key = (row["architecture"], _size(row["input_px"]), int(row["n_classes"]))
            yield (
                key,
                Anatomy(
                    n_params=int(row["n_params"]),
                    n_classes=key[2],
                    zero_shot=row["zero_shot"] == "yes",
                    flops=int(row["flops"]),
                    activation_bytes=int(row["activation_bytes"]),
                    n_modules=int(row["n_modules"]),
                    blocks=tuple(map(Block.from_text, row["blocks"].split())),
                ),
            )


def write(path: Path, rows: Mapping[Key, Anatomy]) -> None:
    """Writes a file of `data/anatomies/`, sorted by key."""
    facts = ("n_params", "zero_shot", "flops", "activation_bytes", "n_modules", "blocks")
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["architecture", "input_px", "n_classes", *facts])
        for (architecture, size, n_classes), found in sorted(rows.items()):
            named = " ".join(map(str, found.blocks))
            zero_shot = "yes" if found.zero_shot else "no"
            writer.writerow(
                [architecture, pixels_text(size), n_classes, found.n_params, zero_shot, found.flops,
                 found.activation_bytes, found.n_modules, named]
            )  # fmt: skip
