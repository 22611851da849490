"""The hub's repositories as a source: `hf-hub:OWNER/NAME`, with timm's or open_clip's configuration.

Nobody lists them. The configuration says what is built: it is asked for first, kept, and part of
the identity of the weights.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import timm as timm_library
import torch
from timm.models import PretrainedCfg
from timm.models._hub import load_model_config_from_path
from torch import nn

from zoo_eval.catalog import ModelCard
from zoo_eval.digests import file_digest
from zoo_eval.errors import Refusal, Unreachable, one_line
from zoo_eval.sources import open_clip, timm, zero_shot
from zoo_eval.sources.open_clip import Recipe
from zoo_eval.sources.source import INITIAL_SEED, Variant
from zoo_eval.transforms import Transform
from zoo_eval.weights import hub
from zoo_eval.weights.hub import HubFile

PREFIX = "hf-hub:"
OPEN_CLIP, TIMM = "open_clip_config.json", "config.json"
# What open_clip takes for a configuration has these.
NEEDED = ("embed_dim", "vision_cfg", "text_cfg")


@dataclass(frozen=True)
class _TimmModel:
    """What timm's configuration says: `name` is what `create_model` builds it by."""

    name: str
    base: str
    config: PretrainedCfg


def cards() -> tuple[ModelCard, ...]:
    """None: nobody lists them."""
    return ()


def _repo(architecture: str) -> str:
    return architecture.removeprefix(PREFIX)


def _configuration(architecture: str) -> Path:
    """The configuration on this machine; open_clip's, where a repository has both.

    Raises:
        Refusal: it cannot be reached, or there is none.
    """
    repo = _repo(architecture)
    try:
        found = hub.locate(repo, OPEN_CLIP, TIMM)
        path = hub.download(found)
    except Refusal as refusal:
        kind = Unreachable if isinstance(refusal, Unreachable) else Refusal
        raise kind(f"configuration of {architecture}: {refusal}") from refusal
    if found.name == TIMM and "architecture" not in _read(architecture, path):
        # Transformers has a file of that name too, which may be all that was kept of a repository.
        try:
            return hub.download(hub.locate(repo, OPEN_CLIP))
        except Refusal as refusal:
            raise Refusal(
                f"{architecture} has no configuration of timm or open_clip: its {TIMM} names no "
                f"`architecture` ({refusal}); build the network in a function, named as `factory`"
            ) from refusal
    return path


