"""A recording in one Parquet file: columns stimulus_id, repetition, target_id, response."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from zoo_eval.errors import BadInput
from zoo_eval.recordings.recording import Recording
from zoo_eval.stimuli.stimulus_set import StimulusSet

COLUMNS = ("stimulus_id", "repetition", "target_id", "response")


def read(name: str, path: Path, stimuli: StimulusSet) -> Recording:
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
    if missing := [c for c in COLUMNS if c not in table.column_names]:
        raise BadInput(
            f"recording {name!r}: {path} has no column {missing[0]!r}; needed: {', '.join(COLUMNS)}"
        )
    _check_values(name, path, table)
    order = {stimulus: index for index, stimulus in enumerate(stimuli.ids)}
    shown = table["stimulus_id"].to_pylist()
    if unknown := sorted({str(s) for s in shown if s not in order}):
        raise BadInput(
            f"recording {name!r}: stimulus {unknown[0]!r} is not in stimuli {stimuli.name!r} "
            f"({len(unknown)} such); name the set that was shown"
        )
    targets = sorted({str(t) for t in table["target_id"].to_pylist()})
    repetitions = sorted(set(table["repetition"].to_pylist()))
    responses = np.full((len(stimuli), len(repetitions), len(targets)), np.nan)
    filled = np.zeros(responses.shape, dtype=np.int64)
    place = (
        np.array([order[s] for s in shown]),
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
    return Recording(name, stimuli.name, responses, tuple(targets))


def _check_values(name: str, path: Path, table: pa.Table) -> None:
    kind = table["response"].type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise BadInput(f"recording {name!r}: {path}: column 'response' is {kind}, not a number")
    if not table.num_rows:
        raise BadInput(f"recording {name!r}: {path} has no rows; write one per response")
    for column in COLUMNS[:-1]:
        if table[column].null_count:
            raise BadInput(f"recording {name!r}: {path}: column {column!r} has a null; fill it in")
