"""Pictures kept beside a perturbation, 8 bits each: for the report's gallery, not for numbers."""

import io

import torch
from PIL import Image
from torch import Tensor


def png(values: Tensor) -> bytes:
    """The PNG file of values in [0, 1]: (RGB, row, column), or (row, column) in grey."""
    levels = (values.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    pixels = levels.permute(1, 2, 0) if levels.ndim == 3 else levels
    file = io.BytesIO()
    Image.fromarray(pixels.contiguous().numpy()).save(file, format="PNG")
    return file.getvalue()
