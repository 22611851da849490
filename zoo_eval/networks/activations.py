"""Activations: what of a module's inputs and outputs is a layer."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor


def one_per_image(output: Any, n_images: int) -> Tensor | None:
    """The tensor (image, ...) that a module returns, alone or as the only one of a tuple; else None.

    None too where its first axis is not the images: Swin's attention, say, sees windows.
    """
    if isinstance(output, tuple | list):
        tensors = [part for part in output if isinstance(part, Tensor)]
        output = tensors[0] if len(tensors) == 1 else None
    if isinstance(output, Tensor) and output.ndim > 1 and len(output) == n_images:
        return output
    return None


def vector_per_image(value: Any, n_images: int) -> Tensor | None:
    """The first tensor of a module's input or output as (image, feature); else None.

    None too where an image has more than one position: maps or tokens.
    """
    found = next(tensors(value), None)
    if found is None or found.ndim < 2 or len(found) != n_images:
        return None
    return found.flatten(1) if found[0].numel() == found.shape[1] else None


def tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in what is passed to or from a module."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors(part)
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))
