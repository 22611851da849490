"""Samples: which images an epoch shows in which order, each cut and mirrored with its map.

Everything drawn for a place in an epoch follows from the seed, the epoch and the place alone: it does
not depend on how many workers share the epoch, nor on where a run went on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, log, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from zoo_eval.digests import seed_from
from zoo_eval.errors import BadInput
from zoo_eval.harmonizer.run_file import HarmonizeSection, TrainingSection
from zoo_eval.importance.maps import ImportanceMaps
from zoo_eval.inputs import Inputs
from zoo_eval.stimuli.ahead import Ahead
from zoo_eval.stimuli.stimulus_set import Pixels, StimulusSet
from zoo_eval.transforms import Transform

# Left, upper, right, lower, as shares of the width and height of what is cut.
Box = tuple[float, float, float, float]
Map = npt.NDArray[np.float32]
TRIES = 10
# Of batches, so many are decoded before they are asked for.
AHEAD = 2


@dataclass(frozen=True)
class Sample:
    """One image as it is learned from: pixels uint8 (row, column, RGB), its map, label and flag."""

    pixels: Pixels
    human: Map
    label: int
    has_map: bool


@dataclass(frozen=True)
class Batch:
    """Some samples: pixels in [0, 1] (image, RGB, row, column), maps (image, row, column), both float32."""

    pixels: Tensor
    human: Tensor
    labels: Tensor
    has_map: Tensor


@dataclass(frozen=True, eq=False)
class Samples:
    """What is learned from: images with maps, images without, and in which shares.

    `shown` is how an image that is cut becomes what the model sees.
    """

    mapped: StimulusSet
    maps: ImportanceMaps
    unmapped: StimulusSet | None
    share_mapped: float
    shown: Transform
    cut: TrainingSection
    seed: int

    @classmethod
    def of(
        cls,
        inputs: Inputs,
        what: HarmonizeSection,
        cut: TrainingSection,
        seen: tuple[Transform, int],
    ) -> "Samples":
        """The samples that a run names.

        Args:
            inputs: stimuli and human maps by name.
            what: which of them.
            cut: how images are cut.
            seen: the model's transform, and the run's seed.

        Raises:
            BadInput: images without labels, or maps of other images.
        """
        mapped, _ = inputs.labelled(what.mapped)
        maps = inputs.maps(what.importance, mapped)
        unmapped = None if what.unmapped is None else inputs.labelled(what.unmapped)[0]
        share = 1.0 if unmapped is None else what.share_mapped
        return cls(mapped, maps, unmapped, share, seen[0], cut, seen[1])

    @property
    def sets(self) -> tuple[StimulusSet, ...]:
        return (self.mapped,) if self.unmapped is None else (self.mapped, self.unmapped)

    @property
    def n_epoch(self) -> int:
        """Places in an epoch: each image without a map once, or each with one where all have."""
        if self.unmapped is None:
            return len(self.mapped)
        return int(len(self.unmapped) / (1 - self.share_mapped))

    @property
    def n_steps(self) -> int:
        """Whole batches of an epoch; what is left of it is not shown."""
        return self.n_epoch // self.cut.batch_size

    def check(self, n_classes: int) -> None:
        """Refuses what cannot be trained on.

        Raises:
            BadInput: fewer images than a step takes, or a label outside the network's classes.
        """
        if not self.n_steps:
            raise BadInput(
                f"an epoch has {self.n_epoch} images, and a step takes {self.cut.batch_size} (by "
                f"{self.cut.workers} workers); lower batch_size and workers, or give more images"
            )
        for one in self.sets:
            assert one.labels is not None
            outside = [n for n, label in enumerate(one.labels) if not 0 <= label < n_classes]
            if outside:
                raise BadInput(
                    f"stimuli {one.name!r} have label {one.labels[outside[0]]}, outside the network's "
                    f"{n_classes} classes (from 0), at {one.ids[outside[0]]!r} ({len(outside)} such); "
                    "correct the labels"
                )

    def batches(self, epoch: int, worker: int) -> Iterator[Batch]:
        """A worker's parts of an epoch's steps, `accumulate` a step, in order; decoded ahead."""
        cut = self.cut
        n = cut.batch_size // cut.workers
        each = n // cut.accumulate
        numbers = [
            step * cut.batch_size + worker * n + i for step in range(self.n_steps) for i in range(n)
        ]
        coming = Ahead(lambda k: self.sample(epoch, numbers[k]), len(numbers), AHEAD * each)
        for first in range(0, len(numbers), each):
            yield batch(coming[range(first, first + each)])

    def sample(self, epoch: int, place: int) -> Sample:
        """What is shown at a place of an epoch."""
        is_mapped, number = self.drawn(epoch, place)
        rng = np.random.default_rng(seed_from(f"sample/{self.seed}/{epoch}/{place}"))
        source = self.mapped if is_mapped or self.unmapped is None else self.unmapped
        assert source.labels is not None
        image = source.image(number)
        human, has_map = None, False
        if is_mapped:
            # A map lies over the middle of its image.
            image = middle(image)
            human = self.maps.maps[number]
            has_map = source.ids[number] not in self._undefined
        box = self._box(rng, image.shape[1] / image.shape[0])
        mirrored = self.cut.flip and rng.random() < 0.5
        rows, columns = self.shown.size
        resample = Image.Resampling[self.shown.interpolation.upper()]
        pixels = cut_out(Image.fromarray(image), box, (columns, rows), resample)
        if human is None:
            drawn_map = np.zeros((rows, columns), np.float32)
        else:
            drawn_map = cut_out(
                Image.fromarray(human), box, (columns, rows), Image.Resampling.BILINEAR
            )
        if mirrored:
            pixels, drawn_map = pixels[:, ::-1], drawn_map[:, ::-1]
        return Sample(pixels, drawn_map, source.labels[number], has_map)

    def drawn(self, epoch: int, place: int) -> tuple[bool, int]:
        """Whether the image at a place of an epoch has a map, and its number in its set.

        Mapped images are spread evenly over an epoch; each set is shown in an order of its own, whole
        before any of it comes again.
        """
        before = epoch * self.n_epoch + place
        n_mapped = int((before + 1) * self.share_mapped + 1e-9)
        is_mapped = n_mapped > int(before * self.share_mapped + 1e-9)
        shown = n_mapped - 1 if is_mapped else before - n_mapped
        source = self.mapped if is_mapped or self.unmapped is None else self.unmapped
        turn, number = divmod(shown, len(source))
        return is_mapped, int(_order(self.seed, int(is_mapped), turn, len(source))[number])

    @property
    def _undefined(self) -> frozenset[str]:
        return _undefined_of(self.maps)

    def _box(self, rng: np.random.Generator, width_over_height: float) -> Box:
        """A part of an image, by its area and its sides, as torchvision's RandomResizedCrop draws it."""
        least, most = (log(one) for one in self.cut.crop_ratio)
        for _ in range(TRIES):
            area = rng.uniform(*self.cut.crop_area)
            ratio = exp(rng.uniform(least, most)) / width_over_height
            width, height = sqrt(area * ratio), sqrt(area / ratio)
            if width <= 1 and height <= 1:
                left, upper = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
                return left, upper, left + width, upper + height
        return 0.0, 0.0, 1.0, 1.0


@cache
def _undefined_of(maps: ImportanceMaps) -> frozenset[str]:
    return frozenset(maps.undefined)


@cache
def _order(seed: int, which: int, turn: int, n: int) -> npt.NDArray[np.int64]:
    rng = np.random.default_rng(seed_from(f"order/{seed}/{which}/{turn}"))
    return rng.permutation(n)


def middle(image: Pixels) -> Pixels:
    """The square in the middle of an image, of its shorter side."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def cut_out(
    image: Image.Image, box: Box, size: tuple[int, int], resample: Image.Resampling
) -> npt.NDArray[Any]:
    """A part of an image or map, resized to (columns, rows): what shares of it lie where is the same for both."""
    width, height = image.size
    pixels = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
    return np.asarray(image.resize(size, resample, box=pixels))


def batch(samples: Sequence[Sample]) -> Batch:
    """Samples as tensors."""
    pixels = np.stack([one.pixels for one in samples])
    return Batch(
        torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255,
        torch.from_numpy(np.stack([one.human for one in samples])),
        torch.tensor([one.label for one in samples]),
        torch.tensor([one.has_map for one in samples]),
    )
