"""What is held as maps of activity over positions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.privacy import files
from zoo_eval.recordings.ceiling import CeilingChoices
from zoo_eval.recordings.held import Held, Inspection, Written, histogram
from zoo_eval.recordings.spatial import SpatialMaps
from zoo_eval.recordings.spatial_recording import SpatialRecording

FILE = "maps.npz"
# Names of arrays in a file of maps, as the kind `spatial_arrays` reads them.
MAPS, IMAGE_IDS, CHANNEL_IDS = "maps", "image_ids", "channel_ids"
N_HALVES = 10


@dataclass(frozen=True, eq=False)
class HeldMaps(Held):
    """Maps (image, row, column, channel), with repetitions or without; `named` says whether the file names images."""

    maps: SpatialMaps
    named: bool = True

    def inspection(self) -> Inspection:
        n_images, n_rows, n_columns, n_channels = self.maps.maps.shape
        counts = {
            "stimuli": n_images,
            "rows": n_rows,
            "columns": n_columns,
            "channels": n_channels,
            "repetitions": self.maps.n_repetitions,
        }
        ids = self.maps.image_ids
        facts = {
            "image ids": f"{ids[0]} to {ids[-1]}"
            if self.named
            else "none: maps meet the images by their order",
            "channel ids": f"{self.maps.channel_ids[0]} to {self.maps.channel_ids[-1]}",
            "responses": f"{self.maps.maps.min():.4g} to {self.maps.maps.max():.4g}",
        }
        charts = [histogram("responses (means over repetitions)", self.maps.maps.ravel())]
        reliability = self._reliability()
        if reliability is None:
            facts["reliability"] = "of no repetitions: each image is there once"
        else:
            known = reliability[~np.isnan(reliability)]
            middle = f"median {np.median(known):.3f}" if len(known) else "undefined"
            facts["reliability"] = (
                f"{middle} of {len(reliability)} channels over the positions of an image"
            )
            title = "channels by reliability (split half, Spearman-Brown)"
            charts.append(histogram(title, reliability))
        return Inspection(counts, facts, charts)

    def _reliability(self) -> npt.NDArray[np.float64] | None:
        """Of halves of the repetitions, by channel, as the ceiling of scores has it; None without any."""
        choices = CeilingChoices(N_HALVES, "spearman")
        found = SpatialRecording("held", "shown", self.maps).ceilings(choices)
        halved = [one for one in found if one.estimator == "splithalf_spearman_brown"]
        return np.array(list(halved[0].values(0).values())) if halved else None

    def write(self, folder: Path, most_bytes: int) -> Written:
        repeated = self.maps.repetitions
        arrays: dict[str, Any] = {
            MAPS: self.maps.maps if repeated is None else repeated,
            CHANNEL_IDS: np.array(self.maps.channel_ids),
        }
        if self.named:
            arrays[IMAGE_IDS] = np.array(self.maps.image_ids)
        with files.opened(folder / FILE, "wb") as file:
            np.savez(file, **arrays)
        return Written("spatial_arrays", FILE)
