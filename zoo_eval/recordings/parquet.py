"""A recording in one Parquet file: columns stimulus_id, repetition, target_id, response."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from zoo_eval.files import reading
from zoo_eval.files.reading import MOST_BYTES
from zoo_eval.numerics.ceilings import Scale
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import ceiling_file, long_table, targets_file
from zoo_eval.recordings.long_table import BLOCK_ROWS, EVERYTHING, Choice, LongTable
from zoo_eval.recordings.presentations import TARGET_ID
from zoo_eval.recordings.recording import RecordingSection
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.recordings.target_choice import ROW, selected
from zoo_eval.recordings.targets_file import of_ids, of_targets
from zoo_eval.stimuli.stimulus_set import StimulusSet, Sweepmates

COLUMNS = long_table.COLUMNS
# Of a column chunk, which may be the whole file's, so much is read at a time.
BUFFER_BYTES = 2**16


class ParquetSection(RecordingSection):
    """Responses in one Parquet file: stimulus_id, repetition, target_id, response.

    `targets_table` is a CSV or Parquet file with target_id and whatever else is known of targets, by
    which `targets` selects in SQL. `partial` leaves out rows of what is not among the stimuli, which are
    an error otherwise. `ceilings` is a CSV (target, ceiling) of what was published with them, on the stated scale.
    """

    kind: Literal["parquet"] = "parquet"
    path: SweepPath
    targets_table: SweepPath | None = None
    targets: str | None = None
    partial: bool = False
    ceilings: SweepPath | None = None
    ceiling_scale: Scale = "reliability"

    def read(self, name: str, known: Sweepmates) -> ResponseRecording:
        where, shown = f"recording {name!r}", known.stimuli(self.stimuli)
        chosen: list[pa.Table] = []

        def choose(targets: Sequence[str]) -> Sequence[str]:
            listed = self._listed(where, targets, known.memory_budget_bytes)
            chosen.append(selected(where, listed, self.targets, known).drop_columns([ROW]))
            wanted: list[str] = chosen[-1].column(TARGET_ID).to_pylist()
            return wanted

        choice = Choice(choose, self.partial)
        recording = read(name, self.path.resolve(), shown, known.memory_budget_bytes, choice)
        listed = of_targets(where, chosen[-1], recording.target_ids)
        recording = replace(recording, targets=listed)
        if self.ceilings is None:
            return recording
        path, scale = self.ceilings.resolve(), self.ceiling_scale
        found = ceiling_file.read(name, path, recording.target_ids, scale)
        return replace(recording, file_ceilings=found)

    def _listed(self, where: str, targets: Sequence[str], most_bytes: int) -> pa.Table:
        """What is known of the targets that have responses."""
        if self.targets_table is None:
            return of_ids(targets)
        path = self.targets_table.resolve()
        return of_targets(f"{where}: {path}", targets_file.read(where, path, most_bytes), targets)


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
    where = f"recording {name!r}: {path}"
    with reading.told(where, path, "is not a Parquet file that can be read"):
        schema, n_rows = _described(path)
    table = LongTable(where, schema, n_rows, lambda columns: _blocks(where, path, columns))
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


def _described(path: Path) -> tuple[pa.Schema, int]:
    with pq.ParquetFile(path) as file:
        return file.schema_arrow, file.metadata.num_rows


def _blocks(where: str, path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The file's rows, some at a time; text that is stored once per row group stays so."""
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
        yield from file.iter_batches(BLOCK_ROWS, columns=list(columns), use_threads=False)
