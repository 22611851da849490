"""Live modules: `live/DIGEST`, a network that exists as an object; it travels with its card."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from zoo_eval.errors import Refusal

if TYPE_CHECKING:
    # The catalogue is listed without PyTorch.
    from torch import nn

    from zoo_eval.catalog import ModelCard
    from zoo_eval.transforms import Transform

PREFIX = "live/"


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A network as it was when it was taken: in evaluation mode, on the CPU, and never run."""

    net: nn.Module
    family: str

    def __reduce__(self) -> tuple[Any, ...]:
        return Snapshot, (self.net, self.family)

    @cached_property
    def outline(self) -> nn.Module:
        """A copy for whoever asks what it looks like: running it may change buffers."""
        return copy.deepcopy(self.net)


# By digest, in this process.
_PRESENT: dict[str, Snapshot] = {}


@dataclass(frozen=True)
class Live:
    """What a live module's card carries: its digest; pickled, the network goes with it."""

    digest: str

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (self.digest, _present(PREFIX + self.digest))


def _arrived(digest: str, snapshot: Snapshot) -> Live:
    _PRESENT.setdefault(digest, snapshot)
    return Live(digest)


@contextmanager
def present(snapshots: Mapping[str, Snapshot]) -> Iterator[None]:
    """Networks by digest, which can be opened in this process meanwhile."""
    _PRESENT.update(snapshots)
    try:
        yield
    finally:
        for digest in snapshots:
            _PRESENT.pop(digest, None)


def _present(architecture: str) -> Snapshot:
    found = _PRESENT.get(architecture.removeprefix(PREFIX))
    if found is None:
        raise Refusal(
            f"{architecture} is a live module that this process does not have; give it from Python, "
            "zoo_eval.run(models=[zoo_eval.model(net, transform)])"
        )
    return found


def cards() -> tuple[ModelCard, ...]:
    """None: live modules are given, not listed."""
    return ()


def family(architecture: str) -> str:
    """The name of the network's class."""
    return _present(architecture).family


def skeleton(architecture: str) -> nn.Module:
    """A copy of the network; its code may not run on the meta device.

    Raises:
        Refusal: this process does not have it.
    """
    return _present(architecture).outline


def outline(architecture: str) -> nn.Module:
    """The same: it classifies."""
    return skeleton(architecture)


def variant(architecture: str) -> None:
    """Nothing: own code has no version."""
    return


def initial(architecture: str) -> nn.Module:
    """A copy of the network as it was given, which may be run.

    Raises:
        Refusal: this process does not have it.
    """
    return copy.deepcopy(_present(architecture).net)


def classifier(net: nn.Module, architecture: str, weights_digest: str | None) -> nn.Module:
    """The network itself."""
    return net


def transform(architecture: str, input_px: int | None) -> Transform:
    """Never: its card has the transform that it was given with."""
    raise Refusal(
        f"{architecture} says nothing of its preprocessing; give zoo_eval.model a transform"
    )


def weights_digest(architecture: str) -> str:
    """The digest of the network, which its architecture is called by."""
    return architecture.removeprefix(PREFIX)


def code_digest(architecture: str) -> None:
    """Nothing: the network's own digest covers its code."""
    return


def revision(architecture: str) -> None:
    """Nothing: it is on no hub."""
    return


def fetch(architecture: str) -> None:
    """Nothing: it is here."""


def pretrained(architecture: str) -> nn.Module:
    """A copy of the network as it was given, which may be run."""
    return initial(architecture)
