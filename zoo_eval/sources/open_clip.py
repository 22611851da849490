"""The open_clip source: image towers with a zero-shot 1000-way head from the text tower."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import open_clip
import torch
from open_clip.factory import load_checkpoint
from open_clip.model import _build_vision_tower
from open_clip.transform import PreprocessCfg, merge_preprocess_dict
from torch import nn

from zoo_eval.catalog import ModelCard
from zoo_eval.digests import digest
from zoo_eval.errors import Refusal, nearest, one_line
from zoo_eval.sources import zero_shot
from zoo_eval.sources.source import INITIAL_SEED, Variant
from zoo_eval.transforms import Transform
from zoo_eval.weights import checkpoints, hub

PREFIX = "open_clip/"
DISTRIBUTION = "open_clip_torch"
# Of open_clip's CLIPVisionCfg.
DEFAULT_PX = 224
WEIGHTS_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


@dataclass(frozen=True)
class Recipe:
    """What open_clip builds: the name it knows it by, its configuration, and what is known of its
    weights: preprocessing and activation (nothing of an architecture without a tag).
    """

    name: str
    config: dict[str, Any]
    facts: dict[str, Any]

    @property
    def quick_gelu(self) -> bool:
        """Whether the network, or its weights, want the approximate activation."""
        return bool(self.config.get("quick_gelu") or self.facts.get("quick_gelu"))


@cache
def cards() -> tuple[ModelCard, ...]:
    """A card for every pretrained pair of architecture and tag, named ARCHITECTURE:TAG."""
    return tuple(_card(f"{PREFIX}{name}:{tag}", tag) for name, tag in open_clip.list_pretrained())


def _card(name: str, tag: str) -> ModelCard:
    return ModelCard(
        name=name, source="open_clip", architecture=name, family=family(name), pretraining=tag
    )


def family(architecture: str) -> str:
    """The kind of image tower: `vit`, `modified_resnet`, or a timm architecture's name."""
    name = architecture.removeprefix(PREFIX).partition(":")[0]
    return kind(open_clip.get_model_config(name)) if name in open_clip.list_models() else ""


def kind(config: dict[str, Any]) -> str:
    """The kind of image tower in a configuration of open_clip's."""
    vision = config["vision_cfg"]
    if "timm_model_name" in vision:
        return str(vision["timm_model_name"]).partition(".")[0]
    return "modified_resnet" if isinstance(vision["layers"], list) else "vit"


def _recipe(architecture: str) -> Recipe:
    name, _, tag = architecture.removeprefix(PREFIX).partition(":")
    if name not in open_clip.list_models():
        raise Refusal(
            f"unknown architecture {architecture!r}; {nearest(name, open_clip.list_models())}"
        )
    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag and tag not in tags:
        raise Refusal(f"unknown weights {architecture!r}; {nearest(tag, tags)}")
    facts = open_clip.get_pretrained_cfg(name, tag) if tag else {}
    return Recipe(name, open_clip.get_model_config(name), facts)


def built(architecture: str, recipe: Recipe, device: str) -> nn.Module:
    """The whole model without weights.

    Raises:
        Refusal: it cannot be built, or its text tower is not here.
    """
    try:
        with _quietly(), torch.device(device):
            net: nn.Module = open_clip.create_model(
                recipe.name,
                load_weights=False,
                device=device,
                pretrained_text=False,
                # open_clip only warns where a tag was trained with the other activation.
                force_quick_gelu=recipe.quick_gelu,
            )
    except Exception as error:
        raise Refusal(
            f"{architecture} cannot be built ({one_line(error)}); text towers from the hub need "
            "the package `transformers` and the network"
        ) from error
    return net.eval()


