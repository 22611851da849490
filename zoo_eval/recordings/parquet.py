"""A recording in one Parquet file: columns stimulus_id, repetition, target_id, response."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from zoo_eval.errors import BadInput
from zoo_eval.files import reading
from zoo_eval.files.reading import MOST_BYTES
from zoo_eval.numerics.ceilings import Scale
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import (
    ceiling_file,
    long_presentations,
    long_table,
    presentations_file,
    targets_file,
)
from zoo_eval.recordings.long_table import BLOCK_ROWS, EVERYTHING, Choice, LongTable
from zoo_eval.recordings.parquet_names import PRESENTATIONS, RESPONSES, TARGETS
from zoo_eval.recordings.presentations import TARGET_ID, Presentations
from zoo_eval.recordings.presented import PresentedSection
from zoo_eval.recordings.recording import Recording
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.recordings.target_choice import ROW, selected
from zoo_eval.recordings.targets_file import of_ids, of_targets
from zoo_eval.stimuli.stimulus_set import StimulusSet, Sweepmates

COLUMNS = long_table.COLUMNS
# Of a column chunk, which may be the whole file's, so much is read at a time.
BUFFER_BYTES = 2**16
# So many names of targets are looked at together.
LOOK_ROWS = 2**20
# Of a table without one of presentations, so many rows say at once what it holds.
GLIMPSED_ROWS = 2**21


class ParquetSection(PresentedSection):
    """Responses in one Parquet file: stimulus_id, repetition, target_id, response.

    `targets_table` is a CSV or Parquet file with target_id and whatever else is known of targets, by
    which `targets` selects in SQL. `presentations_table` is one with a row for each time that a stimulus
    was shown, in their order: stimulus_id, repetition, and where they are known session and, for each
    published split, split_NAME (train, test or nothing). `path` may be a folder that `zoo-eval recordings
    convert` has made, which has all three. `partial` leaves out rows of what is not among the stimuli,
    which are an error otherwise. `ceilings` is a CSV (target, ceiling) of what was published with them,
    on the stated scale.
    """

    kind: Literal["parquet"] = "parquet"
    names: ClassVar[tuple[str, ...]] = ("*.parquet", "*.pq")
    inside: ClassVar[tuple[str, ...]] = (RESPONSES,)

    path: SweepPath
    targets_table: SweepPath | None = None
    presentations_table: SweepPath | None = None
    ceilings: SweepPath | None = None
    ceiling_scale: Scale = "reliability"

    def read(self, name: str, known: Sweepmates) -> Recording:
        where = f"recording {name!r}"
        files = self._files(where)
        recording: Recording
        if files.presentations is not None:
            recording = super().read(name, known)
        else:
            recording = self._of_rows_alone(name, known, files)
        if self.ceilings is None:
            return recording
        assert isinstance(recording, ResponseRecording)
        path, scale = self.ceilings.resolve(), self.ceiling_scale
        found = ceiling_file.read(name, path, recording.target_ids, scale)
        return replace(recording, file_ceilings=found)

    def presentations(self, where: str, most_bytes: int) -> Presentations:
        """Those of the table of presentations, or of all rows where there is none.

        Raises:
            BadInput: a file is damaged or too large, lacks a column, or they do not fit each other.
        """
        return self._presentations(where, most_bytes, None)

    def glimpsed(self, where: str, most_bytes: int) -> Presentations:
        return self._presentations(where, most_bytes, GLIMPSED_ROWS)

    def _presentations(self, where: str, most_bytes: int, most_rows: int | None) -> Presentations:
        files = self._files(where)
        table = _opened(where, files.responses)

        def rows(targets: Collection[str]) -> Iterator[pa.RecordBatch]:
            return _blocks(table.where, files.responses, COLUMNS, targets)

        notes: tuple[str, ...] = ()
        if files.presentations is not None:
            assert files.targets is not None
            shown = presentations_file.read(where, files.presentations, most_bytes)
            targets = targets_file.read(where, files.targets, most_bytes)
            found = long_presentations.of_tables(table, rows, shown, targets, most_bytes)
        else:
            first = long_presentations.first_rows(table, most_rows or table.n_rows)
            if first.n_rows < table.n_rows:
                notes = (f"of the first {first.n_rows} of {table.n_rows} rows",)

            def listed(targets: Sequence[str]) -> pa.Table:
                return self._listed(where, targets, most_bytes)

            def of_first(_: Collection[str]) -> Iterator[pa.RecordBatch]:
                return first.blocks(COLUMNS)

            those = rows if first is table else of_first
            found = long_presentations.of_rows(first, those, listed, most_bytes)
        paths = (files.responses, files.targets, files.presentations)
        read_from = tuple(one for one in paths if one is not None)
        return replace(found, files=read_from, notes=(*found.notes, *notes))

    def _files(self, where: str) -> "_Files":
        path = self.path.resolve()
        targets, shown = (
            None if one is None else one.resolve()
            for one in (self.targets_table, self.presentations_table)
        )
        if path.is_dir():
            for name in (RESPONSES, TARGETS, PRESENTATIONS):
                if not (path / name).is_file():
                    raise BadInput(
                        f"{where}: {path} has no {name}; name a Parquet file, or a folder that `zoo-eval "
                        "recordings convert` has made"
                    )
            targets, shown = targets or path / TARGETS, shown or path / PRESENTATIONS
            path = path / RESPONSES
        if shown is not None and targets is None:
            raise BadInput(
                f"{where}: `presentations_table` needs `targets_table` beside it; add it"
            )
        return _Files(path, targets, shown)

    def _of_rows_alone(self, name: str, known: Sweepmates, files: "_Files") -> ResponseRecording:
        """Without a table of presentations: whatever has a row was shown."""
        where, shown = f"recording {name!r}", known.stimuli(self.stimuli)
        if self.zscore is not None:
            raise BadInput(
                f"{where}: {files.responses} does not say its sessions: give `presentations_table`, or leave out "
                'zscore = "session"'
            )
        chosen: list[pa.Table] = []

        def choose(targets: Sequence[str]) -> Sequence[str]:
            listed = self._listed(where, targets, known.memory_budget_bytes)
            chosen.append(selected(where, listed, self.targets, known).drop_columns([ROW]))
            wanted: list[str] = chosen[-1].column(TARGET_ID).to_pylist()
            return wanted

        choice = Choice(choose, self.partial)
        recording = read(name, files.responses, shown, known.memory_budget_bytes, choice)
        listed = of_targets(where, chosen[-1], recording.target_ids)
        return replace(recording, targets=listed)

    def _listed(self, where: str, targets: Sequence[str], most_bytes: int) -> pa.Table:
        """What is known of the targets that have responses."""
        if self.targets_table is None:
            return of_ids(targets)
        path = self.targets_table.resolve()
        return of_targets(f"{where}: {path}", targets_file.read(where, path, most_bytes), targets)


@dataclass(frozen=True)
class _Files:
    """The files of a recording: responses, and the tables of targets and presentations where there are any."""

    responses: Path
    targets: Path | None
    presentations: Path | None


def read(
    name: str,
    path: Path,
    stimuli: StimulusSet,
    most_bytes: int = MOST_BYTES,
    choice: Choice = EVERYTHING,
) -> ResponseRecording:
    """The recording in a long-form Parquet file, in the order of the stimulus set.

    A response without a row is missing; stimuli may be shown unequally often. Rows are read by
    blocks; `most_bytes` is what responses and a block may take.

    Raises:
        BadInput: the file is damaged; a column is missing or of another kind; a stimulus is
            unknown or has no response; or it takes more memory than that.
    """
    table = _opened(f"recording {name!r}", path)
    responses, targets = long_table.responses(table, stimuli, most_bytes, choice)
    return ResponseRecording(name, stimuli.name, responses, targets)


def of_table(
    name: str, table: pa.Table, stimuli: StimulusSet, origin: str, most_bytes: int = MOST_BYTES
) -> ResponseRecording:
    """The recording in a long-form table, as `read` says; messages name its origin.

    Raises:
        BadInput: as `read` does.
    """

    def blocks(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        yield from table.select(list(columns)).to_batches(max_chunksize=BLOCK_ROWS)

    where = f"recording {name!r}: {origin}"
    found = LongTable(where, table.schema, table.num_rows, blocks)
    responses, targets = long_table.responses(found, stimuli, most_bytes)
    return ResponseRecording(name, stimuli.name, responses, targets)


def _opened(where: str, path: Path) -> LongTable:
    """The file as a table that is read by blocks."""
    place = f"{where}: {path}"
    with (
        reading.told(place, path, "is not a Parquet file that can be read"),
        pq.ParquetFile(path) as file,
    ):
        schema, n_rows = file.schema_arrow, file.metadata.num_rows
    return LongTable(place, schema, n_rows, lambda columns: _blocks(place, path, columns))


def _blocks(
    where: str, path: Path, columns: Sequence[str], targets: Collection[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The file's rows, some at a time; text that is stored once per row group stays so.

    Where targets are named, row groups that have none of these are passed over.
    """
    coded = [one for one in columns if one != "response"]
    with (
        reading.told(where, path, "is a damaged Parquet file"),
        pq.ParquetFile(
            path,
            read_dictionary=coded,
            buffer_size=BUFFER_BYTES,
            pre_buffer=False,
            page_checksum_verification=True,
        ) as file,
    ):
        if targets is None:
            yield from file.iter_batches(BLOCK_ROWS, columns=list(columns), use_threads=False)
            return
        for group in range(file.metadata.num_row_groups):
            if _has_any(where, file, group, targets):
                yield from _of_group(where, file, group, columns, BLOCK_ROWS)


def _has_any(where: str, file: Any, group: int, targets: Collection[str]) -> bool:
    """Whether a row group may have rows of some targets.

    By its names themselves: what the file says of its groups has no checksum.
    """
    known: pa.Array | None = None
    for block in _of_group(where, file, group, ["target_id"], LOOK_ROWS):
        names = long_table.encoded(where, "target_id", block).dictionary
        if known is None or not names.equals(known):
            known = names
            if any(one in targets for one in long_table.values(names, "target_id")):
                return True
    return False


def _of_group(
    where: str, file: Any, group: int, columns: Sequence[str], n_together: int
) -> Iterator[pa.RecordBatch]:
    """The rows of one group, some at a time; all that it says it has, or it is damaged."""
    n_rows = 0
    for block in file.iter_batches(n_together, [group], columns=list(columns), use_threads=False):
        n_rows += block.num_rows
        yield block
    expected = file.metadata.row_group(group).num_rows
    if n_rows != expected:
        raise BadInput(
            f"{where} says that it has {expected} rows in group {group} and holds {n_rows}; write it again"
        )
