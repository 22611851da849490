"""Where model cards come from: one file per source, each answering the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    # The catalogue is listed without PyTorch.
    from torch import nn

    from zoo_eval.catalog import ModelCard
    from zoo_eval.transforms import Transform

# Untrained networks are the same everywhere.
INITIAL_SEED = 0


@dataclass(frozen=True)
class Variant:
    """What an architecture's shape hangs on, besides its input size.

    `library` is its library and version, e.g. timm-1.0.31; `architecture` has lost its weights.
    """

    library: str
    architecture: str
    n_classes: int


class Source(Protocol):
    """What a source answers about its architectures, named PREFIX/NAME; a module is enough.

    Raises:
        Refusal: from every method but `cards`: no such architecture, or it cannot be used.
    """

    def cards(self) -> Sequence[ModelCard]:
        """A card for every pretrained checkpoint of the source."""
        ...

    def family(self, architecture: str) -> str:
        """The family of an architecture, e.g. efficientnet; empty if unknown."""
        ...

    def skeleton(self, architecture: str) -> nn.Module:
        """The network that weights are loaded into, on the meta device: names and shapes only."""
        ...

    def outline(self, architecture: str) -> nn.Module:
        """The network as it is evaluated, on the meta device where its code runs there."""
        ...

    def variant(self, architecture: str) -> Variant | None:
        """What its shape hangs on; None for own code, which has no version."""
        ...

    def initial(self, architecture: str) -> nn.Module:
        """The same network with its own initialisation, from a fixed seed."""
        ...

    def classifier(
        self, net: nn.Module, architecture: str, weights_digest: str | None
    ) -> nn.Module:
        """The network as it is evaluated, normalised pixels in and logits out; None: untrained."""
        ...

    def transform(self, architecture: str, input_px: int | None) -> Transform:
        """The source's own evaluation transform, at its own or another input size."""
        ...

    def weights_digest(self, architecture: str) -> str:
        """The identity of the pretrained weights, without downloading them."""
        ...

    def code_digest(self, architecture: str) -> str | None:
        """The identity of code that no library version tells; None for a library's own."""
        ...

    def revision(self, architecture: str) -> str | None:
        """The hub's revision that the pretrained weights are of; None where they have none."""
        ...

    def fetch(self, architecture: str) -> Path | None:
        """The file of the pretrained weights, downloaded once; None where code makes them."""
        ...

    def pretrained(self, architecture: str) -> nn.Module:
        """The network with its pretrained weights, downloaded once."""
        ...
