"""Own factories: `factory/module:function`, a function that builds a network."""

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from zoo_eval import pipelines
from zoo_eval.catalog import ModelCard
from zoo_eval.digests import bytes_digest, canonical_json, file_digest
from zoo_eval.errors import Refusal, one_line
from zoo_eval.sources.source import INITIAL_SEED
from zoo_eval.transforms import Transform

PREFIX = "factory/"


def cards() -> tuple[ModelCard, ...]:
    """None: the registry lists what packages offer without importing this module's PyTorch."""
    return ()


def family(architecture: str) -> str:
    """The module that holds the function."""
    return architecture.removeprefix(PREFIX).partition(":")[0]


def _function(architecture: str) -> Callable[[], Any]:
    module, _, name = architecture.removeprefix(PREFIX).partition(":")
    if module == "__main__" and getattr(sys.modules[module], "__file__", None) is None:
        raise Refusal(
            f"{architecture} is defined in a notebook or at a prompt, where no other process finds "
            f"it; give the network instead, zoo_eval.model({name}(), transform)"
        )
    try:
        function = getattr(import_module(module), name)
    # A script that is imported may read a command line that is not its own, and end.
    except (Exception, SystemExit) as error:
        raise Refusal(
            f"{architecture} cannot be imported ({one_line(error)}); write `module:function`, and "
            "install the module or put its folder on PYTHONPATH"
        ) from error
    if not callable(function):
        raise Refusal(f"{architecture} is a {type(function).__name__}, not a function")
    built: Callable[[], Any] = function
    return built


def _built(architecture: str) -> tuple[nn.Module, Transform | None]:
    function = _function(architecture)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(INITIAL_SEED)
        try:
            made = function()
        except (Exception, SystemExit) as error:
            raise Refusal(
                f"{architecture} raised {one_line(error)}; correct the function"
            ) from error
    net, transform = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(net, nn.Module):
        raise Refusal(_unexpected(architecture, made))
    if lazy := [name for name, one in net.named_modules() if _is_lazy(one)]:
        raise Refusal(
            f"{architecture} has layers that do not know their sizes yet ({lazy[0]}: lazy); run the "
            "network once on an image, in the function, before it is returned"
        )
    if not isinstance(transform, Transform | None):
        try:
            transform = pipelines.read(transform)
        except pipelines.NotReadable as error:
            raise Refusal(f"{_unexpected(architecture, made)} ({error})") from error
    return net.eval(), transform


def _is_lazy(module: nn.Module) -> bool:
    return isinstance(module, LazyModuleMixin) and module.has_uninitialized_params()


def _unexpected(architecture: str, made: Any) -> str:
    return (
        f"{architecture} returned a {type(made).__name__}; expected a torch.nn.Module, or that and a "
        "zoo_eval.transforms.Transform"
    )


@cache
def _described(architecture: str) -> tuple[nn.Module, Transform | None]:
    # Built once for all that is asked of it before it is opened: it may read weights.
    return _built(architecture)


def skeleton(architecture: str) -> nn.Module:
    """The network as the function builds it: its code may not run on the meta device.

    Raises:
        Refusal: the function is not there, raises, or returns no network.
    """
    return _described(architecture)[0]


def outline(architecture: str) -> nn.Module:
    """The network itself: it classifies."""
    return skeleton(architecture)


def variant(architecture: str) -> None:
    """Nothing: own code has no version."""
    return


def initial(architecture: str) -> nn.Module:
    """The network as the function builds it, with PyTorch's seed fixed."""
    return _built(architecture)[0]


def classifier(net: nn.Module, architecture: str, weights_digest: str | None) -> nn.Module:
    """The network itself."""
    return net


def transform(architecture: str, input_px: int | None) -> Transform:
    """The transform that the function returns beside its network.

    Raises:
        Refusal: it returns none, or another input size is wanted.
    """
    found = _described(architecture)[1]
    if found is None:
        raise Refusal(
            f"{architecture} says nothing of its preprocessing; return (net, Transform(...)), or "
            "add `transform` to the model's section"
        )
    if input_px not in (None, found.input_px):
        raise Refusal(f"{architecture} takes {found.input_px} px input only; remove `input_px`")
    return found


def weights_digest(architecture: str) -> str:
    """The digest of the tensors that the function returns."""
    return _tensors_digest(skeleton(architecture))


def _tensors_digest(net: nn.Module) -> str:
    parts: list[bytes | memoryview] = []
    for name, tensor in net.state_dict().items():
        parts.append(canonical_json([name, str(tensor.dtype), list(tensor.shape)]).encode())
        parts.append(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return bytes_digest(parts)


def code_digest(architecture: str) -> str | None:
    """The digest of the file that defines the function: own code has no version."""
    _function(architecture)
    file = sys.modules[family(architecture)].__file__
    return file_digest(Path(file)) if file else None


def revision(architecture: str) -> str | None:
    """Nothing: the weights have a digest only."""
    return None


def fetch(architecture: str) -> None:
    """Nothing: the function makes the weights, or finds them."""


def pretrained(architecture: str) -> nn.Module:
    """The network with the weights that its function gives it."""
    return initial(architecture)
