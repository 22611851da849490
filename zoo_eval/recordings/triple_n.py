"""A recording of Triple-N: units of one session or several, of macaques that saw NSD's shared images."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import nsd_design, triple_n_session, triple_n_units
from zoo_eval.recordings.presentations import Numbers, Presentations, Values
from zoo_eval.recordings.presented import PresentedSection
from zoo_eval.recordings.triple_n_responses import N_LOCALIZER, N_SHARED
from zoo_eval.recordings.triple_n_session import Session
from zoo_eval.stimuli import ids

N_ALL = N_SHARED + N_LOCALIZER
MEANS = "responses are means over repetitions already: no ceiling can be had of repetitions"
WHICH = (
    "which image is which is not in these files: give `design` (nsd_expdesign.mat) or `stimulus_ids` "
    "(a text file with one id a line)"
)


class TripleNSection(PresentedSection):
    """Sessions as the authors give them out, GoodUnit_DAY_SUBJECT_..._gRUN.mat: files, or a folder of them.

    Their S0_ConvertMatTOh5.m makes sesNN_DAY_SUBJECT_RUN.h5 of these, which is read as well.

    A response is the mean of `window_ms`, from the first millisecond to before the second, counted from
    the onset of the image. `onset_ms` is how many milliseconds the files begin before it: 50, as their
    global_params.pre_onset says.

    The first 1,000 images are those that all subjects of NSD saw. `design` (nsd_expdesign.mat) gives
    them NSD's ids, in the order of its sharedix (nsd-02951); or `stimulus_ids` is a text file with one
    id a line. With `localizer`, there are 72 more: localizer-01 to localizer-72.

    `processed` (Processed_ses*.mat, or their folder) gives the columns reliability (reliability_best),
    position, unit_type and snr. `areas` gives area and region: exclude_area.xls saved as CSV (open it in a
    spreadsheet, and save the sheet as "CSV UTF-8"), or a CSV of target_id or session, and area.

    Targets are ses01_unit_001 and so on, or of a GoodUnit 240629_M1_g2_unit_001. Each image is one row for
    all sessions: what one lacks is missing.
    """

    kind: Literal["triple_n"] = "triple_n"
    names: ClassVar[tuple[str, ...]] = ("GoodUnit_*_g*.mat", "ses[0-9]*_*_*_*.h5")
    inside: ClassVar[tuple[str, ...]] = names

    path: SweepPath | tuple[SweepPath, ...]
    design: SweepPath | None = None
    stimulus_ids: SweepPath | None = None
    localizer: bool = False
    window_ms: tuple[int, int] = (70, 170)
    onset_ms: int = 50
    processed: SweepPath | None = None
    areas: SweepPath | None = None

    def presentations(self, where: str, most_bytes: int) -> Presentations:
        """A presentation per image; targets are units, session by session.

        Raises:
            BadInput: a file is missing or damaged, nothing says which image is which, or the window is not
                within a recording.
        """
        given = (self.path,) if isinstance(self.path, SweepPath) else self.path
        paths = triple_n_session.found_in(where, [one.resolve() for one in given])
        sessions = [triple_n_session.described(where, one, most_bytes) for one in paths]
        _check_once(where, sessions)
        windows = [self._window(one) for one in sessions]
        shown, of_ids = self._ids(where, most_bytes)
        table, of_units = self._targets(where, sessions, most_bytes)
        starts = np.cumsum([0, *(one.n_units for one in sessions)])

        def read(units: Numbers) -> Values:
            found = np.full((len(shown), len(units)), np.nan, np.float32)
            for session, window, first in zip(sessions, windows, starts, strict=False):
                own = np.flatnonzero((units >= first) & (units < first + session.n_units))
                if len(own):
                    n = min(len(shown), session.n_images)
                    found[:n, own] = session.means(window, n, units[own] - first)
            return found

        return Presentations(
            where=f"{where}: {paths[0] if len(paths) == 1 else paths[0].parent}",
            files=(*paths, of_ids, *of_units),
            stimulus_ids=shown,
            targets=table,
            read=read,
            itemsize=np.dtype(np.float32).itemsize,
            notes=tuple(self._said(sessions, table)),
        )

    def _window(self, session: Session) -> range:
        """The milliseconds of a session's file that are averaged, by their numbers from 0."""
        if session.onset_ms not in (None, self.onset_ms):
            raise BadInput(
                f"{session.where} says that the onset is after {session.onset_ms} ms; set onset_ms = "
                f"{session.onset_ms}"
            )
        low, high = self.window_ms
        window = range(self.onset_ms + low, self.onset_ms + high)
        if not window or window.start < 0 or window.stop > session.n_ms:
            raise BadInput(
                f"{session.where}: window_ms {low} to {high} is not within the recording ({-self.onset_ms} to "
                f"{session.n_ms - self.onset_ms} ms of the onset); choose one that is"
            )
        return window

    def _ids(self, where: str, most_bytes: int) -> tuple[Sequence[str], Path]:
        """The ids of all images that are taken, and the file that says them."""
        if (self.design is None) == (self.stimulus_ids is None):
            wrong = WHICH if self.design is None else "`design` and `stimulus_ids`: remove one"
            raise BadInput(f"{where}: {wrong}")
        if self.design is not None:
            path = self.design.resolve()
            numbers = nsd_design.shared(where, path, most_bytes)
            shown = [f"nsd-{one:05d}" for one in numbers]
        elif self.stimulus_ids is not None:
            path = self.stimulus_ids.resolve()
            shown = list(ids.listed(path))
        if len(shown) not in (N_SHARED, N_ALL):
            raise BadInput(
                f"{where}: {path} has {len(shown)} ids; give {N_SHARED}, or {N_ALL} with the localizer's"
            )
        if len(set(shown)) < len(shown) or "" in shown:
            twice = next(one for one in shown if not one or shown.count(one) > 1)
            raise BadInput(f"{where}: {path}: id {twice!r} is blank or stands twice; correct it")
        if len(shown) == N_SHARED:
            shown += [f"localizer-{number:02d}" for number in range(1, N_LOCALIZER + 1)]
        return shown if self.localizer else shown[:N_SHARED], path

    def _targets(
        self, where: str, sessions: Sequence[Session], most_bytes: int
    ) -> tuple[pa.Table, Sequence[Path]]:
        table, files = triple_n_units.targets(sessions), list[Path]()
        numbers = {one.name: one.number for one in sessions}
        if self.processed is not None:
            path = self.processed.resolve()
            known = triple_n_units.processed(where, path, sessions, most_bytes)
            table = triple_n_units.with_columns(table, known.columns)
            numbers = dict(zip(numbers, known.numbers, strict=True))
            files += known.files
        if self.areas is not None:
            files.append(self.areas.resolve())
            table = triple_n_units.with_areas(where, files[-1], table, numbers)
        return table, files

    def _said(self, sessions: Sequence[Session], table: pa.Table) -> Iterator[str]:
        subjects = ", ".join(dict.fromkeys(one.subject for one in sessions))
        yield f"{table.num_rows} units of {len(sessions)} sessions of {subjects}"
        low, high = self.window_ms
        yield f"responses are the mean of {low} to {high} ms, the onset at {self.onset_ms} ms of the files"
        yield MEANS
        if self.areas is not None:
            without = table.column("area").null_count
            several = sum(" + " in (one or "") for one in table.column("area").to_pylist())
            yield f"{without} units are in no area, and {several} in several"


def _check_once(where: str, sessions: Sequence[Session]) -> None:
    if not sessions:
        raise BadInput(f"{where}: `path` names no session; name a file, or a folder of them")
    names, keys = Counter(one.name for one in sessions), Counter(one.key for one in sessions)
    if twice := [one for one in sessions if names[one.name] > 1 or keys[one.key] > 1]:
        raise BadInput(f"{twice[1].where}: session {twice[1].name} stands twice; leave one out")
