"""Seeded random crops of other stimulus sets."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from zoo_eval.stimuli.stimulus_set import StimulusSet


def random_crops(
    name: str,
    sources: Sequence[StimulusSet],
    *,
    n: int,
    size_px: int,
    seed: int,
    smallest: float = 0.35,
    largest: float = 0.85,
) -> StimulusSet:
    """`n` seeded random square crops of the sources' images, resized to `size_px`.

    A crop's side is uniform between `smallest` and `largest` of its photo's shorter side; photos
    take turns, and `groups` holds the photo, so that its crops stay in one fold.
    """
    photos = [(f"{s.name}/{i}", image) for s in sources for i, image in zip(s.ids, s.images)]
    rng = np.random.default_rng(seed)
    ids, groups, images = [], [], []
    for index in range(n):
        photo, pixels = photos[index % len(photos)]
        height, width = pixels.shape[:2]
        side = round(rng.uniform(smallest, largest) * min(height, width))
        top = int(rng.integers(height - side + 1))
        left = int(rng.integers(width - side + 1))
        crop = Image.fromarray(pixels[top : top + side, left : left + side])
        images.append(np.asarray(crop.resize((size_px, size_px), Image.Resampling.BICUBIC)))
        ids.append(f"{photo}#{index // len(photos):03d}")
        groups.append(photo)
    return StimulusSet(name, tuple(ids), tuple(images), groups=tuple(groups))
