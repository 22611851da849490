"""Held: maps of a whole set in one array, in memory or, where they are many, on disk."""

import shutil
import tempfile

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput
from zoo_eval.files.reading import MOST_BYTES
from zoo_eval.paths import cache_folder
from zoo_eval.privacy import files
from zoo_eval.units import size_text

Maps = npt.NDArray[np.float32]
# Of the memory budget: what takes more than this share is on disk.
SHARE = 4
ITEM_BYTES = 4


def empty(name: str, shape: tuple[int, int, int], most_bytes: int = MOST_BYTES) -> Maps:
    """An array float32 (stimulus, row, column) to be filled.

    Beyond a quarter of `most_bytes` it is a file in the cache folder, which nobody else sees and
    which is gone with the array.

    Raises:
        BadInput: the disk has no room for it.
    """
    n_bytes = int(np.prod(shape, dtype=object)) * ITEM_BYTES
    if n_bytes <= most_bytes // SHARE:
        return np.empty(shape, np.float32)
    folder = cache_folder("maps")
    advice = "take fewer (limit, per_class), a smaller canvas_px, or move ZOO_EVAL_CACHE"
    try:
        files.make_folder(folder)
        free = shutil.disk_usage(folder).free
        if n_bytes > free:
            raise BadInput(
                f"importance {name!r}: {shape[0]} maps of {shape[1]} x {shape[2]} px take "
                f"{size_text(n_bytes)}, and {size_text(free)} are free in {folder}; {advice}"
            )
        with tempfile.TemporaryFile(dir=folder) as file:
            return np.memmap(file, np.float32, "w+", shape=shape)
    except OSError as error:
        raise BadInput(
            f"importance {name!r}: {folder} takes no maps ({error.strerror}); {advice}"
        ) from error
