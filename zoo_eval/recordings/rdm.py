"""A recording that is only known by its dissimilarities: one RDM, or one per subject."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo_eval.digests import bytes_digest, canonical_json
from zoo_eval.errors import BadInput, nearest, one_line
from zoo_eval.numerics import procrustes
from zoo_eval.numerics.ceilings import SCALES
from zoo_eval.numerics.rdm_ceilings import nili_lower, nili_upper
from zoo_eval.numerics.rsa import (
    STATISTICS,
    Comparison,
    Dissimilarity,
    Rdm,
    condensed,
    gram_of_squared_distances,
)
from zoo_eval.numerics.splits import Rows
from zoo_eval.paths import SweepPath
from zoo_eval.recordings.ceiling import ALL, Ceiling, CeilingChoices
from zoo_eval.recordings.recording import Numbers, Recording, RecordingSection
from zoo_eval.stimuli.stimulus_set import StimulusSet, Sweepmates

Rdms = npt.NDArray[np.float64]
# What dissimilarities can be said to be.
Known = Literal["unknown", "squared_euclidean"]
Variables = Mapping[str, npt.NDArray[Any]]

FEWEST_STIMULI = 3
_BOUNDS = {"nili_lower": nili_lower, "nili_upper": nili_upper}
# Of the largest dissimilarity: what float32 arithmetic leaves of symmetry and of a zero.
TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class RdmRecording(Recording):
    """Dissimilarities (subject, stimulus, stimulus) of a StimulusSet, in its order.

    Negative values are allowed: cross-validated distances have them. `dissimilarity` is what they
    are, `squared_euclidean` or `unknown`; `digest` is that of the content.

    Raises:
        BadInput: another shape, fewer than three stimuli, a value that is NaN or infinite, a
            matrix that is not symmetric or whose diagonal is not zero.
    """

    name: str
    stimuli: str
    rdms: Rdms
    subject_ids: tuple[str, ...]
    dissimilarity: str = "unknown"
    digest: str = field(init=False)
    n_stimuli: int = field(init=False)
    target_ids = ()

    def __post_init__(self) -> None:
        shape = self.rdms.shape
        if len(shape) != 3 or shape[0] != len(self.subject_ids) or shape[1] != shape[2]:
            raise BadInput(
                f"recording {self.name!r}: expected RDMs (subject, stimulus, stimulus) of "
                f"{len(self.subject_ids)} subjects, got shape {shape}; give square matrices"
            )
        if shape[1] < FEWEST_STIMULI:
            raise BadInput(
                f"recording {self.name!r}: an RDM of {shape[1]} stimuli cannot be compared; "
                f"at least {FEWEST_STIMULI} are needed"
            )
        for subject, rdm in zip(self.subject_ids, self.rdms, strict=True):
            _check_rdm(f"recording {self.name!r}, {subject}", rdm)
        described = canonical_json([list(shape), self.subject_ids, self.dissimilarity])
        content = np.ascontiguousarray(self.rdms).tobytes()
        object.__setattr__(self, "digest", bytes_digest([described.encode(), content]))
        object.__setattr__(self, "n_stimuli", shape[1])

    def check(self, stimuli: StimulusSet) -> None:
        """Refuses a recording that is not of exactly this many stimuli."""
        if self.rdms.shape[1] != len(stimuli):
            raise BadInput(
                f"recording {self.name!r}: RDMs of {self.rdms.shape[1]} stimuli, but stimuli "
                f"{stimuli.name!r} has {len(stimuli)}; name the set that was shown"
            )

    def check_targets(self, reader: str) -> None:
        raise BadInput(
            f"{reader} of recording {self.name!r}: a recording of dissimilarities has no targets "
            "to predict; use rsa"
        )

    def check_rdms(self, reader: str, dissimilarity: Dissimilarity) -> None:
        return

    def check_products(self, reader: str) -> None:
        if self.dissimilarity != "squared_euclidean":
            raise BadInput(
                f"{reader} of recording {self.name!r} needs inner products, which follow from "
                'squared Euclidean distances only; set dissimilarity = "squared_euclidean" if '
                "these are, or use rsa"
            )

    def check_points(self, reader: str) -> None:
        self.check_products(reader)
        if self._not_of_points is not None:
            raise BadInput(
                f"{reader} of recording {self.name!r} needs distances between points, and these "
                f"mean RDM's are not ({self._not_of_points}), as cross-validated distances often "
                "are not; use rsa or cka"
            )

    @cached_property
    def _not_of_points(self) -> str | None:
        """Why the mean RDM is of no points in any space; once per recording, not per model."""
        try:
            procrustes.factor(gram_of_squared_distances(torch.from_numpy(self.rdms.mean(0))))
        except ValueError as error:
            return str(error)
        return None

    @property
    def mean(self) -> Numbers:
        self.check_targets("the mean response")
        raise AssertionError("there are no targets")

    def rdms_at(self, rows: Rows, dissimilarity: Dissimilarity) -> list[Rdm]:
        rdms = torch.from_numpy(self.rdms)
        return [Rdm(condensed(one[rows][:, rows])) for one in rdms]

    def gram_at(self, rows: Rows) -> Tensor:
        self.check_products("the Gram matrix")
        squared = torch.from_numpy(self.rdms.mean(0))
        return gram_of_squared_distances(squared[rows][:, rows])

    def ceilings(self, choices: CeilingChoices) -> Sequence[Ceiling]:
        if len(self.subject_ids) < 2:
            return ()
        return [self._bound(name, choices.comparison) for name in _BOUNDS]

    def _bound(self, name: str, comparison: Comparison) -> Ceiling:
        def of_all(_: int) -> Mapping[str, float]:
            subjects = [Rdm(condensed(torch.from_numpy(rdm))) for rdm in self.rdms]
            return {ALL: _BOUNDS[name](subjects, comparison)}

        statistic, scale = STATISTICS[comparison], SCALES[name]
        return Ceiling(
            name, {"comparison": comparison}, statistic, scale, of_all, self._why_undefined
        )

    def _why_undefined(self, _: str) -> str:
        """Why subjects' RDMs bound nothing."""
        apart = ~np.eye(self.n_stimuli, dtype=bool)
        alike = (
            subject
            for subject, rdm in zip(self.subject_ids, self.rdms, strict=True)
            if not np.ptp(rdm[apart])
        )
        return f"constant dissimilarities of {', '.join(alike)}"


