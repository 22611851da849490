"""Content: what a file of RDMs holds, whatever its kind, and how ids and variables are told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput, nearest

Array = npt.NDArray[Any]
Ids = tuple[str, ...]
# The variables that say which stimulus each row is of, and whose each RDM is.
STIMULUS_IDS = "stimulus_ids"
SUBJECT_IDS = "subject_ids"
MOST_NAMED = 12


class Wrong(ValueError):
    """What is in a file is whole, but not what it should be."""


@dataclass(frozen=True, eq=False)
class RdmFile:
    """Numbers as a file holds them, and the ids of its rows and columns, where it has any.

    Ids are one tuple for all subjects or one for each. `subjects` are the names of subjects, where
    the file has some; `about` says what wrote the file, or whether it is of a kind of its own.
    """

    array: Array
    rows: Sequence[Ids] | None = None
    columns: Sequence[Ids] | None = None
    subjects: Ids | None = None
    about: str = ""

    @classmethod
    def of(cls, array: Array, variables: Mapping[str, Array], about: str = "") -> "RdmFile":
        """An array with the ids among the variables beside it.

        Raises:
            Wrong: the ids are no text and no numbers.
        """
        ids = texts(variables[STIMULUS_IDS]) if STIMULUS_IDS in variables else None
        names = variables.get(SUBJECT_IDS)
        subjects = texts(names, SUBJECT_IDS)[0] if names is not None else None
        return cls(array, ids, ids, subjects, about)


def texts(array: Array, name: str = STIMULUS_IDS) -> list[Ids]:
    """Ids (stimulus,), also as a row or column, or (subject, stimulus), as one tuple or one each.

    Raises:
        Wrong: they are no text and no numbers, or have another shape.
    """
    values = _of_objects(array) if array.dtype.kind == "O" else array
    if values.dtype.kind not in "USiuf":
        raise Wrong(f"`{name}` is of type {array.dtype}, not text; of MATLAB take cellstr of it")
    values = np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
    if values.ndim == 2 and 1 in values.shape:
        values = values.ravel()
    if values.ndim not in (1, 2):
        raise Wrong(f"`{name}` has shape {values.shape}, give (stimulus,)")
    return [tuple(str(one).strip() for one in row) for row in np.atleast_2d(values)]


def _of_objects(array: Array) -> Array:
    """Text of any length, as HDF5 stores it; other objects as they are."""
    if not array.size or not all(isinstance(one, str | bytes) for one in array.flat):
        return array
    told = [one.decode() if isinstance(one, bytes) else one for one in array.flat]
    return np.array(told, dtype=str).reshape(array.shape)


def chosen(
    where: str, variables: Mapping[str, Array], variable: str | None, noun: str = "variable"
) -> Array:
    """The variable of that name, or the only one.

    Raises:
        BadInput: there is none of that name; or several, or none, and no name.
    """
    if variable is not None:
        if variable not in variables:
            raise BadInput(f"{where} has no {noun} {variable!r}; {nearest(variable, variables)}")
        return variables[variable]
    if len(variables) != 1:
        raise BadInput(several(where, sorted(variables), noun))
    return next(iter(variables.values()))


def several(where: str, names: Sequence[str], noun: str = "variable") -> str:
    """That one of several must be named."""
    more = f", and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    held = ", ".join(names[:MOST_NAMED]) + more or "none"
    return f"{where} holds {len(names)} {noun}s ({held}); name one: `variable`"


def stacked(where: str, values: Sequence[Array], what: str) -> Array:
    """Matrices, or vectors as rows or columns, of one subject each: (subject, ...).

    Raises:
        BadInput: they differ in shape, or are no matrices and no vectors.
    """
    if not values:
        raise BadInput(f"{where}: {what} is empty; save one matrix for each subject in it")
    plain = [one.ravel() if one.ndim == 2 and 1 in one.shape else one for one in values]
    for number, one in enumerate(plain, 1):
        if one.shape != plain[0].shape or one.ndim not in (1, 2) or one.dtype.kind not in "fiub":
            raise BadInput(
                f"{where}: {what} holds numbers of shape {plain[0].shape} first and, as number {number}, "
                f"{one.dtype} of shape {one.shape}; give one matrix, or its pairs, for each subject"
            )
    return np.stack(plain)


def n_of_pairs(n_pairs: int) -> int | None:
    """How many stimuli have so many pairs; None where no number of them has, or they are two."""
    n = round((2 * n_pairs) ** 0.5 + 0.5)
    return n if n > 2 and n * (n - 1) // 2 == n_pairs else None
