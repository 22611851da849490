"""RDMs in MATLAB's files: an array, a cell of one matrix each, a struct array, or Meadows' 1D matrices."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo_eval.errors import BadInput, nearest
from zoo_eval.recordings import matlab
from zoo_eval.recordings.matlab import Structure
from zoo_eval.recordings.rdm_kinds import meadows
from zoo_eval.recordings.rdm_kinds.content import (
    STIMULUS_IDS,
    SUBJECT_IDS,
    Array,
    Ids,
    RdmFile,
    chosen,
    several,
    stacked,
    texts,
)

# Fields of a struct array that hold each RDM, and its name, in small letters.
OF_RDMS = ("rdm", "rdms", "dissimilarities", "dissimilarity")
OF_NAMES = ("subject", "name")
# Numbers that may be an RDM of three stimuli.
FEWEST = 3


def read(
    where: str, path: Path, variable: str | None, n_stimuli: int | None, most_bytes: int
) -> RdmFile:
    """What is in a .mat file of any version; see rdm_file.read.

    `variable` may name a field of a structure: "results.rdm".

    Raises:
        BadInput: it is damaged, nothing that may be an RDM or several without `variable`, or a cell or
            struct array whose matrices differ in shape.
        Exception: whatever its readers raise of a file that is damaged.
    """
    arrays, structures = matlab.contents(path, where, most_bytes)
    if meadows.is_of_meadows(arrays):
        return meadows.of_variables(where, arrays, variable)
    beside = {key: arrays.pop(key) for key in (STIMULUS_IDS, SUBJECT_IDS) if key in arrays}
    name, _, field = (variable or "").partition(".")
    if variable is None:
        with_rdms = [key for key, one in structures.items() if _field(one.fields, OF_RDMS)]
        plain = [key for key, one in arrays.items() if _may_be(one)]
        if with_rdms and len(with_rdms) + len(plain) > 1:
            raise BadInput(several(where, sorted([*with_rdms, *plain])))
        name = with_rdms[0] if with_rdms else ""
    if name in structures:
        return _of_structure(f"{where}: {name!r}", structures[name], field, beside)
    if structures and variable is not None and variable not in arrays:
        known = [*arrays, *structures]
        raise BadInput(f"{where} has no variable {variable!r}; {nearest(variable, known)}")
    found = chosen(where, arrays, variable)
    return _of_cells(where, found, beside) if _is_cell(found) else RdmFile.of(found, beside)


def _may_be(array: Array) -> bool:
    return _is_cell(array) or (array.dtype.kind in "fiub" and array.size >= FEWEST)


def _is_cell(array: Array) -> bool:
    return array.dtype.kind == "O" and any(isinstance(one, np.ndarray) for one in array.flat)


def _of_cells(where: str, cells: Array, beside: Mapping[str, Array]) -> RdmFile:
    _check_row(where, cells.shape, "cell array")
    values = [np.asarray(one) for one in cells.ravel()]
    return RdmFile.of(_one_or_each(where, values, "the cell array"), beside)


def _of_structure(
    where: str, structure: Structure, field: str, beside: Mapping[str, Array]
) -> RdmFile:
    fields = structure.fields
    name = field or _field(fields, OF_RDMS)
    if not name or name not in fields:
        held = ", ".join(sorted(fields)) or "none"
        raise BadInput(
            f"{where} has no field {name or 'RDM'!r} (fields: {held}); write `variable` as STRUCT.FIELD"
        )
    _check_row(where, structure.shape, "struct array")
    array = _one_or_each(where, fields[name], f"the field {name!r}")
    rows = _ids(fields[STIMULUS_IDS]) if STIMULUS_IDS in fields else None
    found = RdmFile.of(array, beside)
    named = next((key for key in fields if key.lower() in OF_NAMES), None)
    subjects = _names(fields[named]) if named is not None and found.subjects is None else None
    about = "a struct array of RDMs" if len(fields[name]) > 1 else ""
    return RdmFile(array, rows or found.rows, rows or found.columns, subjects or found.subjects, about)  # fmt: skip


def _field(fields: Mapping[str, object], known: tuple[str, ...]) -> str | None:
    return next((key for key in fields if key.lower() in known), None)


def _check_row(where: str, shape: tuple[int, ...], kind: str) -> None:
    """Refuses what has several rows and columns: regions or sessions are no subjects."""
    if sum(n > 1 for n in shape) > 1:
        sizes = " x ".join(map(str, shape))
        raise BadInput(
            f"{where}: a {kind} of {sizes} RDMs, of which those of one row or column belong together; "
            "save that one alone, e.g. RDMs = RDMs(1, :)"
        )


def _one_or_each(where: str, values: list[Array], what: str) -> Array:
    return values[0] if len(values) == 1 else stacked(where, values, what)


def _ids(values: list[Array]) -> list[Ids]:
    """The ids of each RDM, or those of all where they are the same or only the first has some."""
    found = [texts(one)[0] for one in values if one.size]
    return found[:1] if len(set(found)) == 1 else found


def _names(values: list[Array]) -> Ids | None:
    """One text for each RDM."""
    if any(one.dtype.kind not in "US" or one.size != 1 for one in values):
        return None
    return tuple(str(one.item()).strip() for one in values)