class RdmSection(RecordingSection):
    """Dissimilarities alone: one matrix, or one per subject, in the order of the stimuli.

    `dissimilarity` says what they are, where that is known: CKA and Procrustes need squared
    Euclidean distances, from which inner products follow.
    """

    kind: Literal["rdm"] = "rdm"
    path: SweepPath
    variable: str | None = None
    dissimilarity: Known = "unknown"

    def read(self, name: str, known: Sweepmates) -> RdmRecording:
        return read(
            name,
            self.path.resolve(),
            known.stimuli(self.stimuli),
            self.variable,
            dissimilarity=self.dissimilarity,
        )


def read(
    name: str,
    path: Path,
    stimuli: StimulusSet,
    variable: str | None = None,
    *,
    dissimilarity: str = "unknown",
) -> RdmRecording:
    """The RDMs in a .npz, .mat (any version) or .csv file, in the order of the stimulus set.

    An array is (stimulus, stimulus) or (subject, stimulus, stimulus); where the sizes leave no
    doubt also (stimulus, stimulus, subject), as MATLAB users have it. A CSV holds the matrix, or
    the subjects' matrices below each other, with or without a header of stimulus ids.

    Args:
        name: the recording's name.
        path: the file; its suffix says its kind.
        stimuli: the set that was shown.
        variable: which array of a .npz or .mat; may be left out where there is only one.
        dissimilarity: what the file holds, `squared_euclidean` or `unknown`.

    Raises:
        BadInput: an unreadable file, no array or several without `variable`, an array that does
            not fit the stimulus set, or one that is no RDM (see RdmRecording).
    """
    readers = {".npz": _npz, ".mat": _mat, ".csv": _csv}
    if path.suffix.lower() not in readers:
        raise BadInput(
            f"recording {name!r}: {path} is of no known kind; give a {', '.join(readers)} file"
        )
    where = f"recording {name!r}: {path}"
    try:
        variables = readers[path.suffix.lower()](path)
    except (OSError, ValueError, NotImplementedError, BadZipFile, KeyError, csv.Error) as error:
        raise BadInput(
            f"{where} cannot be read as {path.suffix} ({one_line(error)}); write it again"
        ) from error
    array = _chosen(where, variables, variable)
    if path.suffix.lower() == ".csv":
        array = _without_header(where, array, stimuli)
    rdms = _by_subject(where, array, stimuli)
    subject_ids = tuple(f"subject_{subject:03d}" for subject in range(len(rdms)))
    return RdmRecording(name, stimuli.name, rdms, subject_ids, dissimilarity)


