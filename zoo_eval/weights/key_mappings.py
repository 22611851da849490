"""Key mappings: a checkpoint's tensor names turned into an architecture's."""

import re
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from zoo_eval.errors import Refusal, nearest
from zoo_eval.weights import keras_layers

State = dict[str, Tensor]
Keys = str | tuple[tuple[str, str], ...] | None

_OUTER = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_SEPARABLE = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def efficientnet_lite(state: State, net: nn.Module) -> State:
    """Names of the efficientnet_lite_pytorch package -> timm's, for any EfficientNet-Lite."""
    stages = net.get_submodule("blocks").named_children()
    places = [
        f"blocks.{stage}.{block}"
        for stage, blocks in stages
        for block, _ in blocks.named_children()
    ]
    expanded = {
        match.group(1) for key in state if (match := re.match(r"_blocks\.(\d+)\._expand", key))
    }
    mapped = {}
    for key, tensor in state.items():
        if match := re.match(r"_blocks\.(\d+)\.(\w+)\.(.+)", key):
            number, module, rest = match.groups()
            names = _INVERTED if number in expanded else _SEPARABLE
            place = places[int(number)] if int(number) < len(places) else f"_blocks.{number}"
            mapped[f"{place}.{names.get(module, module)}.{rest}"] = tensor
        else:
            module, _, rest = key.partition(".")
            mapped[f"{_OUTER.get(module, module)}.{rest}"] = tensor
    return mapped


def robustness(state: State, net: nn.Module) -> State:
    """Names of the robustness package -> the network's own, without its attacker and normaliser."""
    prefix = "module.model."
    return {k.removeprefix(prefix): t for k, t in state.items() if k.startswith(prefix)}


MAPPINGS: Mapping[str, Callable[[State, nn.Module], State]] = {
    "efficientnet_lite": efficientnet_lite,
    "robustness": robustness,
    "keras_vgg16": keras_layers.vgg16,
    "keras_resnet_v2": keras_layers.resnet_v2,
    "keras_efficientnet": keras_layers.efficientnet,
}


def apply(state: State, keys: Keys, net: nn.Module) -> State:
    """A checkpoint's tensors under the network's names.

    `keys` is the name of a mapping, a prefix to strip (it ends with "."), a table of prefixes to
    replace, or None.

    Raises:
        Refusal: no mapping of that name.
    """
    if keys is None:
        return state
    if isinstance(keys, str):
        if keys.endswith("."):
            return {key.removeprefix(keys): tensor for key, tensor in state.items()}
        if keys not in MAPPINGS:
            raise Refusal(
                f"unknown key mapping {keys!r}; {nearest(keys, MAPPINGS)}; "
                "a prefix to strip ends with '.'"
            )
        return MAPPINGS[keys](state, net)
    prefixes = dict(keys)
    return {_replaced(key, prefixes): tensor for key, tensor in state.items()}


def _replaced(key: str, prefixes: Mapping[str, str]) -> str:
    for old in sorted(prefixes, key=len, reverse=True):
        if key.startswith(old):
            return prefixes[old] + key.removeprefix(old)
    return key
