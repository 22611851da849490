"""A recording that is only known by its dissimilarities: one RDM, or one per subject."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo_eval.digests import bytes_digest, canonical_json
from zoo_eval.errors import BadInput
from zoo_eval.files import arrays
from zoo_eval.files.reading import check_fits
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
from zoo_eval.recordings import rdm_file, row_ids
from zoo_eval.recordings.by_position import stand_in
from zoo_eval.recordings.ceiling import ALL, Ceiling, CeilingChoices
from zoo_eval.recordings.held_rdms import FILE, HeldRdms
from zoo_eval.recordings.rdm_file import by_subject
from zoo_eval.recordings.rdm_kinds.content import RdmFile
from zoo_eval.recordings.recording import Numbers, Recording, RecordingSection
from zoo_eval.recordings.row_ids import RowIds
from zoo_eval.stimuli import ids, order
from zoo_eval.stimuli.order import Order
from zoo_eval.stimuli.stimulus_set import StimulusSet, Sweepmates

Rdms = npt.NDArray[np.float64]
# What dissimilarities can be said to be.
Known = Literal["unknown", "squared_euclidean"]

FEWEST_STIMULI = 3
_BOUNDS = {"nili_lower": nili_lower, "nili_upper": nili_upper}
# Of the largest dissimilarity: what float32 arithmetic leaves of symmetry and of a zero.
TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class RdmRecording(Recording):
    """Dissimilarities (subject, stimulus, stimulus) of a StimulusSet, in its order.

    Negative values are allowed: cross-validated distances have them. `dissimilarity` is what they
    are, `squared_euclidean` or `unknown`; `by_position` is the line that says which row met which
    stimulus where no ids did; `digest` is that of the content.

    Raises:
        BadInput: another shape, fewer than three stimuli, a value that is NaN or infinite, a
            matrix that is not symmetric or whose diagonal is not zero.
    """

    name: str
    stimuli: str
    rdms: Rdms
    subject_ids: tuple[str, ...]
    dissimilarity: str = "unknown"
    by_position: str | None = None
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
        content = np.ascontiguousarray(self.rdms).reshape(-1).data
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
    """Dissimilarities alone, in a file of any kind of `rdm_file.KINDS`: one matrix, or one per subject.

    `stimulus_ids` says which stimulus each row is of: a list, or a text file with one a line; where
    the file itself says it (variable `stimulus_ids`, header or index of a table), that is read. Rows
    without ids are in the `order` of the images. `dissimilarity` says what they are, where that is
    known: CKA and Procrustes need squared Euclidean distances, from which inner products follow.
    """

    kind: Literal["rdm"] = "rdm"
    names: ClassVar[tuple[str, ...]] = (FILE, "Meadows_*_1D.mat", "Meadows_*_tree.json")

    path: SweepPath
    variable: str | None = None
    dissimilarity: Known = "unknown"
    stimulus_ids: RowIds = None
    order: Order | None = None

    def read(self, name: str, known: Sweepmates) -> RdmRecording:
        """The RDMs, in the order of the stimulus set.

        Raises:
            BadInput: an unreadable file, no array or several without `variable`, one that does not
                fit the stimulus set or is no RDM (see RdmRecording), ids that are not the
                stimuli's, or rows without ids whose order nobody says.
        """
        shown = known.stimuli(self.stimuli)
        where = f"recording {name!r}: {self.path.resolve()}"
        file = self._file(where, known.memory_budget_bytes, len(shown))
        return self._recording(where, name, file, shown)

    def held(self, where: str, most_bytes: int, *, whole: bool) -> HeldRdms:
        place = f"{where}: {self.path.resolve()}"
        file = self._file(place, most_bytes, None)
        n = rdm_file.n_stimuli(file)
        if n is None:
            raise BadInput(
                f"{place}: an array of shape {file.array.shape} is no RDMs of any number of stimuli; give "
                "(stimulus, stimulus), (subject, stimulus, stimulus) or condensed (subject, pair)"
            )
        named = None if file.columns is None else file.columns[0]
        found = self._recording(place, "held", file, stand_in(named or n))
        return HeldRdms(found.rdms, found.subject_ids, named, file.about)

    def _file(self, where: str, most: int, n_stimuli: int | None) -> RdmFile:
        """What the file holds, with the ids that the section has for it."""
        content = rdm_file.read(where, self.path.resolve(), self.variable, n_stimuli, most)
        # As float64 and in the order of the stimuli, beside the file's own; pairs become two values.
        needed = content.array.nbytes + 2 * 8 * 2 * content.array.size
        check_fits(where, "its dissimilarities", needed, most, arrays.RAISE)
        return self._identified(where, content)

    def _recording(self, where: str, name: str, file: RdmFile, shown: StimulusSet) -> RdmRecording:
        if file.rows is not None:
            rdms, told = _by_id(where, file, shown), None
        else:
            rdms, told = self._by_position(where, file, shown)
        subject_ids = _subjects(file, len(rdms))
        try:
            return RdmRecording(name, shown.name, rdms, subject_ids, self.dissimilarity, told)
        except BadInput as error:
            raise BadInput(str(error).replace(f"recording {name!r}", where, 1)) from error

    def _identified(self, where: str, file: RdmFile) -> RdmFile:
        """The file, with the ids that the section has for it."""
        has_own = file.rows is not None
        given = row_ids.told(where, self.stimulus_ids, self.order, has_own=has_own)
        if given is None:
            return file
        of_all = [tuple(given)]
        return replace(file, rows=of_all, columns=of_all)

    def _by_position(self, where: str, file: RdmFile, shown: StimulusSet) -> tuple[Rdms, str]:
        """The RDMs in the order of the stimulus set, and which row met which stimulus."""
        rdms = by_subject(where, file.array, len(shown), f"stimuli {shown.name!r} has {len(shown)}")
        rows = order.rows(where, len(shown), shown, self.order)
        return rdms[:, rows][:, :, rows], order.told(rows, shown)


def _by_id(where: str, file: RdmFile, shown: StimulusSet) -> Rdms:
    """The RDMs in the order of the stimulus set."""
    assert file.rows is not None
    assert file.columns is not None
    n_ids = len(file.columns[0])
    rdms = by_subject(where, file.array, n_ids, f"it has {n_ids} ids")
    rows, columns = (
        [ids.rows(where, one, shown) for one in side] for side in (file.rows, file.columns)
    )
    n = len(rdms)
    if not {len(rows), len(columns)} <= {1, n}:
        raise BadInput(
            f"{where}: ids for {max(len(rows), len(columns))} subjects, of whom there are {n}; give "
            "them once, or for each"
        )
    places = zip(rows * (n // len(rows)), columns * (n // len(columns)), strict=True)
    return np.stack([rdm[np.ix_(*place)] for rdm, place in zip(rdms, places, strict=True)])


def _subjects(file: RdmFile, n: int) -> tuple[str, ...]:
    """The file's names of subjects, where each has one of its own, or their numbers."""
    named = file.subjects or ()
    if len(named) == n and len(set(named)) == n:
        return tuple(named)
    return tuple(f"subject_{subject:03d}" for subject in range(n))


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