def _check_rdm(where: str, rdm: Rdms) -> None:
    if not np.isfinite(rdm).all():
        row, column = np.argwhere(~np.isfinite(rdm))[0]
        raise BadInput(
            f"{where}: the dissimilarity of stimuli number {row} and {column} is NaN or infinite; "
            + ("write 0 on the diagonal" if row == column else "remove one of the two stimuli")
        )
    largest = np.abs(rdm).max()
    own = np.abs(rdm.diagonal())
    if own.max() > TOLERANCE * largest:
        stimulus = int(own.argmax())
        raise BadInput(
            f"{where}: stimulus number {stimulus} differs from itself by "
            f"{rdm[stimulus, stimulus]:g}, so these are no dissimilarities; where they are "
            "correlations, give 1 - r"
        )
    asymmetry = np.abs(rdm - rdm.T)
    if asymmetry.max() > TOLERANCE * largest:
        row, column = np.unravel_index(asymmetry.argmax(), rdm.shape)
        raise BadInput(
            f"{where}: not symmetric: {rdm[row, column]:g} at ({row}, {column}), "
            f"{rdm[column, row]:g} at ({column}, {row}); give (D + D^T) / 2, or fill in the "
            "triangle that is empty"
        )


def _npz(path: Path) -> Variables:
    with np.load(path, allow_pickle=False) as file:
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("a single .npy array under another name")
        return {key: file[key] for key in file.files}


def _mat(path: Path) -> Variables:
    # Imported here, as each takes a tenth of a second and few recordings need it.
    import h5py
    from scipy.io import loadmat

    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            # MATLAB writes its axes in reverse.
            return {
                key: item[()].T
                for key, item in file.items()
                if isinstance(item, h5py.Dataset) and "MATLAB_empty" not in item.attrs
            }
    loaded = loadmat(path)
    return {key: value for key, value in loaded.items() if not key.startswith("__")}


def _csv(path: Path) -> Variables:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row]
    lengths = {len(row) for row in rows}
    if len(lengths) != 1:
        raise ValueError("rows of different lengths" if rows else "no rows")
    return {"": np.array(rows)}


def _chosen(where: str, variables: Variables, variable: str | None) -> npt.NDArray[Any]:
    if variable is not None and "" not in variables:
        if variable not in variables:
            raise BadInput(f"{where} has no variable {variable!r}; {nearest(variable, variables)}")
        return variables[variable]
    if variable is not None:
        raise BadInput(f"{where} is a CSV and has no variables; remove `variable`")
    if len(variables) != 1:
        held = ", ".join(sorted(variables)) or "none"
        raise BadInput(f"{where} holds {len(variables)} variables ({held}); name one: `variable`")
    return next(iter(variables.values()))


def _without_header(where: str, rows: npt.NDArray[Any], stimuli: StimulusSet) -> Rdms:
    """The numbers of a CSV; a first row without any number must be the stimulus ids."""
    try:
        return rows.astype(np.float64)
    except ValueError:
        pass
    header = tuple(cell.strip() for cell in rows[0])
    try:
        numbers: Rdms = rows[1:].astype(np.float64)
    except ValueError as error:
        raise BadInput(f"{where}: {one_line(error)}; give numbers below the header") from error
    if header != stimuli.ids:
        wrong = next((h for h, i in zip(header, stimuli.ids) if h != i), None)
        raise BadInput(
            f"{where}: the header is not the ids of stimuli {stimuli.name!r} in order "
            f"({wrong!r} is the first that differs); reorder rows and columns"
            if wrong is not None
            else f"{where}: {len(header)} columns, but stimuli {stimuli.name!r} has "
            f"{len(stimuli)}; name the set that was shown"
        )
    return numbers


def _by_subject(where: str, array: npt.NDArray[Any], stimuli: StimulusSet) -> Rdms:
    """The array as float64 (subject, stimulus, stimulus)."""
    n = len(stimuli)
    if array.dtype.kind not in "fiub":
        raise BadInput(f"{where}: the array is of type {array.dtype}; give real numbers")
    shape = array.shape
    if array.ndim == 2 and shape[1] == n and shape[0] % n == 0 and shape[0]:
        array = array.reshape(-1, n, n)
    elif array.ndim == 3 and shape[:2] == (n, n) and shape[2] != n:
        array = np.moveaxis(array, 2, 0)
    if array.ndim != 3 or array.shape[1:] != (n, n) or not len(array):
        raise BadInput(
            f"{where}: an array of shape {shape}, but stimuli {stimuli.name!r} has {n}: expected "
            f"({n}, {n}) or (subjects, {n}, {n}); name the set that was shown"
        )
    return array.astype(np.float64)
