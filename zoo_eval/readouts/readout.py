"""Readout: one way to compare a layer with a recording; a frozen value whose fields are its options."""

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self

import torch

from zoo_eval.readouts.design import Design, ProtocolName
from zoo_eval.recordings.recording import Recording
from zoo_eval.registry import Registry
from zoo_eval.representations.grams import LayerGram
from zoo_eval.section import Section
from zoo_eval.stimuli.stimulus_set import StimulusSet

Mode = Literal["fit", "similarity", "reverse"]
Row = dict[str, Any]
# The rows of `neural_scores` of one layer, as far as a readout knows them.
Scorer = Callable[[LayerGram], list[Row]]


class Readout(Section):
    """Base of readouts: its fields may stand in a neural fit's section, and are its identity.

    `mode` says whether targets are predicted, wholes compared, or units predicted from targets;
    `scored_under` names the protocols that suit it.
    """

    # A class that has none is a base of others.
    name: ClassVar[str | None] = None
    mode: ClassVar[Mode]
    scored_under: ClassVar[tuple[ProtocolName, ...]] = ("nested", "kfold", "published")

    @property
    def statistic(self) -> str:
        """What a score is, as in the column `statistic`."""
        raise NotImplementedError

    def agree(self, protocol: ProtocolName, *, chosen: bool) -> None:
        """Refuses options that do not go with the protocol, or with not being chosen.

        Raises:
            ValueError: one of them does not.
        """

    def settled(self, protocol: ProtocolName) -> Self:
        """The same with the options that the protocol leaves to be settled."""
        return self

    @property
    def choices(self) -> dict[str, Any]:
        """What of the options changes its numbers: all of them, unless a readout says otherwise."""
        return self.model_dump(mode="json")

    @property
    def ceiling_choices(self) -> Mapping[str, Any]:
        """Options that the recording's ceilings must share, to be ceilings of these scores."""
        return {}

    def parameters(self, design: Design) -> dict[str, Any]:
        """The readout's and the design's part of a trial's identity."""
        return design.parameters | self.choices

    def of_recording(self, recording: Recording) -> dict[str, Any]:
        """What of a recording, besides its responses, is part of a trial's identity.

        Raises:
            BadInput: the recording has not what the options name.
        """
        return {}

    @property
    def n_drawn(self) -> int | None:
        """Units of each layer that its scorer is given beside the Gram matrix, at most; None: none."""
        return None

    def check(self, recording: Recording, stimuli: StimulusSet, design: Design) -> None:
        """Refuses what cannot be scored, at planning.

        Raises:
            BadInput: the recording has not what is compared, or there are too few stimuli.
        """

    def kept_bytes(self, recording: Recording, design: Design) -> int:
        """What stays in memory between layers."""
        return 0

    def peak_bytes(self, recording: Recording, design: Design) -> int:
        """The most that a layer's scores take at once, besides its Gram matrix and what is kept."""
        return 0

    def scorer(
        self, recording: Recording, stimuli: StimulusSet, design: Design, device: torch.device
    ) -> Scorer:
        """What makes a layer's rows; what all layers share is computed at the first of them.

        `device` is where float64 may be computed fastest.
        """
        raise NotImplementedError


def _name(thing: Any) -> str | None:
    return thing.name if isinstance(thing, type) and issubclass(thing, Readout) else None


READOUTS: Registry[type[Readout]] = Registry(
    "readout", room="zoo_eval.readouts", group="zoo_eval.readouts", names=_name
)


def reasons(undefined: tuple[str, ...]) -> list[str] | None:
    """The reasons, or None where there is none: what the column `undefined` holds."""
    return list(undefined) if any(undefined) else None


def defined(value: float | None) -> float | None:
    """The value, or None where it is NaN: what SQL calls unknown."""
    return None if value is None or math.isnan(value) else value