@contextmanager
def _quietly() -> Iterator[None]:
    """Without open_clip's remark that nothing was loaded: here nothing is meant to be."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)


@cache
def skeleton(architecture: str) -> nn.Module:
    """The whole model, image and text towers, on the meta device.

    Raises:
        Refusal: open_clip has no such architecture, or its text tower is not here.
    """
    return built(architecture, _recipe(architecture), "meta")


@cache
def outline(architecture: str) -> nn.Module:
    """The image tower with its zero-shot head on the meta device; the text tower is not needed.

    Raises:
        Refusal: open_clip has no such architecture.
    """
    return image_side(_recipe(architecture))


def image_side(recipe: Recipe) -> nn.Module:
    """The image tower with its zero-shot head on the meta device."""
    dimension = recipe.config["embed_dim"]
    vision = {**recipe.config["vision_cfg"], "timm_model_pretrained": False}
    with torch.device("meta"):
        tower = _build_vision_tower(dimension, vision, recipe.quick_gelu)
        model = SimpleNamespace(visual=tower, logit_scale=torch.empty(()))
        embeddings = torch.empty(zero_shot.N_CLASSES, dimension)
    return zero_shot.ZeroShot(model, embeddings).eval()


def variant(architecture: str) -> Variant:
    """The bare architecture with its activation, and the zero-shot head's number of classes.

    Raises:
        Refusal: open_clip has no such architecture.
    """
    recipe = _recipe(architecture)
    quick = ":quick_gelu" if recipe.quick_gelu else ""
    return Variant(library(), f"{PREFIX}{recipe.name}{quick}", zero_shot.N_CLASSES)


def library() -> str:
    """The library and its version."""
    return f"open_clip-{open_clip.__version__}"


def initial(architecture: str) -> nn.Module:
    """The whole model with open_clip's own initialisation, from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(INITIAL_SEED)
        return built(architecture, _recipe(architecture), "cpu")


def classifier(net: nn.Module, architecture: str, weights_digest: str | None) -> nn.Module:
    """The image tower with class embeddings from the text tower, which is left behind."""
    recipe = _recipe(architecture)
    found = zero_shot.embeddings(net, recipe.name, recipe.config["embed_dim"], weights_digest)
    return zero_shot.ZeroShot(net, found)


def transform(architecture: str, input_px: int | None) -> Transform:
    """Open_clip's evaluation preprocessing for the tag (without one, its default).

    Raises:
        Refusal: another input size is wanted, or a crop that is no square.
    """
    return view(architecture, _recipe(architecture), input_px)


def view(architecture: str, recipe: Recipe, input_px: int | None) -> Transform:
    """The evaluation transform that open_clip makes of a configuration.

    Raises:
        Refusal: another input size is wanted, or a crop that is no square.
    """
    size = recipe.config["vision_cfg"].get("image_size", DEFAULT_PX)
    own_px, width = size if isinstance(size, tuple | list) else (size, size)
    how = merge_preprocess_dict(PreprocessCfg(size=own_px), recipe.facts)
    mode = how["resize_mode"]
    if width != own_px and mode != "squash":
        raise Refusal(
            f"{architecture} takes {own_px} x {width} px with resize mode {mode!r}; images can only "
            "be squashed to what is no square"
        )
    if input_px not in (None, own_px):
        raise Refusal(f"{architecture} takes {own_px} px input only; remove `input_px`")
    return Transform(
        input_px=own_px,
        resize_px=own_px,
        # open_clip takes "random" for bicubic where it evaluates.
        interpolation="bilinear" if how["interpolation"] == "bilinear" else "bicubic",
        mean=_three(how["mean"]),
        std=_three(how["std"]),
        squash=mode == "squash",
        fill=_three(how["fill_color"] / 255) if mode == "longest" else None,
        input_width_px=width if width != own_px else None,
    )


def _three(values: float | Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = (values,) * 3 if isinstance(values, int | float) else values
    return red, green, blue


def _hub_file(architecture: str) -> hub.HubFile:
    facts = _recipe(architecture).facts
    if not facts.get("hf_hub"):
        raise Refusal(
            f'{architecture} names no weights; add a tag, set weights = "untrained" or give a '
            "checkpoint"
        )
    repo, _, name = str(facts["hf_hub"]).rpartition("/")
    names = (name.replace(".bin", ".safetensors"), name) if name else WEIGHTS_FILES
    return hub.locate(repo, *dict.fromkeys(names))


def weights_digest(architecture: str) -> str:
    """The digest of the weights' file and of the activation it is run with."""
    quick_gelu = bool(_recipe(architecture).facts.get("quick_gelu"))
    return digest({"file": _hub_file(architecture).digest, "quick_gelu": quick_gelu})


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
    """The whole model with its weights from the hub, downloaded once.

    Raises:
        Refusal: the weights cannot be reached, or are no weights of this architecture.
    """
    return loaded(architecture, _recipe(architecture), fetch(architecture))


def loaded(architecture: str, recipe: Recipe, path: Path) -> nn.Module:
    """The whole model with the weights in a file.

    Raises:
        Refusal: they are no weights of this architecture.
    """
    net = built(architecture, recipe, "cpu")
    if path.suffix != ".safetensors":
        checkpoints.refuse_larger_than_file(path)
    try:
        load_checkpoint(net, str(path), weights_only=True)
    except Exception as error:
        raise Refusal(
            f"weights of {architecture} cannot be loaded ({one_line(error)}); remove {path} and "
            "run again, or use a local checkpoint"
        ) from error
    return net
