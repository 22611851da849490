"""Decoding of images and maps: colour photos, grey maps, arrays; never a colour picture as a map."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ImageOps

from zoo_eval.errors import BadInput
from zoo_eval.files import arrays
from zoo_eval.stimuli.decoding import Exif, decoded, opened
from zoo_eval.stimuli.stimulus_set import Pixels

# One map: 16,000 x 16,000 values.
MOST_MAP_BYTES = 2**30
# Modes whose numbers are levels of grey, or of equal colours.
GREY = ("1", "L", "LA", "I", "F", "RGB", "RGBA")
RawMap = npt.NDArray[np.float32]


def photo(encoded: bytes, where: str) -> Pixels:
    """An encoded image as uint8 (row, column, RGB), by the rules of image files.

    Raises:
        BadInput: the bytes are not a readable image.
    """
    with opened(encoded, f"{where}: image") as image:
        return decoded(image)


def grey_map(encoded: bytes, where: str, exif: Exif = "ignore") -> RawMap:
    """An encoded grey image, 8 or 16 bits, as float32 (row, column) in its own units; transparency is dropped.

    Raises:
        BadInput: the bytes are not a readable image, or one in colour.
    """
    with opened(encoded, f"{where}: map") as file:
        image = file
        image.load()
        if exif == "apply":
            image = ImageOps.exif_transpose(image)
        # Of palettes, inks and other spaces the numbers are no grey.
        as_it_is = image.mode in GREY or image.mode.startswith("I;16")
        values = np.asarray(image if as_it_is else image.convert("RGB"))
    if values.ndim == 3:
        colours = values[..., :3] if values.shape[2] > 2 else values[..., :1]
        if (colours != colours[..., :1]).any():
            raise BadInput(f"{where}: map is a picture in colour; save the map itself, in grey")
        values = colours[..., 0]
    return values.astype(np.float32)


def array_map(path: Path) -> RawMap:
    """An .npy file of numbers (row, column), possibly with an axis of length 1, as float32.

    Raises:
        BadInput: the file is damaged, needs code to load, or holds something else.
    """
    return one_map(arrays.npy(path, MOST_MAP_BYTES), str(path))


def one_map(values: npt.NDArray[np.generic], where: str) -> RawMap:
    """An array of numbers as float32 (row, column); axes of length 1 before or after are dropped.

    Raises:
        BadInput: it is of another shape or kind.
    """
    shape = values.shape
    while values.ndim > 2 and 1 in (values.shape[0], values.shape[-1]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "biuf" or not values.size:
        raise BadInput(
            f"{where}: a map must be numbers (row, column), got {values.dtype} {list(shape)}; "
            "save one value per pixel"
        )
    found = values.astype(np.float32)
    if not np.isfinite(found).all():
        raise BadInput(f"{where}: has a NaN or infinite value; remove the map and its image")
    return found
