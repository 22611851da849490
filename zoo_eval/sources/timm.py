"""The timm source: cards for its pretrained checkpoints, and its architectures without weights."""

import math
from functools import cache
from pathlib import Path

import timm
import torch
from timm.models import PretrainedCfg
from torch import nn

from zoo_eval.catalog import ModelCard
from zoo_eval.errors import Refusal, nearest, one_line
from zoo_eval.sources.source import INITIAL_SEED, Variant
from zoo_eval.transforms import INTERPOLATIONS, Transform
from zoo_eval.weights import checkpoints, hub

PREFIX = "timm/"
DISTRIBUTION = "timm"


@cache
def cards() -> tuple[ModelCard, ...]:
    """A card for every checkpoint that timm lists as pretrained."""
    return tuple(_card(name) for name in timm.list_models(pretrained=True))


def _card(name: str) -> ModelCard:
    architecture, _, tag = name.partition(".")
    config = timm.get_pretrained_cfg(name)
    return ModelCard(
        name=PREFIX + name,
        source="timm",
        architecture=PREFIX + name,
        family=family(architecture),
        pretraining=tag or None,
        licence=config.license if config else None,
    )


def family(architecture: str) -> str:
    """The module of timm that defines an architecture, e.g. efficientnet; empty if unknown."""
    bare = architecture.removeprefix(PREFIX).partition(".")[0]
    if not timm.is_model(bare):
        return ""
    return str(timm.model_entrypoint(bare).__module__).rpartition(".")[2]


def _config(architecture: str) -> PretrainedCfg:
    name = architecture.removeprefix(PREFIX)
    bare, _, tag = name.partition(".")
    if not timm.is_model(bare):
        raise Refusal(f"unknown architecture {architecture!r}; {nearest(name, timm.list_models())}")
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{bare}.*")]
        raise Refusal(f"unknown weights {architecture!r}; {nearest(tag, tags)}") from error
    return config if config is not None else PretrainedCfg()


@cache
def skeleton(architecture: str) -> nn.Module:
    """The architecture on the meta device: names and shapes without memory.

    Raises:
        Refusal: timm has no such architecture.
    """
    _config(architecture)
    with torch.device("meta"):
        net: nn.Module = timm.create_model(architecture.removeprefix(PREFIX))
    return net.eval()


def outline(architecture: str) -> nn.Module:
    """The network itself: it classifies."""
    return skeleton(architecture)


def variant(architecture: str) -> Variant:
    """The bare architecture and its weights' number of classes.

    Raises:
        Refusal: timm has no such architecture.
    """
    n_classes = _config(architecture).num_classes
    return Variant(library(), architecture.partition(".")[0], n_classes)


def library() -> str:
    """The library and its version."""
    return f"timm-{timm.__version__}"


def initial(architecture: str) -> nn.Module:
    """The architecture with timm's own initialisation, from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(INITIAL_SEED)
        net: nn.Module = timm.create_model(architecture.removeprefix(PREFIX))
    return net.eval()


def transform(architecture: str, input_px: int | None) -> Transform:
    """Timm's evaluation transform for the architecture, at its own or another square input size.

    Raises:
        Refusal: the architecture takes only its own input size, or crops to one that is no square.
    """
    return view(architecture, _config(architecture), input_px)


def view(architecture: str, config: PretrainedCfg, input_px: int | None) -> Transform:
    """The evaluation transform that a configuration of timm's stands for.

    Raises:
        Refusal: only its own input size, or a crop that is no square.
    """
    _, own_px, width = config.input_size
    squashed = config.crop_mode == "squash"
    if width != own_px and not (squashed and config.crop_pct == 1):
        raise Refusal(
            f"{architecture} crops to {own_px} x {width} px; images can only be squashed to what "
            "is no square"
        )
    if input_px not in (None, own_px) and config.fixed_input_size:
        raise Refusal(f"{architecture} takes {own_px} px input only; remove `input_px`")
    if config.interpolation not in INTERPOLATIONS:
        raise Refusal(
            f"{architecture} asks for interpolation {config.interpolation!r}, which is none of "
            f"{', '.join(INTERPOLATIONS)}; give it as an own model with `transform`"
        )
    side = input_px or own_px
    resize_px = math.floor(side / config.crop_pct)
    fill = _eight_bit(config.mean) if config.crop_mode == "border" else None
    return Transform(
        input_px=side,
        resize_px=resize_px,
        interpolation=config.interpolation,
        mean=_three(config.mean),
        std=_three(config.std),
        squash=squashed,
        fill=fill,
        input_width_px=width if input_px is None and width != own_px else None,
        # Some of its models are shown less than the whole crop, which its transform pads.
        padded=True if resize_px < side and fill is None else None,
    )


def classifier(net: nn.Module, architecture: str, weights_digest: str | None) -> nn.Module:
    """The network itself: it classifies."""
    return net


def weights_digest(architecture: str) -> str:
    """The digest of the pretrained weights, which the hub knows without a download.

    Raises:
        Refusal: timm names no hub repository, or it cannot be reached.
    """
    return _hub_file(architecture).digest


def _eight_bit(values: tuple[float, ...]) -> tuple[float, float, float]:
    # The border is drawn into the decoded image.
    return _three(tuple(round(255 * value) / 255 for value in values))


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


def _hub_file(architecture: str) -> hub.HubFile:
    config = _config(architecture)
    if not config.hf_hub_id:
        raise Refusal(
            f'{architecture} has no pretrained weights on the hub; set weights = "untrained" or '
            "give a checkpoint"
        )
    return hub.locate(config.hf_hub_id, *filter(None, [config.hf_hub_filename]))


def code_digest(architecture: str) -> str | None:
    """Nothing: the library's version tells."""
    return None


def revision(architecture: str) -> str | None:
    """The commit of the hub's repository that the weights are of.

    Raises:
        Refusal: it cannot be reached.
    """
    return _hub_file(architecture).revision


def fetch(architecture: str) -> Path:
    """The file of the pretrained weights, from the hub, downloaded once.

    Raises:
        Refusal: they cannot be reached.
    """
    return hub.download(_hub_file(architecture))


def pretrained(architecture: str) -> nn.Module:
    """The architecture with its weights from the hub, downloaded once.

    Raises:
        Refusal: the weights cannot be reached, or are no weights of this architecture.
    """
    return loaded(architecture, architecture.removeprefix(PREFIX), fetch(architecture))


def loaded(architecture: str, name: str, path: Path) -> nn.Module:
    """The network that timm builds under a name, with the weights in a file.

    Raises:
        Refusal: they are no weights of this architecture.
    """
    if path.suffix != ".safetensors":
        # Not every version of timm leaves code in a pickle alone: only what holds nothing but tensors.
        checkpoints.read(path)
    try:
        net: nn.Module = timm.create_model(
            name,
            pretrained=True,
            # The hub's file is already in timm's own format, even where the original was not.
            pretrained_cfg_overlay={"file": str(path), "source": "", "custom_load": False},
        )
    except Exception as error:
        raise Refusal(
            f"weights of {architecture} cannot be loaded ({one_line(error)}); remove {path} and "
            "run again, or use a local checkpoint"
        ) from error
    return net.eval()
