"""Stand-ins: networks of a few thousand weights under the real models' names, modules and classes.

What is planned of a model is real: its card, anatomy, layers, transform, costs. What is opened has
modules of the same names, each a product of eight features, and as many classes. A hub that is none
names weights that nobody has.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from zoo_eval.catalog import ModelCard
from zoo_eval.digests import seed_from
from zoo_eval.models import open_model
from zoo_eval.models.blueprint import anatomy_of_card, blueprint
from zoo_eval.networks.anatomy import Anatomy
from zoo_eval.runners import execution
from zoo_eval.transforms import Transform
from zoo_eval.weights import hub
from zoo_eval.weights.hub import HubFile

WIDTH = 8
SIDE = 4


class _Step(nn.Module):
    """A module of the real one's name: a product, or nothing but what passes by."""

    def __init__(self, *, is_layer: bool) -> None:
        super().__init__()
        self.product = nn.Linear(WIDTH, WIDTH) if is_layer else None

    def forward(self, features: Tensor) -> Tensor:
        return features if self.product is None else features + torch.tanh(self.product(features))


class StandIn(nn.Module):
    """Its layers one after another, then what the classifier reads, then classes."""

    def __init__(self, anatomy: Anatomy) -> None:
        super().__init__()
        self.stand_in_stem = nn.Linear(3 * SIDE * SIDE, WIDTH)
        layers = {one.name for choice in anatomy.named.values() for one in choice}
        places = anatomy.places
        self.steps = sorted((n for n in layers if n != "pooled"), key=places.__getitem__)
        if anatomy.pooled is not None and anatomy.pooled.module not in ("", *self.steps):
            self.steps.append(anatomy.pooled.module)
        for name in self.steps:
            self._add(name, is_layer=name in layers)
        self.stand_in_head = nn.Linear(WIDTH, max(anatomy.n_classes, 1))

    def _add(self, name: str, *, is_layer: bool) -> None:
        parent: nn.Module = self
        *above, last = name.split(".")
        for part in above:
            if part not in dict(parent.named_children()):
                parent.add_module(part, _Step(is_layer=False))
            parent = parent.get_submodule(part)
        step = _Step(is_layer=is_layer)
        if last in dict(parent.named_children()):
            for inner, module in parent.get_submodule(last).named_children():
                step.add_module(inner, module)
        parent.add_module(last, step)

    def forward(self, pixels: Tensor) -> Tensor:
        seen = nn.functional.adaptive_avg_pool2d(pixels, SIDE).flatten(1)
        features = self.stand_in_stem(seen)
        for name in self.steps:
            features = self.get_submodule(name)(features)
        classes: Tensor = self.stand_in_head(features)
        return classes


def network(card: ModelCard, weights_digest: str) -> nn.Module:
    """What stands in for a card's network: weights of its own, the same for one digest."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from(weights_digest))
        return StandIn(anatomy_of_card(card))


def hub_file(repo: str, name: str) -> HubFile:
    """A file of a repository as a hub that has everything describes it."""
    etag = hashlib.sha256(f"{repo}/{name}".encode()).hexdigest()
    return HubFile(repo, name, etag[:40], etag)


def _nothing_fetched(_card: ModelCard) -> None:
    """There is nothing to be had."""


def put() -> None:
    """Has this process open stand-ins from now on: for one that does nothing else."""
    for patch in _patches():
        patch.start()


@contextmanager
def opened() -> Iterator[None]:
    """Stand-ins in this process, for the block."""
    with ExitStack() as stack:
        for patch in _patches():
            stack.enter_context(patch)
        for kept in (hub.locate, blueprint):
            kept.cache_clear()
            # What was asked of a hub that is none is nobody else's answer.
            stack.callback(kept.cache_clear)
        yield


def _patches() -> list["mock._patch[Any]"]:
    return [
        mock.patch.object(open_model, "_network", network),
        mock.patch.object(hub, "_asked", hub_file),
        mock.patch.object(execution, "_fetch", _nothing_fetched),
    ]


def smallest() -> tuple[nn.Module, Transform]:
    """A network that costs nothing, with what it is shown."""
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(SIDE), nn.Flatten(), nn.Linear(3 * SIDE**2, 1000))
    return pooled, Transform(32, 32, "bilinear", (0.5,) * 3, (0.5,) * 3)