def _read(architecture: str, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise _wrong(architecture, path, error) from error
    if not isinstance(content, dict):
        raise _wrong(architecture, path, TypeError(f"it holds a {type(content).__name__}"))
    return content


def _wrong(architecture: str, path: Path, error: Exception) -> Refusal:
    return Refusal(
        f"{path.name} of {architecture} is wrong ({one_line(error)}); correct it on the hub, or "
        "build the network in a function, named as `factory`"
    )


def _model(architecture: str) -> _TimmModel | Recipe:
    path = _configuration(architecture)
    content = _read(architecture, path)
    local = f"local-dir:{path.parent}"
    try:
        if path.name == OPEN_CLIP:
            facts = content["model_cfg"]
            if lacking := [name for name in NEEDED if name not in facts]:
                raise ValueError(f"no `{lacking[0]}` in `model_cfg`")
            return Recipe(local, facts, content.get("preprocess_cfg", {}))
        config, base, _ = load_model_config_from_path(path.parent)
        return _TimmModel(local, base, PretrainedCfg(**config))
    except Exception as error:
        raise _wrong(architecture, path, error) from error


def family(architecture: str) -> str:
    """The family of what the configuration names.

    Raises:
        Refusal: the configuration cannot be had.
    """
    model = _model(architecture)
    return open_clip.kind(model.config) if isinstance(model, Recipe) else timm.family(model.base)


def _built(architecture: str, device: str) -> nn.Module:
    model = _model(architecture)
    if isinstance(model, Recipe):
        return open_clip.built(architecture, model, device)
    try:
        with torch.device(device):
            net: nn.Module = timm_library.create_model(model.name)
    except Exception as error:
        raise _unbuilt(architecture, error) from error
    return net.eval()


def _unbuilt(architecture: str, error: Exception) -> Refusal:
    return Refusal(
        f"{architecture} cannot be built ({one_line(error)}); update the library that it was made "
        "with, or leave it out"
    )


def skeleton(architecture: str) -> nn.Module:
    """The network that the configuration describes, on the meta device.

    Raises:
        Refusal: the configuration cannot be had, or nothing can be built of it.
    """
    return _skeleton(architecture, code_digest(architecture))


@cache
def _skeleton(architecture: str, _configuration_digest: str) -> nn.Module:
    return _built(architecture, "meta")


def outline(architecture: str) -> nn.Module:
    """The same as it is evaluated: of open_clip's, the image tower with its zero-shot head.

    Raises:
        Refusal: the configuration cannot be had, or nothing can be built of it.
    """
    return _outline(architecture, code_digest(architecture))


@cache
def _outline(architecture: str, _configuration_digest: str) -> nn.Module:
    model = _model(architecture)
    if not isinstance(model, Recipe):
        return skeleton(architecture)
    try:
        return open_clip.image_side(model)
    except Exception as error:
        raise _unbuilt(architecture, error) from error


def variant(architecture: str) -> Variant:
    """The repository with its configuration's digest, and the number of classes.

    Raises:
        Refusal: the configuration cannot be had.
    """
    model = _model(architecture)
    name = f"{architecture}@{code_digest(architecture)}"
    if isinstance(model, Recipe):
        return Variant(open_clip.library(), name, zero_shot.N_CLASSES)
    return Variant(timm.library(), name, model.config.num_classes)


def initial(architecture: str) -> nn.Module:
    """The network with its library's own initialisation, from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(INITIAL_SEED)
        return _built(architecture, "cpu")


def classifier(net: nn.Module, architecture: str, weights_digest: str | None) -> nn.Module:
    """The network itself; of open_clip's, the image tower with its zero-shot head."""
    model = _model(architecture)
    if not isinstance(model, Recipe):
        return net
    # A tokenizer of the hub's is named in the configuration; open_clip looks for it elsewhere where
    # that is a folder.
    elsewhere = "hf_tokenizer_name" in model.config["text_cfg"]
    found = zero_shot.embeddings(
        net,
        architecture,
        model.config["embed_dim"],
        weights_digest,
        tokenizer=architecture if elsewhere else model.name,
    )
    return zero_shot.ZeroShot(net, found)


def transform(architecture: str, input_px: int | None) -> Transform:
    """The evaluation transform of the configuration.

    Raises:
        Refusal: the configuration cannot be had, or the input size is not to be had.
    """
    model = _model(architecture)
    if isinstance(model, Recipe):
        return open_clip.view(architecture, model, input_px)
    return timm.view(architecture, model.config, input_px)


def _weights(architecture: str) -> HubFile:
    model = _model(architecture)
    if isinstance(model, Recipe):
        return hub.locate(_repo(architecture), *open_clip.WEIGHTS_FILES)
    return hub.locate(_repo(architecture), *filter(None, [model.config.hf_hub_filename]))


def weights_digest(architecture: str) -> str:
    """The digest of the weights' file, which the hub knows without a download.

    Raises:
        Refusal: the repository cannot be reached, or has no weights.
    """
    return _weights(architecture).digest


def code_digest(architecture: str) -> str:
    """The digest of the configuration: what it describes is no library's own.

    Raises:
        Refusal: the configuration cannot be had.
    """
    return file_digest(_configuration(architecture))


def revision(architecture: str) -> str:
    """The commit of the repository that the weights are of.

    Raises:
        Refusal: it cannot be reached.
    """
    return _weights(architecture).revision


def fetch(architecture: str) -> Path:
    """The file of the weights, downloaded once.

    Raises:
        Refusal: it cannot be reached.
    """
    return hub.download(_weights(architecture))


def pretrained(architecture: str) -> nn.Module:
    """The network with the repository's weights, downloaded once.

    Raises:
        Refusal: they cannot be reached, or do not fit the configuration.
    """
    model, path = _model(architecture), fetch(architecture)
    if isinstance(model, Recipe):
        return open_clip.loaded(architecture, model, path)
    return timm.loaded(architecture, model.name, path)
