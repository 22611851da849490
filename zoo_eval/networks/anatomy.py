"""Anatomy: what a network is made of and what an image costs it, known without its weights.

The libraries' own architectures come measured with the package, in `anatomies/`: one file per
library and version, written by `python -m benchmarks.anatomies`.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from zoo_eval.networks import runs
from zoo_eval.networks.runs import Layer

SHIPPED = Path(__file__).parent / "anatomies"
N_IMAGENET = 1000
# Rows and columns of an image, in pixels.
Size = tuple[int, int]
# Bare architecture, input size, n_classes.
Key = tuple[str, Size, int]
# The layer that is no module's output: what the classifier reads.
POOLED = "pooled"
COLUMNS = (
    "architecture", "input_px", "n_classes", "n_params", "zero_shot", "flops", "activation_bytes",
    "n_modules", "n_captured", "blocks", "feature_info", "pooled",
)  # fmt: skip
# Between the blocks of one stage and those of the next.
STAGE = " / "
End = Literal["input", "output"]


def pixels_text(size: Size) -> str:
    """A size as it is written: the side of a square, or rows x columns."""
    rows, columns = size
    return str(rows) if rows == columns else f"{rows}x{columns}"


def _size(text: str) -> Size:
    rows, _, columns = text.partition("x")
    return int(rows), int(columns or rows)


class Pooled(NamedTuple):
    """Where the last pooled features pass by: what a module reads or returns; `""` is the network."""

    module: str
    end: End
    n_features: int

    @classmethod
    def from_text(cls, text: str) -> "Pooled":
        where, _, n_features = text.rpartition("=")
        module, _, end = where.rpartition(":")
        return cls(module, cast("End", end), int(n_features))

    def __str__(self) -> str:
        return f"{self.module}:{self.end}={self.n_features}"


@dataclass(frozen=True)
class Anatomy:
    """A network at one input size.

    `flops` of one image's forward pass: two per multiply-add of products and convolutions, the
    rest left out. `activation_bytes`: what that pass keeps for a backward pass to the pixels.
    `stages`: each stage's blocks, and `feature_info`: timm's own choice, in network order, their
    places among the `n_modules` named modules; `n_captured` of those can be layers.
    """

    n_params: int
    n_classes: int
    zero_shot: bool
    flops: int
    activation_bytes: int
    n_modules: int
    n_captured: int = 0
    stages: tuple[tuple[Layer, ...], ...] = ()
    feature_info: tuple[Layer, ...] = ()
    pooled: Pooled | None = None

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Numbers of features by layer, of those that have a name here."""
        return {layer.name: layer.n_features for layers in self.named.values() for layer in layers}

    @cached_property
    def places(self) -> dict[str, int]:
        """Places by layer, of those that have a name here."""
        return {layer.name: layer.place for layers in self.named.values() for layer in layers}

    @property
    def named(self) -> dict[str, tuple[Layer, ...]]:
        """The layers that a choice of layers means, by its name; empty where there are none."""
        last = () if self.pooled is None else (self._pooled_layer(self.pooled),)
        return {
            "blocks": (*chain.from_iterable(self.stages), *last),
            "stages": (*(blocks[-1] for blocks in self.stages), *last),
            "feature_info": self.feature_info,
        }

    def _pooled_layer(self, pooled: Pooled) -> Layer:
        # After every module that is not the head.
        return Layer(POOLED, self.n_modules - 1, pooled.n_features)

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
        known = {
            "stages": tuple(_layers(blocks) for blocks in facts["stages"]),
            "feature_info": _layers(facts["feature_info"]),
            "pooled": None if facts["pooled"] is None else Pooled(*facts["pooled"]),
        }
        return cls(**{**facts, **known})


def _layers(facts: Iterable[Sequence[Any]]) -> tuple[Layer, ...]:
    return tuple(Layer(*one) for one in facts)


@cache
def shipped(library: str) -> dict[Key, Anatomy]:
    """The anatomies that come with the package for a library and version, e.g. timm-1.0.31."""
    path = SHIPPED / f"{library}.csv"
    return dict(read(path)) if path.is_file() else {}


def read(path: Path) -> Iterable[tuple[Key, Anatomy]]:
    """The anatomies in a file of `anatomies/`."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            key = (row["architecture"], _size(row["input_px"]), int(row["n_classes"]))
            stages = row["blocks"].split(STAGE) if row["blocks"] else ()
            yield (
                key,
                Anatomy(
                    n_params=int(row["n_params"]),
                    n_classes=key[2],
                    zero_shot=row["zero_shot"] == "yes",
                    flops=int(row["flops"]),
                    activation_bytes=int(row["activation_bytes"]),
                    n_modules=int(row["n_modules"]),
                    n_captured=int(row["n_captured"]),
                    stages=tuple(tuple(runs.from_text(blocks)) for blocks in stages),
                    feature_info=tuple(runs.from_text(row["feature_info"])),
                    pooled=Pooled.from_text(row["pooled"]) if row["pooled"] else None,
                ),
            )


def write(path: Path, rows: Mapping[Key, Anatomy]) -> None:
    """Writes a file of `anatomies/`, sorted by key."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for (architecture, size, n_classes), found in sorted(rows.items(), key=lambda row: row[0]):
            texts = {
                "architecture": architecture,
                "input_px": pixels_text(size),
                "n_classes": n_classes,
                "zero_shot": "yes" if found.zero_shot else "no",
                "blocks": STAGE.join(map(runs.to_text, found.stages)),
                "feature_info": runs.to_text(found.feature_info),
                "pooled": found.pooled or "",
            }
            writer.writerow({name: texts.get(name, getattr(found, name, "")) for name in COLUMNS})
