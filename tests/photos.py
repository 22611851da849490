"""Real photos in the kinds of file that users have, made from those inside installed packages."""

from importlib.resources import files
from pathlib import Path

from PIL import Image

# Name, rows and columns, and how it is saved.
KINDS = {
    "landscape.jpg": ((375, 500), "RGB"),
    "portrait.png": ((500, 333), "RGB"),
    "grey.png": ((281, 300), "L"),
    "cmyk.jpg": ((240, 320), "CMYK"),
    "palette.png": ((260, 200), "P"),
    "small.jpg": ((175, 175), "RGB"),
    "large.jpg": ((2667, 4000), "RGB"),
    "tiny.png": ((41, 67), "RGB"),
}


def photos() -> list[Path]:
    """Twenty ImageNet photos, as a package has them."""
    return sorted(Path(str(files("foolbox") / "data")).glob("imagenet_*.jpg"))


def saved(folder: Path) -> list[Path]:
    """One file of each kind, each another photo."""
    paths = []
    for photo, (name, ((rows, columns), mode)) in zip(photos(), KINDS.items(), strict=False):
        with Image.open(photo) as image:
            resized = image.convert("RGB").resize((columns, rows), Image.Resampling.LANCZOS)
        paths.append(folder / name)
        resized.convert(mode).save(paths[-1], quality=92)
    return paths
