"""Base of the recording formats whose files hold presentations x targets: a format says what a file holds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from zoo_eval.errors import BadInput
from zoo_eval.numerics.repetitions import Repetitions
from zoo_eval.recordings.by_position import named
from zoo_eval.recordings.held_presentations import HeldPresentations
from zoo_eval.recordings.presentations import TARGET_ID, Numbers, Presentations, Side, Values
from zoo_eval.recordings.recording import Recording, RecordingSection
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.recordings.target_choice import ROW, selected
from zoo_eval.stimuli import ids
from zoo_eval.stimuli.stimulus_set import StimulusSet, Sweepmates

# Of responses that are put in order or scaled at once.
BLOCK_BYTES = 2**25
Marks = npt.NDArray[np.bool_]


class PresentedSection(RecordingSection):
    """Responses to presentations; `targets` selects by SQL on the columns that are known of targets.

    `zscore = "session"` makes each target's mean 0 and its standard deviation 1 within each session;
    `partial` leaves out presentations of what is not among the stimuli, which is an error otherwise.
    """

    targets: str | None = None
    zscore: Literal["session"] | None = None
    partial: bool = False

    def presentations(self, where: str, most_bytes: int) -> Presentations:
        """What the files hold; only what is small is read now, and responses when they are asked for.

        Args:
            where: the recording, for messages, to be followed by the file.
            most_bytes: what may be held at once.

        Raises:
            BadInput: a file is damaged, or not of this format, or holds not what is selected.
        """
        raise NotImplementedError

    def glimpsed(self, where: str, most_bytes: int) -> Presentations:
        """What the files hold, or a part of it where telling all of it would take long.

        Raises:
            BadInput: as `presentations` does.
        """
        return self.presentations(where, most_bytes)

    def held(self, where: str, most_bytes: int, *, whole: bool) -> HeldPresentations:
        read = self.presentations if whole else self.glimpsed
        return HeldPresentations(read(where, most_bytes))

    def read(self, name: str, known: Sweepmates) -> Recording:
        where, shown = f"recording {name!r}", known.stimuli(self.stimuli)
        given = self.presentations(where, known.memory_budget_bytes)
        found, by_position = named(given, shown)
        targets = selected(where, found.targets, self.targets, known)
        found.check_fits(targets.num_rows, known.memory_budget_bytes)
        placed = _placed(found, shown, partial=self.partial)
        numbers = targets.column(ROW).to_numpy()
        values = found.read(numbers)
        if self.zscore == "session":
            _standardise(values, _sessions(found))
        return ResponseRecording(
            name,
            shown.name,
            Repetitions(_in_order(values, placed.order), placed.stimulus),
            tuple(targets.column(TARGET_ID).to_pylist()),
            by_position=by_position,
            targets=targets.drop_columns([ROW]),
            splits={split: _sides(found, split, placed) for split in found.splits},
            notes=(*found.notes, *self._notes(found, targets, placed)),
        )

    def _notes(self, found: Presentations, targets: pa.Table, placed: "Placed") -> Iterator[str]:
        if targets.num_rows < found.targets.num_rows:
            yield f"{targets.num_rows} of {found.targets.num_rows} targets are selected"
        if placed.n_left_out:
            yield (
                f"{placed.n_left_out} of {len(found.stimulus_ids)} presentations are of what is not among "
                "the stimuli, and are left out"
            )
        if self.zscore == "session":
            n = len(set(found.sessions or ()))
            yield f"each target is z-scored within each of {n} sessions"


@dataclass(frozen=True, eq=False)
class Placed:
    """Which presentations are of the stimuli: their numbers in the order of these, and what each is of."""

    order: Numbers
    stimulus: Numbers
    n_left_out: int


def _placed(found: Presentations, shown: StimulusSet, *, partial: bool) -> Placed:
    numbers = _numbers(found, shown, partial=partial)
    known = np.flatnonzero(numbers >= 0)
    order = known[np.argsort(numbers[known], kind="stable")]
    counts = np.bincount(numbers[known], minlength=len(shown))
    if (never := np.flatnonzero(counts == 0)).size:
        raise BadInput(
            f"{found.where}: {shown.ids[never[0]]!r} of stimuli {shown.name!r} was never shown "
            f"({len(never)} such); leave those out of the stimuli"
        )
    return Placed(order, numbers[order], len(numbers) - len(known))


def _numbers(found: Presentations, shown: StimulusSet, *, partial: bool) -> Numbers:
    """The number of the stimulus of each presentation, -1 where it is none of them."""
    names = dict.fromkeys(found.stimulus_ids)
    meant = ids.numbers(found.where, names, shown, partial=partial)
    return np.array([meant.get(name, -1) for name in found.stimulus_ids], np.int64)


def _in_order(values: Values, order: Numbers) -> Values:
    """Rows of responses in another order, in place as far as all of them are kept."""
    if len(order) < len(values):
        return values[order]
    if np.array_equal(order, np.arange(len(order))):
        return values
    for some in _blocks(values):
        values[:, some] = values[order, some]
    return values


def _standardise(values: Values, sessions: Sequence[Marks]) -> None:
    """Takes each target's mean within each session from it, and divides by its deviation there."""
    for some in _blocks(values):
        for rows in sessions:
            own = values[rows, some].astype(np.float64)
            there = ~np.isnan(own)
            n = np.maximum(there.sum(0), 1)
            apart = own - np.where(there, own, 0).sum(0) / n
            deviation = np.sqrt((np.where(there, apart, 0) ** 2).sum(0) / n)
            # One that does not vary in a session says nothing there, and is not divided by rounding.
            flat = np.where(there, own, -np.inf).max(0) <= np.where(there, own, np.inf).min(0)
            values[rows, some] = np.where(flat & there, 0, apart / np.where(flat, 1, deviation))


def _sessions(found: Presentations) -> list[Marks]:
    """The presentations of each session."""
    if found.sessions is None:
        raise BadInput(f'{found.where} does not say its sessions; leave out zscore = "session"')
    names = np.asarray(found.sessions)
    return [names == session for session in dict.fromkeys(found.sessions)]


def _sides(found: Presentations, split: str, placed: Placed) -> tuple[Side, ...]:
    """The part of a split that each stimulus is in."""
    sides: dict[int, Side] = {}
    given = found.splits[split]
    for presentation, stimulus in zip(placed.order.tolist(), placed.stimulus.tolist(), strict=True):
        side = given[presentation]
        if sides.setdefault(stimulus, side) != side:
            raise BadInput(
                f"{found.where}: split {split!r} has {found.stimulus_ids[presentation]!r} on two sides; "
                "correct its list"
            )
    return tuple(sides[stimulus] for stimulus in range(len(sides)))


def _blocks(values: Values) -> Iterator[slice]:
    step = max(1, BLOCK_BYTES // max(1, 8 * len(values)))
    for start in range(0, values.shape[1], step):
        yield slice(start, start + step)
