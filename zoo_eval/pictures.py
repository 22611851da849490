"""Pictures of 8 bits each: what is kept beside a perturbation and drawn on pages, not for numbers."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image


def levels(values: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Values as 0 ... 255, those outside [0, 1] at its ends; of any shape."""
    found: npt.NDArray[np.uint8] = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
    return found


def png(pixels: npt.NDArray[np.uint8], *, smallest: bool = False) -> bytes:
    """The PNG file of uint8 (row, column, RGB), or (row, column) in grey.

    `smallest` takes longer to write.
    """
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, format="PNG", optimize=smallest)
    return file.getvalue()
