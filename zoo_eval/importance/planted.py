"""Planted maps: local contrast of each image, for where no human maps are at hand."""

from dataclasses import replace
from typing import Literal

import numpy as np
from scipy.ndimage import uniform_filter

from zoo_eval.digests import digest
from zoo_eval.files.reading import MOST_BYTES
from zoo_eval.importance import kept
from zoo_eval.importance.images import RawMap
from zoo_eval.importance.maps import ImportanceMaps, ImportanceSection, of_stimuli
from zoo_eval.importance.preparation import Preparation
from zoo_eval.stimuli.stimulus_set import Pixels, StimulusSet, Sweepmates

LUMINANCE = (0.299, 0.587, 0.114)
# Moves when, and only when, the maps of the same images move.
VERSION = 1
# Contrast is taken in squares of this share of the shorter side.
WINDOW = 1 / 28


class PlantedMapsSection(ImportanceSection):
    """Maps of local contrast, made from the images: they check the method, nobody looked."""

    kind: Literal["planted"] = "planted"
    stimuli: str

    def read(self, name: str, known: Sweepmates) -> tuple[ImportanceMaps, StimulusSet | None]:
        return plant(
            name, known.stimuli(self.stimuli), self.preparation, known.memory_budget_bytes
        ), None


def plant(
    name: str, stimuli: StimulusSet, preparation: Preparation, most_bytes: int = MOST_BYTES
) -> ImportanceMaps:
    """Prepared maps of local contrast, one per image, marked as planted.

    They are kept under the images' digest: of images that a plan has seen, none is opened again.
    """
    key = digest({"planted_maps": VERSION, "stimuli": stimuli.digest, **preparation.key})
    side = preparation.canvas_px
    prepared = kept.read(name, key, (len(stimuli), side, side), most_bytes)
    if prepared is None:
        raw = (contrast(image) for image in stimuli.images)
        made = of_stimuli(
            name, stimuli, raw, preparation, human_ceiling=None, most_bytes=most_bytes
        )
        kept.write(key, made.maps)
        return replace(made, planted=True)
    return ImportanceMaps(
        name, stimuli.name, stimuli.digest, stimuli.ids, prepared, preparation, planted=True
    )


def contrast(image: Pixels) -> RawMap:
    """The standard deviation of luminance around each pixel, float32 (row, column), in 0 ... 255.

    Args:
        image: (row, column, RGB).
    """
    grey = image.astype(np.float64) @ np.array(LUMINANCE)
    window = max(3, round(WINDOW * min(grey.shape)))
    mean = uniform_filter(grey, window)
    # Rounding may leave a variance just below 0.
    variance = (uniform_filter(grey**2, window) - mean**2).clip(min=0)
    found: RawMap = np.sqrt(variance).astype(np.float32)
    return found
