"""Rows of responses without ids, which meet the images of a set by their order."""

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

from zoo_eval.recordings.presentations import Presentations
from zoo_eval.stimuli import order
from zoo_eval.stimuli.order import Order
from zoo_eval.stimuli.stimulus_set import StimulusSet, Unheld


class Unnamed(Sequence[str]):
    """What stands for the stimulus ids of rows that have none: `n_rows`, each of `n_repetitions`.

    `order` says in which order of the images the rows are; None where nobody says.
    """

    def __init__(self, n_rows: int, n_repetitions: int, order: Order | None) -> None:
        self.n_rows, self.n_repetitions, self.order = n_rows, n_repetitions, order

    def __len__(self) -> int:
        return self.n_rows * self.n_repetitions

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[str]: ...
    def __getitem__(self, number: int | slice) -> str | Sequence[str]:
        if isinstance(number, slice):
            return [self[one] for one in range(len(self))[number]]
        return f"row {range(len(self))[number] // self.n_repetitions + 1}"


def stand_in(ids: int | Sequence[str]) -> StimulusSet:
    """A set of those ids, or of so many, without any images: for what is read before there are stimuli."""
    if isinstance(ids, int):
        width = len(str(ids))
        ids = [f"row {number:0{width}d}" for number in range(1, ids + 1)]
    return StimulusSet("shown", tuple(ids), Unheld(((1, 1, 3),) * len(ids)), tuple(ids))


def named(found: Presentations, shown: StimulusSet) -> tuple[Presentations, str | None]:
    """Presentations with the ids of the set that was shown, and which row met which, where none had ids.

    Raises:
        BadInput: another number of rows than images, or images that have two orders, and nobody says
            which is meant.
    """
    rows = found.stimulus_ids
    if not isinstance(rows, Unnamed):
        return found, None
    place = order.rows(found.where, rows.n_rows, shown, rows.order)
    of_row = {row: shown.ids[stimulus] for stimulus, row in enumerate(place)}
    ids = [of_row[row] for row in range(rows.n_rows) for _ in range(rows.n_repetitions)]
    return replace(found, stimulus_ids=ids), order.told(place, shown)
