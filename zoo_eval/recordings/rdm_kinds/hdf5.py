"""RDMs in HDF5: a dataset by name or the only one, or what rsatoolbox saves (`RDMs.save`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo_eval.errors import BadInput
from zoo_eval.files import hdf5_bytes
from zoo_eval.files.matlab_sizes import Datasets
from zoo_eval.recordings.rdm_kinds.content import (
    STIMULUS_IDS,
    SUBJECT_IDS,
    Array,
    Ids,
    RdmFile,
    chosen,
    several,
    texts,
)

RSATOOLBOX = "rsatoolbox_version"
DISSIMILARITIES = "dissimilarities"
PATTERNS, RDMS = "pattern_descriptors", "rdm_descriptors"
# rsatoolbox numbers whatever it holds.
NUMBERED = "index"
# By which descriptors stimuli and subjects are called, the likeliest first.
OF_STIMULI = (
    STIMULUS_IDS, "stimulus_id", "stimuli", "stimulus", "conds", "conditions", "condition", "images", "image",
)  # fmt: skip
OF_SUBJECTS = (SUBJECT_IDS, "subject_id", "subjects", "subject", "participant", "name")
DEEPEST = 20


def read(
    where: str, path: Path, variable: str | None, n_stimuli: int | None, most_bytes: int
) -> RdmFile:
    """What is in a .h5 or .hdf5 file; see rdm_file.read.

    Raises:
        BadInput: it is damaged, no dataset of numbers or several without `variable`.
        Exception: whatever h5py raises of a file that is damaged.
    """
    # Imported here, as it takes a tenth of a second and few recordings need it.
    import h5py

    with h5py.File(path) as file:
        datasets = dict(_datasets(file, "", 0))
        reader = Datasets(where, most_bytes)
        if RSATOOLBOX in file.attrs and DISSIMILARITIES in datasets and variable is None:
            return _of_rsatoolbox(where, path, datasets, reader)
        item = _chosen(where, datasets, variable)
        folder = item.name.rpartition("/")[0].removeprefix("/")
        beside = {key: _beside(datasets, folder, key) for key in (STIMULUS_IDS, SUBJECT_IDS)}
        ids = {
            key: _names(where, path, one, reader) for key, one in beside.items() if one is not None
        }
        return RdmFile.of(reader.read(item), ids)


def _datasets(group: Any, above: str, depth: int) -> Sequence[tuple[str, Any]]:
    """The datasets of a file itself by name, those of its groups as GROUP/NAME."""
    import h5py

    found: list[tuple[str, Any]] = []
    for key in group:
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            continue
        item = group[key]
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            found.append((f"{above}{key}", item))
        elif isinstance(item, h5py.Group) and depth < DEEPEST:
            found += _datasets(item, f"{above}{key}/", depth + 1)
    return found


def _chosen(where: str, datasets: Mapping[str, Any], variable: str | None) -> Any:
    if variable is not None:
        return chosen(where, datasets, variable.strip("/"), "dataset")
    numbers = {
        key: one
        for key, one in datasets.items()
        if one.dtype.kind in "fiub"
        and one.ndim in (1, 2, 3)
        and key.rpartition("/")[2] not in (STIMULUS_IDS, SUBJECT_IDS)
    }
    if not numbers:
        held = ", ".join(datasets) or "nothing"
        raise BadInput(
            f"{where} has no dataset of numbers (it holds {held}); save the matrix in it"
        )
    if len(numbers) > 1:
        raise BadInput(several(where, sorted(numbers), "dataset"))
    return next(iter(numbers.values()))


def _beside(datasets: Mapping[str, Any], folder: str, key: str) -> Any:
    """The dataset of that name in the same group, or at the top."""
    return datasets.get(f"{folder}/{key}") or datasets.get(key)


def _names(where: str, path: Path, item: Any, reader: Datasets) -> Array:
    """What a dataset holds; text of any length without HDF5's own reader, which damage can crash."""
    if item.dtype.kind == "O" and item.ndim == 1:
        return np.array(hdf5_bytes.texts(where, path, item), dtype=str)
    return reader.read(item)


def _of_rsatoolbox(
    where: str, path: Path, datasets: Mapping[str, Any], reader: Datasets
) -> RdmFile:
    array = reader.read(datasets[DISSIMILARITIES])
    file = datasets[DISSIMILARITIES].file
    patterns, rdms = (
        _descriptors(where, path, datasets, kind, reader) for kind in (PATTERNS, RDMS)
    )
    ids = _named(patterns, OF_STIMULI, where)
    subjects = _named(rdms, OF_SUBJECTS, None)
    measure = file.attrs.get("dissimilarity_measure")
    about = f"RDMs of rsatoolbox {file.attrs[RSATOOLBOX]}" + (f", {measure}" if measure else "")
    rows = [ids] if ids else None
    return RdmFile(array, rows, rows, subjects, about)


def _descriptors(
    where: str, path: Path, datasets: Mapping[str, Any], kind: str, reader: Datasets
) -> dict[str, Ids]:
    """Descriptors of patterns or RDMs with one text or number for each."""
    found = {}
    for key, item in datasets.items():
        folder, _, name = key.partition("/")
        if folder == kind and "/" not in name and name != NUMBERED and item.ndim == 1:
            values = _names(where, path, item, reader)
            if values.dtype.kind in "USOiuf":
                found[name] = texts(np.asarray(values), key)[0]
    return found


def _named(descriptors: Mapping[str, Ids], known: Sequence[str], where: str | None) -> Ids | None:
    """The descriptor that names each alone: one of the known names, or the only one.

    `where` is given where it must be known which, if there are several.
    """
    alone = {key: one for key, one in descriptors.items() if len(set(one)) == len(one)}
    for name in known:
        if name in alone:
            return alone[name]
    if where is not None and len(alone) > 1:
        raise BadInput(
            f"{where}: the pattern descriptors {', '.join(sorted(alone))} may all name the stimuli; "
            f"call that one {STIMULUS_IDS!r}"
        )
    return next(iter(alone.values()), None) if len(alone) == 1 else None
