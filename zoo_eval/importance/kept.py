"""Kept: prepared maps that were made of images, so that no later plan opens the images again."""

from contextlib import suppress
from pathlib import Path

import numpy as np

from zoo_eval.digests import DIGEST_CHARACTERS, bytes_digest
from zoo_eval.importance import held
from zoo_eval.importance.held import Maps
from zoo_eval.paths import cache_folder, whole

# Of the disk, for one set of maps: about 5,000 of 224 px. More are made anew by every plan.
MOST_KEPT_BYTES = 2**30


def read(name: str, key: str, shape: tuple[int, int, int], most_bytes: int) -> Maps | None:
    """What was kept under a key; None without it, and where it is not as it was written.

    Args:
        name: of the maps, for messages.
        key: a digest of all that determines the maps.
        shape: (stimulus, row, column).
        most_bytes: of this, maps may take a quarter in memory; more are on disk.
    """
    try:
        with _file(key).open("rb") as file:
            said = file.read(DIGEST_CHARACTERS)
            maps = held.empty(name, shape, most_bytes)
            for one in maps:
                one[...] = np.frombuffer(file.read(one.nbytes), one.dtype).reshape(one.shape)
            end = file.read(1)
    except (OSError, ValueError):
        return None
    return maps if not end and said == _digest(maps) else None


def write(key: str, maps: Maps) -> None:
    """Keeps maps; where they are too many, or the cache folder takes nothing, they are made again."""
    if maps.nbytes > MOST_KEPT_BYTES:
        return
    with suppress(OSError), whole(_file(key)) as aside, aside.open("wb") as file:
        file.write(_digest(maps))
        for one in maps:
            file.write(one.tobytes())


def _digest(maps: Maps) -> bytes:
    return bytes_digest(one.tobytes() for one in maps).encode()


def _file(key: str) -> Path:
    return cache_folder("planted_maps") / f"{key}.float32"
