"""The timm source: cards for its pretrained checkpoints, and its architectures without weights."""

import math
from functools import cache

import timm
import torch
from timm.models import PretrainedCfg
from torch import nn

from zoo_eval.catalog import ModelCard
from zoo_eval.errors import Refusal, nearest, one_line
from zoo_eval.sources import hub
from zoo_eval.transforms import Transform

PREFIX = "timm/"
INITIAL_SEED = 0


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
    if not timm.is_model(name.partition(".")[0]):
        raise Refusal(f"unknown architecture {architecture!r}; {nearest(name, timm.list_models())}")
    config = timm.get_pretrained_cfg(name)
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


def initial(architecture: str) -> nn.Module:
    """The architecture with timm's own initialisation, from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(INITIAL_SEED)
        net: nn.Module = timm.create_model(architecture.removeprefix(PREFIX))
    return net.eval()


def transform(architecture: str, input_px: int | None) -> Transform:
    """Timm's evaluation transform for the architecture, at its own or another input size.

    Raises:
        Refusal: the architecture takes only its own input size, or images that are not square or
            have a border.
    """
    config = _config(architecture)
    _, height, own_px = config.input_size
    if height != own_px or config.crop_mode not in ("center", "squash"):
        raise Refusal(
            f"{architecture} takes {height} x {own_px} px with crop mode {config.crop_mode!r}; only "
            "square input, cropped or squashed, is supported"
        )
    if input_px not in (None, own_px) and config.fixed_input_size:
        raise Refusal(f"{architecture} takes {own_px} px input only; remove `input_px`")
    side = input_px or own_px
    return Transform(
        input_px=side,
        resize_px=math.floor(side / config.crop_pct),
        interpolation="bilinear" if config.interpolation == "bilinear" else "bicubic",
        mean=_three(config.mean),
        std=_three(config.std),
        squash=config.crop_mode == "squash",
    )


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


def hub_file(architecture: str) -> hub.HubFile:
    """Where the architecture's pretrained weights are on the hub.

    Raises:
        Refusal: timm names no hub repository, or it cannot be reached.
    """
    config = _config(architecture)
    if not config.hf_hub_id:
        raise Refusal(
            f'{architecture} has no pretrained weights on the hub; set weights = "untrained" or '
            "give a checkpoint"
        )
    return hub.locate(config.hf_hub_id, config.hf_hub_filename)


def pretrained(architecture: str) -> nn.Module:
    """The architecture with its weights from the hub, downloaded once.

    Raises:
        Refusal: the weights cannot be reached, or are no weights of this architecture.
    """
    path = hub.download(hub_file(architecture))
    try:
        net: nn.Module = timm.create_model(
            architecture.removeprefix(PREFIX),
            pretrained=True,
            # The hub's file is already in timm's own format, even where the original was not.
            pretrained_cfg_overlay={"file": str(path), "custom_load": False},
        )
    except Exception as error:
        raise Refusal(
            f"weights of {architecture} cannot be loaded ({one_line(error)}); remove {path} and "
            "run again, or use a local checkpoint"
        ) from error
    return net.eval()
