"""Ids of rows that a section gives for a file: a list, or a text file with one a line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator

from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.stimuli import ids
from zoo_eval.stimuli.order import Order


def _are_ids(given: Any) -> Any:
    listed = given.tolist() if isinstance(given, np.ndarray) else given
    if isinstance(listed, list | tuple):
        if not listed or not all(isinstance(one, str | int) for one in listed):
            raise ValueError("expected ids, as text or whole numbers")
    elif listed is not None and not isinstance(listed, str | Path | SweepPath):
        raise ValueError("expected a list of ids, or the path of a text file with one a line")
    return listed


RowIds = Annotated[SweepPath | tuple[str | int, ...] | None, BeforeValidator(_are_ids)]


def told(where: str, given: RowIds, order: Order | None, *, has_own: bool) -> Sequence[str] | None:
    """The ids that a section gives; None where it gives none.

    Args:
        where: the recording and its file, for messages.
        given: the section's `stimulus_ids`.
        order: its `order` of rows without ids.
        has_own: whether the file says its ids itself.

    Raises:
        BadInput: two of the three say which row is which stimulus; or a text file cannot be read.
    """
    named = {"stimulus_ids": given, "order": order}
    said = [key for key, value in named.items() if value is not None]
    if has_own and said:
        raise BadInput(f"{where} has ids of its own; remove `{said[0]}`")
    if len(said) > 1:
        raise BadInput(f"{where}: `stimulus_ids` says the order already; remove `order`")
    if given is None:
        return None
    return [*map(str, ids.listed(given.resolve()) if isinstance(given, SweepPath) else given)]
