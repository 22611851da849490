"""Decoding: an image file as 8-bit RGB; by stated formats alone, and what it cannot mean is refused."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps

from zoo_eval.errors import BadInput
from zoo_eval.files import foreign
from zoo_eval.stimuli.stimulus_set import Pixels

Exif = Literal["ignore", "apply"]
# Moves when a file may be decoded to other pixels than before.
VERSION = 2
# By name: of others, Pillow hands one to a program (PostScript to Ghostscript).
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
# 65535 in 16 bits is 255 in 8.
LEVEL_16 = 257
UPRIGHT = 1
# Orientations that exchange rows and columns.
LYING = (5, 6, 7, 8)


@contextmanager
def opened(source: Path | bytes, where: str = "") -> Iterator[Image.Image]:
    """An image file, or its bytes, whose header was read; `where` it is, for messages.

    Raises:
        BadInput: it is no image, or damaged as far as is read within the block.
    """
    place = where or str(source)
    # Pillow's readers raise anything when they are fed nonsense.
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(file, formats=FORMATS) as image:
            yield image
    except BadInput as error:
        raise BadInput(f"{place}: {error}") from error
    except Image.DecompressionBombError as error:
        raise BadInput(
            f"{place}: cannot be decoded as an image ({error}); save it smaller"
        ) from error
    except Exception as error:
        raise BadInput(f"{place}: cannot be decoded as an image: {_told(source)}") from error


def decoded(image: Image.Image, exif: Exif = "ignore") -> Pixels:
    """What an opened file shows, uint8 (row, column, RGB).

    Grey is repeated, transparency dropped, CMYK converted as Pillow does; 16 bits are divided by 257
    and rounded. With `exif = "apply"` the image is turned as its orientation says.

    Raises:
        BadInput: values that have no stated range (32-bit integers, floats).
    """
    # A TIFF is turned by Pillow itself when it is loaded, and says so no longer.
    image.load()
    if exif == "apply":
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        return _grey(np.asarray(image).astype(np.uint32))
    if image.mode in ("I", "F"):
        return _grey(_within_16_bits(image))
    return np.asarray(image.convert("RGB"))


def orientation(image: Image.Image) -> int:
    """The orientation that an opened file says (1: upright, as it is); a TIFF is turned by Pillow."""
    if image.format == "TIFF":
        return UPRIGHT
    found = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    return found if found in range(1, 9) else UPRIGHT


def shape(image: Image.Image, exif: Exif = "ignore") -> tuple[int, int, int]:
    """The (row, column, RGB) of what an opened file shows, from its header."""
    if exif == "apply" and orientation(image) in LYING:
        return image.width, image.height, 3
    return image.height, image.width, 3


def check_whole(source: Path | bytes, where: str = "") -> None:
    """Checks what a decoder does not: the checksums of a PNG file.

    Raises:
        BadInput: one does not match.
    """
    with opened(source, where) as image:
        if image.format == "PNG":
            image.verify()


def remark(source: Path | bytes, exif: Exif, where: str = "") -> str | None:
    """What a plan says of the images that are like this one, see `Images.remark`.

    Raises:
        BadInput: the image is damaged.
    """
    check_whole(source, where)
    with opened(source, where) as image:
        if orientation(image) == UPRIGHT:
            return None
    if exif == "apply":
        return "are turned as their EXIF orientation says"
    return (
        "have an EXIF orientation that is ignored, as the libraries' own evaluation does "
        '(exif = "apply" turns them)'
    )


def _told(source: Path | bytes) -> str:
    if isinstance(source, bytes):
        return f"it is {foreign.of_bytes(source, '.png')}"
    return foreign.told(source)


def _within_16_bits(image: Image.Image) -> npt.NDArray[np.uint32]:
    """The values of a grey PNG of 16 bits, which Pillow holds in 32."""
    values = np.asarray(image)
    if image.format == "PNG" and image.mode == "I" and values.min() >= 0 and values.max() < 2**16:
        return values.astype(np.uint32)
    kind = "floats" if image.mode == "F" else "32-bit integers"
    raise BadInput(
        f"holds {kind} between {values.min():g} and {values.max():g}, whose black and white nobody "
        "states; save it with 8 or 16 bits"
    )


def _grey(values: npt.NDArray[np.uint32]) -> Pixels:
    grey = ((values + LEVEL_16 // 2) // LEVEL_16).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
