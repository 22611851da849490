"""A recording in plain arrays, .npy, .npz, .mat or .csv: the simple format of whoever has NumPy."""

from collections.abc import Sequence
from typing import Literal

import pyarrow as pa

from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import array_file, row_ids, targets_file
from zoo_eval.recordings.array_file import ArrayFile
from zoo_eval.recordings.by_position import Unnamed
from zoo_eval.recordings.presentations import Numbers, Presentations, Values
from zoo_eval.recordings.presented import PresentedSection
from zoo_eval.recordings.row_ids import RowIds
from zoo_eval.stimuli.order import Order


class ArraysSection(PresentedSection):
    """Responses (stimulus, target), (stimulus, repetition, target) or (presentation, target); NaN is missing.

    A .npz or .mat names the responses by `variable`, where there are several, and may have
    `stimulus_ids`, `target_ids` and `sessions` beside them. A .csv has a header of targets; its columns
    stimulus_id (or the first, where that has no name) and session say what they do. An id that stands
    several times was shown as often. Where the file has none, `stimulus_ids` is a list, or a text file
    with one a line; rows without ids are in the `order` of the images. `targets_table` is a CSV or
    Parquet file with target_id and whatever else is known of targets: in the order of the responses,
    where these have no names.
    """

    kind: Literal["arrays"] = "arrays"
    path: SweepPath
    variable: str | None = None
    header: bool | None = None
    stimulus_ids: RowIds = None
    order: Order | None = None
    targets_table: SweepPath | None = None

    def presentations(self, where: str, most_bytes: int) -> Presentations:
        """A presentation per row and repetition, in the order of the array.

        Raises:
            BadInput: a file cannot be read, is too large, or has responses of another shape or type, or ids
                or targets of another number.
        """
        path = self.path.resolve()
        file = array_file.opened(f"{where}: {path}", path, self.variable, self.header, most_bytes)
        targets = self._targets(where, file, most_bytes)

        def read(numbers: Numbers) -> Values:
            return file.columns(numbers)

        listed = [self.stimulus_ids] if isinstance(self.stimulus_ids, SweepPath) else []
        paths = [self.path, *listed, *([self.targets_table] if self.targets_table else [])]
        return Presentations(
            where=f"{where}: {path}",
            files=tuple(one.resolve() for one in paths),
            stimulus_ids=self._stimulus_ids(file),
            targets=targets,
            read=read,
            itemsize=file.itemsize,
            sessions=self._sessions(file),
        )

    def _stimulus_ids(self, file: ArrayFile) -> Sequence[str]:
        own, n_rows, n_repetitions = file.stimulus_ids, file.n_rows, file.n_repetitions
        given = row_ids.told(file.where, self.stimulus_ids, self.order, has_own=own is not None)
        named = own if given is None else given
        if named is None:
            return Unnamed(n_rows, n_repetitions, self.order)
        _check_number(file.where, "stimulus ids", len(named), f"{n_rows} rows", n_rows)
        if "" in named:
            number = list(named).index("")
            raise BadInput(f"{file.where}: stimulus id number {number + 1} is blank; fill it in")
        return [one for one in named for _ in range(n_repetitions)]

    def _sessions(self, file: ArrayFile) -> Sequence[str] | None:
        if file.sessions is None:
            return None
        _check_number(
            file.where, "sessions", len(file.sessions), f"{file.n_rows} rows", file.n_rows
        )
        return [one for one in file.sessions for _ in range(file.n_repetitions)]

    def _targets(self, where: str, file: ArrayFile, most_bytes: int) -> pa.Table:
        n = file.n_targets
        if file.target_ids is not None:
            _check_number(file.where, "target ids", len(file.target_ids), f"{n} targets", n)
        if self.targets_table is None:
            width = len(str(max(n - 1, 0)))
            numbered = [f"target_{one:0{width}d}" for one in range(n)]
            return targets_file.of_ids(file.target_ids or numbered)
        path = self.targets_table.resolve()
        table = targets_file.read(where, path, most_bytes)
        if file.target_ids is not None:
            return targets_file.of_targets(f"{where}: {path}", table, file.target_ids)
        _check_number(f"{where}: {path}", "rows", table.num_rows, f"{n} targets", n)
        return table


def _check_number(where: str, what: str, n: int, of_what: str, expected: int) -> None:
    if n != expected:
        raise BadInput(f"{where}: {n} {what} for {of_what}; give one each")
