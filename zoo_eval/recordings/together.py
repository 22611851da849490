"""Two recordings of the same targets together: a fit to one is tested on the other."""

from typing import Literal, cast

import numpy as np

from zoo_eval.errors import BadInput, WrongSweep
from zoo_eval.numerics.repetitions import Held, Repetitions
from zoo_eval.recordings.presentations import Side
from zoo_eval.recordings.recording import Recording, RecordingSection
from zoo_eval.recordings.responses import OfTargets, ResponseRecording
from zoo_eval.stimuli.stimulus_set import Joined, Sweepmates

TRANSFER = "transfer"


class TogetherSection(RecordingSection):
    """Responses of the targets that two recordings share, to the stimuli of both.

    `stimuli` is a set of kind `together` of theirs, in the same order. Split `transfer` of protocol
    `published` trains on the first and tests on the second.
    """

    kind: Literal["together"] = "together"
    of: tuple[str, str]

    def read(self, name: str, known: Sweepmates) -> Recording:
        shown = known.stimuli(self.stimuli)
        parts = [_responses(name, known.recording(one)) for one in self.of]
        sets = [one.name for one in shown.images.parts] if isinstance(shown.images, Joined) else []
        if sets != [one.stimuli for one in parts]:
            given = ", ".join(repr(one.stimuli) for one in parts)
            raise WrongSweep(
                f"recording {name!r}: stimuli {shown.name!r} are not those of {' and '.join(self.of)}; "
                f'give a set with kind = "together" and of = [{given}]'
            )
        first, second = parts
        shared = [target for target in first.target_ids if target in set(second.target_ids)]
        if not shared:
            raise BadInput(
                f"recording {name!r}: {first.name!r} and {second.name!r} have no target in common, such as "
                f"{first.target_ids[0]!r} and {second.target_ids[0]!r}; give recordings of the same targets"
            )
        train: list[Side] = ["train"] * first.n_stimuli
        test: list[Side] = ["test"] * second.n_stimuli
        known_of = None if first.targets is None else first.targets.take(_numbers(first, shared))
        return ResponseRecording(
            name,
            shown.name,
            _together(parts, shared),
            tuple(shared),
            targets=known_of,
            splits={TRANSFER: (*train, *test)},
            notes=_notes(parts, len(shared)),
        )


def _responses(name: str, recording: Recording) -> OfTargets:
    recording.check_targets(f"recording {name!r}")
    if recording.pending is not None or not isinstance(recording, OfTargets):
        raise BadInput(
            f"recording {name!r}: {recording.name!r} is not made yet while the sweep is read; give "
            "recordings that are in files"
        )
    return recording


def _numbers(recording: OfTargets, targets: list[str]) -> list[int]:
    place = {target: number for number, target in enumerate(recording.target_ids)}
    return [place[target] for target in targets]


def _together(parts: list[OfTargets], targets: list[str]) -> Repetitions:
    first, second = (part.repeated() for part in parts)
    responses = [
        repeated.responses[:, _numbers(part, targets)]
        for part, repeated in zip(parts, (first, second), strict=True)
    ]
    stimulus = np.concatenate([first.stimulus, second.stimulus + first.n_stimuli])
    return Repetitions(cast("Held", np.concatenate(responses)), stimulus)


def _notes(parts: list[OfTargets], n_shared: int) -> tuple[str, ...]:
    fewest = [f"{n_shared} of {len(part.target_ids)} targets of {part.name!r}" for part in parts]
    return (f"{' and '.join(fewest)} are in both",)
