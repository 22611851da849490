"""Scores of one layer's maps against recorded ones, image by image, each held out once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from zoo_eval.evaluations.spatial_protocols import SpatialProtocol
from zoo_eval.numerics.correlation import median_defined, pearson
from zoo_eval.numerics.image_pls import ImageRows, Predicted, predict
from zoo_eval.numerics.spatial import map_spearman
from zoo_eval.recordings.spatial import SpatialMaps

Row = Mapping[str, Any]


def without_each(n_images: int) -> Tensor:
    """Training images, bool (fold, image): fold i is without image i."""
    return ~torch.eye(n_images, dtype=torch.bool)


def without_pairs(n_images: int) -> Tensor:
    """Training images of the inner folds, bool (fold, image): each pair of images is left out once.

    Without i and j, a fit tells j when i is held out, and i when j is: half as many as fits.
    """
    pairs = list(combinations(range(n_images), 2))
    training = torch.ones(len(pairs), n_images, dtype=torch.bool)
    for fold, pair in enumerate(pairs):
        training[fold, list(pair)] = False
    return training


@dataclass(frozen=True, eq=False)
class MapScores:
    """What layers are scored against: recorded maps under a protocol.

    With `selects`, a selection score is found among the training images of each held-out one.
    """

    recorded: SpatialMaps
    protocol: SpatialProtocol
    n_components: int
    selects: bool
    device: torch.device

    @property
    def n_images(self) -> int:
        return len(self.recorded.maps)

    @cached_property
    def responses(self) -> Tensor:
        return torch.from_numpy(self.recorded.maps).to(self.device)

    @cached_property
    def ceilings(self) -> list[float]:
        return self.protocol.ceilings(self.recorded)

    def rows(self, maps: Tensor) -> list[Row]:
        """One row of `spatial_scores` per image, of a layer's maps (image, row, column, feature)."""
        rows = ImageRows.of(maps.to(self.device), self.responses)
        folds = without_each(self.n_images).to(self.device)
        predicted = predict(rows, folds, self.n_components)
        found = [self._row(rows, predicted, image) for image in range(self.n_images)]
        selection: Sequence[float | None] = [None] * self.n_images
        if self.protocol.has("layer_on_test"):
            scores = [row["score"] for row in found if row["score"] is not None]
            selection = [sum(scores) / len(scores) if scores else None] * self.n_images
        elif self.selects:
            selection = self._selection(rows)
        return [
            {**row, "selection_score": score} for row, score in zip(found, selection, strict=True)
        ]

    def _row(self, rows: ImageRows, predicted: Predicted, image: int) -> dict[str, Any]:
        mine = predicted.of_image[image][image]
        if self.protocol.has("uncentred_prediction"):
            mine = mine - predicted.at_origin[image]
        r = pearson(mine, rows.observed(image))
        grid, ceiling = self.recorded.maps.shape[1:3], self.ceilings[image]
        both = torch.stack([mine.mean(1), rows.observed(image).mean(1)]).reshape(2, *grid).cpu()
        quarter = self.protocol.quarter(both)
        return {
            "stimulus_id": self.recorded.image_ids[image],
            "score": median_defined(r),
            "r": r.tolist(),
            "channel_ids": list(self.recorded.channel_ids),
            "n_constant_channels": int(r.isnan().sum()),
            "ceiling": ceiling if isfinite(ceiling) else None,
            "map_spearman_full": map_spearman(*both),
            "map_spearman_quarter": None if quarter is None else map_spearman(*quarter),
            "maps": both,
        }

    def _selection(self, rows: ImageRows) -> list[float | None]:
        """By held-out image, the mean score of the others, each predicted without both."""
        pairs = without_pairs(self.n_images).to(self.device)
        predicted = predict(rows, pairs, self.n_components)
        scores: list[list[float]] = [[] for _ in range(self.n_images)]
        for of_image in predicted.of_image:
            for held_out, other in (tuple(of_image), tuple(of_image)[::-1]):
                score = median_defined(pearson(of_image[other], rows.observed(other)))
                if score is not None:
                    scores[held_out].append(score)
        return [sum(some) / len(some) if some else None for some in scores]
