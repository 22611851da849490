"""How layers' maps are compared with recorded ones, by name: `corrected`, as released, or with one defect.

What the released code of Linsley et al. 2023 (serre-lab/neural_harmonizer) does otherwise has a name
each; `linsley2023_release` has all of them, `defect_NAME` one, so that its share in the numbers is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zoo_eval.errors import Refusal
from zoo_eval.models.open_model import OpenModel
from zoo_eval.numerics import spatial, spatial_released
from zoo_eval.numerics.ceilings import max_pairwise_target
from zoo_eval.recordings.spatial import SpatialMaps
from zoo_eval.transforms import Transform

Grid = tuple[int, int]

DEFECTS: Mapping[str, str] = {
    "divided_by_mean": "images are normalised by (x - mean) / mean instead of (x - mean) / std",
    "features_averaged": "of more than 600 features, every 3 (or else 4) adjacent ones are averaged",
    "last_feature_zeroed": "interpolated layers lose their last feature",
    "image_rescaled": "each image's features are brought to 0 to 1 by its own extremes",
    "uncentred_prediction": "predictions are features times weights, without the training means",
    "quarter_sampled": "maps are down-sampled by picking positions, not by means of blocks",
    "ceiling_by_rows": "channels are correlated within each row of positions, and rows averaged",
    "ceiling_skips_channel": "the last channel is left out of the ceiling, which is never below 0",
    "ceiling_slipped_scale": "x - min / (max - min) instead of (x - min) / (max - min)",
    "layer_on_test": "the layer is chosen by the score that is reported",
}


CEILING_DEFECTS = ("ceiling_slipped_scale", "ceiling_by_rows", "ceiling_skips_channel")


@dataclass(frozen=True)
class SpatialProtocol:
    """One way of comparing, with some of `DEFECTS`."""

    defects: tuple[str, ...] = ()

    def has(self, defect: str) -> bool:
        return defect in self.defects

    def check(self, model: str, transform: Transform) -> None:
        """Refuses a model that a defect would divide by zero."""
        if self.has("divided_by_mean") and not all(transform.mean):
            raise Refusal(
                f"images of {model} are normalised by mean {list(transform.mean)}, and the released code "
                'divides by it; leave the model out, or set protocol = "corrected"'
            )

    def check_features(self, n_features: int) -> None:
        """Refuses a layer whose features a defect cannot average.

        Raises:
            NotDivisible: it is left out by the released code, without a word.
        """
        if self.has("features_averaged"):
            spatial_released.group_size(n_features)

    def shown(self, model: OpenModel, view: Tensor) -> Tensor:
        """What the network is shown of what it sees, before its own normalisation."""
        if not self.has("divided_by_mean"):
            return view
        mean, std = (
            view.new_tensor(values)[:, None, None]
            for values in (model.transform.mean, model.transform.std)
        )
        return mean + (view - mean) * (std / mean)

    def on_grid(self, maps: Tensor, grid: Grid) -> Tensor:
        """A layer's maps (image, row, column, feature) at a recording's positions.

        Raises:
            NotDivisible: the layer's features cannot be averaged as the released code does.
        """
        n_rows = maps.shape[1]
        if self.has("features_averaged"):
            maps = spatial_released.averaged_features(maps)
        found = spatial.on_grid(maps, grid)
        if self.has("last_feature_zeroed"):
            found = spatial_released.last_feature_zeroed(found, n_rows)
        if self.has("image_rescaled"):
            found = spatial_released.image_rescaled(found)
        return found

    def quarter(self, maps: Tensor) -> Tensor | None:
        """Maps (map, row, column) after down-sampling by 4."""
        one = spatial.quarter_sampled if self.has("quarter_sampled") else spatial.quarter
        return one(maps)

    def ceilings(self, recorded: SpatialMaps) -> list[float]:
        """By image, the highest correlation between two channels; NaN where none is defined."""
        slipped, by_rows, skips_last = map(self.has, CEILING_DEFECTS)
        if not (slipped or by_rows or skips_last):
            n_images, n_channels = len(recorded.maps), recorded.maps.shape[-1]
            by_image = recorded.maps.reshape(n_images, -1, n_channels)
            return [float(one) for one in max_pairwise_target(by_image)]
        maps = torch.from_numpy(recorded.maps)
        if slipped:
            low, high = float(np.min(recorded.maps)), float(np.max(recorded.maps))
            maps = spatial_released.slipped_scale(maps, low, high)
        pairs = (spatial_released.channel_pairs(one, by_rows=by_rows) for one in maps)
        return [spatial_released.highest_pair(one, skips_last=skips_last) for one in pairs]


CORRECTED, RELEASE, DEFECT = "corrected", "linsley2023_release", "defect_"
PROTOCOLS: Mapping[str, SpatialProtocol] = {
    CORRECTED: SpatialProtocol(),
    RELEASE: SpatialProtocol(tuple(DEFECTS)),
    **{f"{DEFECT}{name}": SpatialProtocol((name,)) for name in DEFECTS},
}
