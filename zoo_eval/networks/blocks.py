"""The default layers of a network: what its library calls its features, else its repeated blocks."""

from collections import Counter
from collections.abc import Container, Iterator

from torch import nn
from torch.nn.modules import activation

PLAIN = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
ACTIVATIONS = tuple(
    kind
    for name in activation.__all__
    if not issubclass(kind := getattr(activation, name), nn.MultiheadAttention)
)


def blocks(net: nn.Module, captured: Container[str]) -> tuple[str, ...]:
    """Names of the modules that the layer choice `blocks` stands for, in network order.

    Of those that can be `captured`: timm's `feature_info` where a network, or a tower inside it,
    has one and can be captured whole; else the outermost modules of a kind that is repeated, with
    their composite siblings; else, in networks without blocks (AlexNet, VGG), the activation
    functions. Empty if there is none of these.
    """
    for name, module in net.named_modules():
        info = getattr(module, "feature_info", None)
        if isinstance(info, list) and info:
            named = dict.fromkeys(_joined(name, entry["module"]) for entry in info)
            if all(block in captured for block in named):
                return tuple(n for n, _ in net.named_modules() if n in named)
    if found := _repeated(net, "", captured):
        return tuple(found)
    return tuple(
        name
        for name, module in net.named_modules()
        if isinstance(module, ACTIVATIONS) and name in captured
    )


def _repeated(module: nn.Module, path: str, captured: Container[str]) -> list[str]:
    composite = [(name, child) for name, child in _children(module, path) if any(child.children())]
    kinds = Counter(type(child) for _, child in composite)
    if kinds and max(kinds.values()) > 1:
        # What returns several tensors (HRNet's stages) is looked into.
        return [
            block
            for name, child in composite
            for block in ([name] if name in captured else _repeated(child, name, captured))
        ]
    return [block for name, child in composite for block in _repeated(child, name, captured)]


def _children(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """A module's children, looking through containers that only group."""
    for name, child in module.named_children():
        if type(child) in PLAIN:
            yield from _children(child, _joined(path, name))
        else:
            yield _joined(path, name), child


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
