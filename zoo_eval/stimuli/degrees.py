"""Degrees: images at the size at which they were shown, within the field that a model is taken to see."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from zoo_eval.digests import digest
from zoo_eval.errors import BadInput
from zoo_eval.stimuli.identities import Shape
from zoo_eval.stimuli.stimulus_set import Images, Pixels, StimuliSection, StimulusSet

# Half of what is shown at most, as behind the stimuli of recordings.
GREY = 128
# A field around an image that takes more than this is a mistake of units.
MOST_PIXELS = 2**26
# Moves when an image is drawn otherwise.
VERSION = 1


def shown(section: StimuliSection, stimuli: StimulusSet) -> StimulusSet:
    """The set as its section says that it is seen; the set itself where it says nothing.

    Raises:
        BadInput: a field so wide that an image in it is larger than any.
    """
    if section.degrees is None or section.seen_degrees is None:
        return stimuli
    factor = section.seen_degrees / section.degrees
    images = InField(stimuli.images, stimuli.shapes, factor)
    _check(stimuli, images)
    how = "padded with grey" if factor > 1 else "cut to its centre" if factor < 1 else "as they are"
    note = f"images of {section.degrees:g} degrees are seen in a field of {section.seen_degrees:g}, {how}"
    return replace(stimuli, images=images, known=None, notes=(*stimuli.notes, note))


@dataclass(frozen=True, eq=False)
class InField(Images):
    """Images in the middle of a field that is `factor` times as wide and as high: padded or cut."""

    of: Sequence[Pixels]
    known_shapes: tuple[Shape, ...]
    factor: float

    def __len__(self) -> int:
        return len(self.of)

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        return tuple(
            (*(_length(one, self.factor) for one in shape[:2]), *shape[2:])
            for shape in self.known_shapes
        )

    @property
    def stamp(self) -> str | None:
        inner = self.of.stamp if isinstance(self.of, Images) else None
        return None if inner is None else digest([inner, VERSION, self.factor])

    def decode(self, number: int) -> Pixels:
        """The image in its field, uint8 (row, column, RGB).

        Raises:
            BadInput: as the image itself does.
        """
        image = self.of[number]
        found = np.full((*self.shapes[number][:2], image.shape[2]), GREY, np.uint8)
        taken, put = zip(*map(_middle, image.shape[:2], found.shape[:2]), strict=True)
        found[put] = image[taken]
        return found

    def remark(self, number: int) -> str | None:
        return self.of.remark(number) if isinstance(self.of, Images) else None


def _length(n: int, factor: float) -> int:
    """Pixels of the field along one side, at least one."""
    return max(1, round(n * factor))


def _middle(n: int, n_field: int) -> tuple[slice, slice]:
    """Which pixels of an image's side are seen, and which of the field's they are."""
    before = abs(n_field - n) // 2
    if n_field >= n:
        return slice(0, n), slice(before, before + n)
    return slice(before, before + n_field), slice(0, n_field)


def _check(stimuli: StimulusSet, images: InField) -> None:
    for one, (height, width, *_) in zip(stimuli.ids, images.shapes, strict=True):
        if height * width > MOST_PIXELS:
            raise BadInput(
                f"stimuli {stimuli.name!r}: {one!r} in its field would have {width} x {height} pixels; "
                "check `degrees` and `seen_degrees`"
            )
