"""Small images and their files' bytes, and what a section may ask for when it stands alone."""

import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from PIL import Image

from zoo_eval.stimuli.stimulus_set import StimulusSet


class Alone:
    """Sweepmates of a section that asks for none."""

    memory_budget_bytes = 2**31


def read(section: Any, name: str = "set") -> StimulusSet:
    """What a section reads."""
    return section.read(name, Alone())


def pixels(n: int, height: int = 20, width: int = 24) -> np.ndarray:
    """Seeded images (image, row, column, RGB)."""
    return np.random.default_rng(n).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def encoded(image: np.ndarray, kind: str = "JPEG", **options: Any) -> bytes:
    """An image's file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def by_pillow(content: bytes) -> np.ndarray:
    """What Pillow itself decodes."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def check(stimuli: StimulusSet, expected: list[np.ndarray]) -> None:
    """Images, shapes and identity are those of arrays in memory, also in a copy and by many threads."""
    in_memory = StimulusSet("m", stimuli.ids, tuple(expected), stimuli.groups, stimuli.labels)
    assert stimuli.shapes == in_memory.shapes
    assert stimuli.digest == in_memory.digest
    again = pickle.loads(pickle.dumps(stimuli.images))
    for images in (stimuli.images, again):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(images.__getitem__, [*range(len(expected))] * 4))
        for one, other in zip(found, expected * 4, strict=True):
            np.testing.assert_array_equal(one, other)
    assert again.stamp == stimuli.images.stamp
