"""Order: which row belongs to which stimulus where rows have no ids, and where that is anyone's guess."""

import re
from collections.abc import Sequence
from typing import Literal

from zoo_eval.errors import BadInput
from zoo_eval.stimuli.stimulus_set import Dispute, StimulusSet

# In which order of the images rows without ids are: as these are listed, or with numbers in their ids
# read as numbers (2 before 10).
Order = Literal["images", "natural"]

_NUMBER = re.compile(r"[0-9]+")


def lexicographic(stimulus_id: str) -> list[str]:
    """By which ids are in the order of text, folder by folder, as those of a folder's images are."""
    return stimulus_id.split("/")


def natural(stimulus_id: str) -> tuple[list[str], str]:
    """By which ids are in the order of the numbers in them; otherwise as `lexicographic`."""
    return [_NUMBER.sub(_by_length, part) for part in lexicographic(stimulus_id)], stimulus_id


def _by_length(number: re.Match[str]) -> str:
    """A number as text that is in the order of numbers: of two, that of more digits is larger."""
    digits = number[0].lstrip("0")
    # A digit before all, so that it stands to other characters as a number does.
    return f"0{chr(len(digits))}{digits}"


def disputed(ids: Sequence[str]) -> Dispute | None:
    """Where ids were put in order as text, but their numbers say another: the first two that differ.

    The first is there as text, where the second would be by its number. None where there is one such
    order, or where the ids are in an order that somebody gave them.
    """
    by_text = sorted(ids, key=lexicographic)
    if list(ids) != by_text:
        return None
    by_number = sorted(ids, key=natural)
    return next((both for both in zip(by_text, by_number, strict=True) if both[0] != both[1]), None)


def rows(where: str, n_rows: int, stimuli: StimulusSet, order: Order | None) -> list[int]:
    """Which row belongs to each stimulus, of rows without ids.

    Args:
        where: what the rows are of, for messages.
        n_rows: how many there are.
        stimuli: the set that was shown.
        order: in which order of the images they are; None where nobody says.

    Raises:
        BadInput: another number of rows; or nobody says, and the images' ids have one order as text
            and another by their numbers.
    """
    if n_rows != len(stimuli):
        raise BadInput(
            f"{where}: {n_rows} rows, but stimuli {stimuli.name!r} has {len(stimuli)}; give one row "
            "each, or `stimulus_ids`"
        )
    if order == "natural":
        by_number = sorted(range(n_rows), key=lambda number: natural(stimuli.ids[number]))
        place = {number: row for row, number in enumerate(by_number)}
        return [place[number] for number in range(n_rows)]
    dispute = stimuli.dispute or disputed(stimuli.ids)
    if order is None and dispute is not None:
        first, second = map(repr, dispute)
        raise BadInput(
            f"{where}: its rows have no ids, and the images of {stimuli.name!r} have two orders: "
            f"{first} before {second} as text, {second} before {first} by number; give "
            '`stimulus_ids`, or set order = "images" (the first) or "natural" (the second)'
        )
    return list(range(n_rows))


def told(rows: Sequence[int], stimuli: StimulusSet) -> str:
    """Which of some rows without ids belongs to which stimulus, on one line."""
    numbers = sorted(range(len(rows)), key=rows.__getitem__)
    some = sorted({0, 1, len(rows) - 1} & set(range(len(rows))))
    said = ", ".join(f"row {row + 1} is {stimuli.ids[numbers[row]]!r}" for row in some)
    return f"rows have no ids and meet the images by their order: {said}"
