"""Tokens: a layer's name may say which of a transformer's tokens are meant, `blocks.3:cls`.

`:cls` is the class token, `:mean` the mean over the image's patches (class and register tokens
left out); a name without either means every token.
"""

from collections.abc import Sequence
from math import isqrt

from torch import Tensor, nn

from zoo_eval.errors import Refusal

KINDS = ("cls", "mean")
CLASS_TOKENS = ("cls_token", "class_token", "class_embedding")


def split(layer: str) -> tuple[str, str | None]:
    """A layer's name without its tokens, and those: "blocks.3:cls" -> ("blocks.3", "cls")."""
    module, _, kind = layer.partition(":")
    return module, kind or None


def n_prefix(net: nn.Module) -> tuple[int, bool]:
    """The number of tokens before those of the patches, and whether the first is the class token."""
    for module in net.modules():
        has_class = any(getattr(module, name, None) is not None for name in CLASS_TOKENS)
        known = getattr(module, "num_prefix_tokens", None)
        if isinstance(known, int):
            return known, has_class
        if has_class:
            return 1, True
    return 0, False


def check(layer: str, shape: Sequence[int] | None, net: nn.Module) -> None:
    """Refuses a layer whose activation (image, token, feature) has no such tokens.

    A square image has a square number of patches: a layer before which the class token has not
    joined yet (CaiT's first blocks) is told by that.

    Raises:
        Refusal: unknown kind of tokens, not tokens at all, or none of this kind.
    """
    module, kind = split(layer)
    if kind is None:
        return
    if kind not in KINDS:
        raise Refusal(f"layer {layer!r}: unknown tokens {kind!r}; write :cls or :mean")
    if shape is None or len(shape) != 3:
        said = "nothing" if shape is None else list(shape)
        raise Refusal(f"layer {module!r} returns {said}, not tokens; remove :{kind}")
    prefix, has_class = n_prefix(net)
    n_patches = shape[1] - prefix
    fits = n_patches >= 0 and isqrt(n_patches) ** 2 == n_patches
    if kind == "cls" and not (has_class and fits):
        raise Refusal(f"layer {module!r} has no class token among its {shape[1]}; remove :cls")
    if kind == "mean" and (not fits or n_patches == 0):
        raise Refusal(f"layer {module!r} has no patches among its {shape[1]} tokens; remove :mean")


def chosen(activation: Tensor, kind: str | None, prefix: int) -> Tensor:
    """Activations (image, token, feature) -> (image, feature) of the tokens meant; all: as given."""
    if kind == "cls":
        return activation[:, 0]
    if kind == "mean":
        return activation[:, prefix:].mean(1)
    return activation
