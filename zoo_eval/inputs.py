"""Inputs: the stimulus sets, recordings and human maps of a sweep, by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from zoo_eval.errors import BadInput, Refusal, nearest
from zoo_eval.importance.maps import ImportanceMaps
from zoo_eval.recordings.recording import Recording
from zoo_eval.stimuli.stimulus_set import StimulusSet
from zoo_eval.transforms import Transform


@dataclass(frozen=True, eq=False)
class Inputs:
    """What evaluations are applied to.

    `compared` are the transforms of the sweep's models, where an evaluation hangs on all of them.
    `unreadable` says of what could not be read why: by kind (`stimuli`, `recording`, `importance`) and
    name; whoever asks for it is refused for that.
    """

    stimuli: Mapping[str, StimulusSet] = field(default_factory=dict)
    recordings: Mapping[str, Recording] = field(default_factory=dict)
    importance: Mapping[str, ImportanceMaps] = field(default_factory=dict)
    compared: tuple[Transform, ...] = ()
    unreadable: Mapping[tuple[str, str], Refusal] = field(default_factory=dict)

    def stimulus_set(self, name: str) -> StimulusSet:
        """The stimulus set of that name.

        Raises:
            BadInput: there is none.
            Refusal: it could not be read.
        """
        self._refuse_unreadable("stimuli", name)
        if name not in self.stimuli:
            raise BadInput(f"unknown stimuli {name!r}; {nearest(name, self.stimuli)}")
        return self.stimuli[name]

    def labelled(self, name: str) -> tuple[StimulusSet, tuple[int, ...]]:
        """The stimulus set of that name, and its labels.

        Raises:
            BadInput: there is none, or it has no labels.
        """
        stimuli = self.stimulus_set(name)
        if stimuli.labels is None:
            raise BadInput(f"stimuli {name!r} have no labels; give `labels` or `label_pattern`")
        return stimuli, stimuli.labels

    def recording(self, name: str) -> Recording:
        """The recording of that name: responses, or dissimilarities alone.

        Raises:
            BadInput: there is none.
            Refusal: it could not be read.
        """
        self._refuse_unreadable("recording", name)
        if name not in self.recordings:
            raise BadInput(f"unknown recording {name!r}; {nearest(name, self.recordings)}")
        return self.recordings[name]

    def maps(self, name: str, stimuli: StimulusSet) -> ImportanceMaps:
        """The human maps of that name, made for exactly these stimuli.

        Raises:
            BadInput: there are none, or they belong to other images.
            Refusal: they could not be read.
        """
        self._refuse_unreadable("importance", name)
        if name not in self.importance:
            raise BadInput(f"unknown importance {name!r}; {nearest(name, self.importance)}")
        self.importance[name].check(stimuli)
        return self.importance[name]

    def _refuse_unreadable(self, kind: str, name: str) -> None:
        if (reason := self.unreadable.get((kind, name))) is not None:
            # It was raised before, and is again for every model.
            raise reason.with_traceback(None)
