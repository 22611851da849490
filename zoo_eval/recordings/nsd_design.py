"""The design of the Natural Scenes Dataset: which of 73,000 images each trial of a subject showed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import csv_table, reading
from zoo_eval.recordings import matlab

Array = npt.NDArray[Any]
N_IMAGES = 73_000
TRIALS = 750
FAILURE = "is not NSD's design"


@dataclass(frozen=True)
class Design:
    """Images by session, and the shared ones, all as 73k ids from 1; `shared` is None where unsaid."""

    where: str
    by_session: dict[int, Sequence[int]]
    shared: frozenset[int] | None

    def session(self, number: int) -> Sequence[int]:
        """The images of a session's trials, in their order.

        Raises:
            BadInput: the design has no such session.
        """
        if number not in self.by_session:
            known = ", ".join(map(str, sorted(self.by_session)))
            raise BadInput(f"{self.where} has no session {number} (but {known}); leave it out")
        return self.by_session[number]


def read(where: str, path: Path, subject: int, most_bytes: int) -> Design:
    """The design in nsd_expdesign.mat, or in a subject's responses.tsv.

    Raises:
        BadInput: it is neither, is damaged, or names an image that is none.
    """
    place = f"{where}: {path}"
    if path.suffix.lower() == ".mat":
        return _of_matlab(place, path, subject, most_bytes)
    return _of_responses(place, path, subject)


def ordering(where: str, path: Path, n_images: int, most_bytes: int) -> list[int]:
    """`masterordering` of a design whose images are those of the experiment themselves, from 1.

    Raises:
        BadInput: as `read` does.
    """
    place = f"{where}: {path}"
    found = _variables(place, path, most_bytes, ["masterordering"])
    return _numbers(place, "masterordering", found["masterordering"].ravel(), n_images)


def shared(where: str, path: Path, most_bytes: int) -> list[int]:
    """The images that all subjects saw, in the order of `sharedix`, as 73k ids from 1.

    Raises:
        BadInput: as `read` does.
    """
    place = f"{where}: {path}"
    found = _variables(place, path, most_bytes, ["sharedix"])
    return _numbers(place, "sharedix", found["sharedix"].ravel(), N_IMAGES)


def _of_matlab(where: str, path: Path, subject: int, most_bytes: int) -> Design:
    names = ["masterordering", "subjectim", "sharedix"]
    found = _variables(where, path, most_bytes, names)
    of_subjects = found["subjectim"]
    if of_subjects.ndim != 2 or len(of_subjects) < subject:
        raise BadInput(
            f"{where}: `subjectim` has shape {of_subjects.shape}, (subject, image) is needed; fetch it again"
        )
    images = _numbers(where, "subjectim", of_subjects[subject - 1], N_IMAGES)
    order = _numbers(where, "masterordering", found["masterordering"].ravel(), len(images))
    shared = _numbers(where, "sharedix", found["sharedix"].ravel(), N_IMAGES)
    shown = np.array(images)[np.array(order) - 1].tolist()
    sessions = range(0, len(shown), TRIALS)
    by_session = {1 + at // TRIALS: shown[at : at + TRIALS] for at in sessions}
    return Design(where, by_session, frozenset(shared))


def _variables(where: str, path: Path, most_bytes: int, names: Sequence[str]) -> dict[str, Array]:
    with reading.told(where, path, FAILURE):
        found = matlab.variables(path, where, most_bytes)
    for name in names:
        if name not in found:
            raise BadInput(f"{where} has no `{name}`; {nearest(name, found)}")
    return found


def _numbers(where: str, name: str, values: Array, most: int) -> list[int]:
    """Whole numbers from 1 to `most`."""
    if values.dtype.kind not in "fiu" or not values.size:
        raise BadInput(f"{where}: `{name}` is {values.dtype} {values.shape}, no numbers of images")
    sound = (values >= 1) & (values <= most) & (values % 1 == 0)
    if not sound.all():
        wrong = values[~sound][0]
        raise BadInput(f"{where}: `{name}` has {wrong}, which is none of {most}; fetch it again")
    numbers: list[int] = values.astype(np.int64).tolist()
    return numbers


def _of_responses(where: str, path: Path, subject: int) -> Design:
    table = csv_table.read(where, path, ["SUBJECT", "SESSION", "73KID"])
    columns = {
        column: np.array([line.number(column) for line in table.lines])
        for column in ("SUBJECT", "SESSION", "73KID")
    }
    if (columns["SUBJECT"] != subject).any():
        raise BadInput(f"{where} has trials of other subjects than {subject}; name its own file")
    images = _numbers(where, "73KID", columns["73KID"], N_IMAGES)
    sessions = _numbers(where, "SESSION", columns["SESSION"], 10**6)
    if sessions != sorted(sessions):
        raise BadInput(f"{where}: its sessions are not in order; fetch the file itself")
    by_session: dict[int, list[int]] = {}
    for session, image in zip(sessions, images, strict=True):
        by_session.setdefault(session, []).append(image)
    return Design(where, dict(by_session), None)
