"""The torchvision source: its ImageNet classifiers, AlexNet, VGG and SqueezeNet among them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode
from torchvision.models import WeightsEnum

from zoo_eval.catalog import ModelCard
from zoo_eval.digests import digest
from zoo_eval.errors import Refusal, nearest, one_line
from zoo_eval.sources.source import INITIAL_SEED, Variant
from zoo_eval.transforms import Transform
from zoo_eval.weights import checkpoints, urls

PREFIX = "torchvision/"
DISTRIBUTION = "torchvision"
# As the library's own builders leave them when they load weights.
BUILT_WITH: dict[str, dict[str, Any]] = {
    name: {"transform_input": True, "aux_logits": False, "init_weights": True}
    for name in ("googlenet", "inception_v3")
}


@cache
def cards() -> tuple[ModelCard, ...]:
    """A card for every pretrained ImageNet classifier, named ARCHITECTURE.WEIGHTS."""
    return tuple(_card(name, weights) for name in _names() for weights in _weights(name))


def _names() -> list[str]:
    names: list[str] = torchvision.models.list_models(module=torchvision.models)
    return names


def _weights(name: str) -> list[WeightsEnum]:
    every = torchvision.models.get_model_weights(name)
    # VGG16 has a second file for detectors, without a classifier.
    return [weights for weights in every if weights.meta["categories"]]


def _card(name: str, weights: WeightsEnum) -> ModelCard:
    full = f"{PREFIX}{name}.{weights.name}"
    metrics = weights.meta["_metrics"]["ImageNet-1K"]
    return ModelCard(
        name=full,
        source="torchvision",
        architecture=full,
        published_top1=metrics["acc@1"] / 100,
        family=family(full),
        pretraining=weights.name,
    )


def family(architecture: str) -> str:
    """The module of torchvision that defines an architecture, e.g. vgg; empty if unknown."""
    name = architecture.removeprefix(PREFIX).partition(".")[0]
    if name not in _names():
        return ""
    return str(torchvision.models.get_model_builder(name).__module__).rpartition(".")[2]


def _parts(architecture: str) -> tuple[str, WeightsEnum]:
    name, _, tag = architecture.removeprefix(PREFIX).partition(".")
    if name not in _names():
        raise Refusal(f"unknown architecture {architecture!r}; {nearest(name, _names())}")
    known = {weights.name: weights for weights in _weights(name)}
    if tag and tag not in known:
        raise Refusal(f"unknown weights {architecture!r}; {nearest(tag, known)}")
    return name, known[tag] if tag else torchvision.models.get_model_weights(name).DEFAULT


def _build(architecture: str) -> nn.Module:
    name, weights = _parts(architecture)
    options = dict(BUILT_WITH.get(name, {}))
    if name.startswith("vit_"):
        # Position embeddings are as many as the weights' own input size has patches.
        (options["image_size"],) = weights.transforms().crop_size
    net: nn.Module = torchvision.models.get_model(name, weights=None, **options)
    return net.eval()


@cache
def skeleton(architecture: str) -> nn.Module:
    """The architecture on the meta device.

    Raises:
        Refusal: torchvision has no such architecture.
    """
    with _ShapesOnly():
        return _build(architecture).to("meta")


class _ShapesOnly(TorchFunctionMode):
    """Parameters, which modules make by `torch.empty`, are made on the meta device.

    Not so every tensor, as by `torch.device("meta")`: RegNets compute their widths from values.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # torch
        kwargs = kwargs or {}
        if func is torch.empty and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def outline(architecture: str) -> nn.Module:
    """The network itself: it classifies."""
    return skeleton(architecture)


def variant(architecture: str) -> Variant:
    """The bare architecture and its weights' number of classes.

    Raises:
        Refusal: torchvision has no such architecture.
    """
    name, weights = _parts(architecture)
    version = torchvision.__version__.partition("+")[0]
    return Variant(f"torchvision-{version}", PREFIX + name, len(weights.meta["categories"]))


def initial(architecture: str) -> nn.Module:
    """The architecture with torchvision's own initialisation, from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(INITIAL_SEED)
        return _build(architecture)


def classifier(net: nn.Module, architecture: str, weights_digest: str | None) -> nn.Module:
    """The network itself: it classifies."""
    return net


def transform(architecture: str, input_px: int | None) -> Transform:
    """Torchvision's evaluation transform for the architecture's weights (its default ones).

    At another input size the crop keeps its share of the image.
    """
    preset = _parts(architecture)[1].transforms()
    (own_px,), (resize_px,) = preset.crop_size, preset.resize_size
    side = input_px or own_px
    return Transform(
        input_px=side,
        resize_px=round(resize_px * side / own_px),
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def _published(architecture: str) -> tuple[str, str]:
    """Address and SHA-256 (its first characters, which the file's name carries) of the weights."""
    url = _parts(architecture)[1].url
    match = re.search(r"-([0-9a-f]{8,})\.pth$", url)
    assert match is not None, url
    return url, match.group(1)


def weights_digest(architecture: str) -> str:
    """The identity of the pretrained weights: where they are, and the digest their name carries."""
    url, sha256 = _published(architecture)
    return digest({"url": url, "sha256": sha256})


def code_digest(architecture: str) -> str | None:
    """Nothing: the library's version tells."""
    return None


def revision(architecture: str) -> str | None:
    """Nothing: the weights have a digest only."""
    return None


def fetch(architecture: str) -> Path:
    """The file of the published weights, downloaded once.

    Raises:
        Refusal: they cannot be reached.
    """
    return urls.download(*_published(architecture))


def pretrained(architecture: str) -> nn.Module:
    """The architecture with its published weights, downloaded once.

    Raises:
        Refusal: the weights cannot be reached, or are no weights of this architecture.
    """
    path, url = fetch(architecture), _published(architecture)[0]
    # The library's builder unpickles whatever it finds: only what holds nothing but tensors.
    checkpoints.read(path)
    name, weights = _parts(architecture)
    try:
        with _downloaded(path, Path(url).name):
            # Older files need renamed tensors or shed auxiliary heads: the builder knows how.
            net: nn.Module = torchvision.models.get_model(name, weights=weights)
    except Exception as error:
        raise Refusal(
            f"weights of {architecture} cannot be loaded ({one_line(error)}); remove {path} and "
            "run again"
        ) from error
    return net.eval()


@contextmanager
def _downloaded(path: Path, name: str) -> Iterator[None]:
    """While torch.hub takes this file for its own download: in its own folder may be another."""
    before = torch.hub.get_dir()
    with TemporaryDirectory() as folder:
        (Path(folder) / "checkpoints").mkdir()
        (Path(folder) / "checkpoints" / name).symlink_to(path)
        torch.hub.set_dir(folder)
        try:
            yield
        finally:
            torch.hub.set_dir(before)
