"""Activations: what of a module's output is a layer."""

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
