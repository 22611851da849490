"""A recording in one Parquet file: columns stimulus_id, repetition, target_id, response."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from zoo_eval.errors import BadInput
from zoo_eval.numerics.ceilings import Scale
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import ceiling_file
from zoo_eval.recordings.recording import RecordingSection
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.stimuli import ids
from zoo_eval.stimuli.stimulus_set import StimulusSet, Sweepmates

COLUMNS = ("stimulus_id", "repetition", "target_id", "response")


class ParquetSection(RecordingSection):
    """Responses in one Parquet file: stimulus_id, repetition, target_id, response.

    `ceilings` is a CSV (target, ceiling) of what was published with them, on the stated scale.
    """

    kind: Literal["parquet"] = "parquet"
    path: SweepPath
    ceilings: SweepPath | None = None
    ceiling_scale: Scale = "reliability"

    def read(self, name: str, known: Sweepmates) -> ResponseRecording:
        recording = read(name, self.path.resolve(), known.stimuli(self.stimuli))
        if self.ceilings is None:
            return recording
        path, scale = self.ceilings.resolve(), self.ceiling_scale
        found = ceiling_file.read(name, path, recording.target_ids, scale)
        return replace(recording, file_ceilings=found)


def read(name: str, path: Path, stimuli: StimulusSet) -> ResponseRecording:
    """The recording in a long-form Parquet file, in the order of the stimulus set.

    Every target must answer every stimulus in every repetition.

    Raises:
        BadInput: a column is missing or of another kind; a stimulus is unknown, missing or
            incomplete.
    """
    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as error:
        raise BadInput(f"recording {name!r}: {path} is not a Parquet file ({error})") from error
    return of_table(name, table, stimuli, str(path))


def of_table(name: str, table: pa.Table, stimuli: StimulusSet, origin: str) -> ResponseRecording:
    """The recording in a long-form table, as `read` says; messages name its origin.

    Raises:
        BadInput: as `read` does.
    """
    if missing := [c for c in COLUMNS if c not in table.column_names]:
        raise BadInput(
            f"recording {name!r}: {origin} has no column {missing[0]!r}; needed: {', '.join(COLUMNS)}"
        )
    _check_values(name, origin, table)
    shown = [str(one) for one in table["stimulus_id"].to_pylist()]
    known = ids.numbers(f"recording {name!r}", set(shown), stimuli)
    return _in_order(name, table, stimuli, np.array([known[one] for one in shown]))


def _in_order(
    name: str, table: pa.Table, stimuli: StimulusSet, rows: npt.NDArray[np.int64]
) -> ResponseRecording:
    """The recording, from a table whose rows belong to these rows of the stimulus set."""
    targets = sorted({str(t) for t in table["target_id"].to_pylist()})
    repetitions = sorted(set(table["repetition"].to_pylist()))
    responses = np.full((len(stimuli), len(repetitions), len(targets)), np.nan)
    filled = np.zeros(responses.shape, dtype=np.int64)
    place = (
        rows,
        np.searchsorted(repetitions, table["repetition"].to_pylist()),
        np.searchsorted(targets, [str(t) for t in table["target_id"].to_pylist()]),
    )
    responses[place] = table["response"].cast(pa.float64()).to_numpy()
    np.add.at(filled, place, 1)
    if (filled != 1).any():
        stimulus, repetition, target = np.argwhere(filled != 1)[0]
        raise BadInput(
            f"recording {name!r}: target {targets[target]!r} has "
            f"{filled[stimulus, repetition, target]} responses to {stimuli.ids[stimulus]!r} in "
            f"repetition {repetitions[repetition]!r}; exactly one is needed"
        )
    return ResponseRecording(name, stimuli.name, responses, tuple(targets))


def _check_values(name: str, origin: str, table: pa.Table) -> None:
    kind = table["response"].type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise BadInput(f"recording {name!r}: {origin}: column 'response' is {kind}, not a number")
    if not table.num_rows:
        raise BadInput(f"recording {name!r}: {origin} has no rows; write one per response")
    for column in COLUMNS[:-1]:
        if table[column].null_count:
            raise BadInput(
                f"recording {name!r}: {origin}: column {column!r} has a null; fill it in"
            )
