"""The images that human maps were made for, and came with."""

from dataclasses import replace
from typing import Literal

from zoo_eval.errors import BadInput
from zoo_eval.stimuli.stimulus_set import StimuliSection, StimulusSet, Sweepmates


class ImportanceStimuliSection(StimuliSection):
    """The images and labels that came with human maps."""

    kind: Literal["importance"] = "importance"
    importance: str

    def read(self, name: str, known: Sweepmates) -> StimulusSet:
        if self.degrees is not None:
            raise BadInput(
                f"stimuli {name!r}: human maps lie on the images as they came, not in a field of "
                "`degrees`; leave `degrees` and `seen_degrees` out"
            )
        return replace(known.images_with(self.importance), name=name)
