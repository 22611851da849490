"""RDMs in NumPy's files: a .npy, which has no ids, or a .npz with `stimulus_ids` beside the array."""

from pathlib import Path

from zoo_eval.errors import BadInput
from zoo_eval.files import arrays
from zoo_eval.recordings.rdm_kinds.content import STIMULUS_IDS, SUBJECT_IDS, RdmFile, chosen


def npy(
    where: str, path: Path, variable: str | None, n_stimuli: int | None, most_bytes: int
) -> RdmFile:
    """What is in a .npy file; see rdm_file.read.

    Raises:
        BadInput: it is damaged, or `variable` is given.
    """
    if variable is not None:
        raise BadInput(f"{where} is one array and has no variables; remove `variable`")
    return RdmFile(arrays.npy(path, most_bytes, where))


def npz(
    where: str, path: Path, variable: str | None, n_stimuli: int | None, most_bytes: int
) -> RdmFile:
    """What is in a .npz file; see rdm_file.read.

    Raises:
        BadInput: it is damaged, no array or several without `variable`.
    """
    found = arrays.npz(path, most_bytes, where)
    ids = {key: found.pop(key) for key in (STIMULUS_IDS, SUBJECT_IDS) if key in found}
    return RdmFile.of(chosen(where, found, variable), ids)
