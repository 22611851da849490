"""Two stimulus sets together: the images of one followed by those of the other, for recordings of both."""

from dataclasses import replace
from typing import Literal

from zoo_eval.stimuli.stimulus_set import StimuliSection, StimulusSet, Sweepmates, joined


class TogetherSection(StimuliSection):
    """The images of two sets, one after the other; ids carry the name of their set: `nsd/...`."""

    kind: Literal["together"] = "together"
    of: tuple[str, str]

    def read(self, name: str, known: Sweepmates) -> StimulusSet:
        first, second = (known.stimuli(one) for one in self.of)
        return replace(joined(first, second), name=name)
