"""Conversion: presentations x targets as long tables in a folder, which the kind `parquet` reads."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from zoo_eval.errors import BadInput
from zoo_eval.privacy import files
from zoo_eval.recordings.by_position import Unnamed
from zoo_eval.recordings.parquet_names import PRESENTATIONS, RESPONSES, TARGETS
from zoo_eval.recordings.presentations import TARGET_ID, Presentations, Values
from zoo_eval.recordings.presentations_file import NOTES, REPETITION, SESSION, SPLIT, STIMULUS_ID

# Rows that are written together, unless one target has more; what each takes until it is written.
GROUP_ROWS, ROW_BYTES = 2**20, 64
# A quarter of the memory is for responses, as much for rows; the rest is what readers hold, and Parquet.
PARTS = 4
# Names of stimuli are stored once in a group of rows, however many there are.
NAMES_BYTES = 2**27
WRITING: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}
NAMES = [STIMULUS_ID, REPETITION, TARGET_ID]


def write(found: Presentations, folder: Path, most_bytes: int) -> None:
    """Writes responses, targets and presentations; responses are read by blocks of targets.

    Raises:
        BadInput: rows have no ids, a response is infinite, or one target takes more than `most_bytes`.
        OSError: the folder cannot be written.
    """
    if isinstance(found.stimulus_ids, Unnamed):
        raise BadInput(
            f"{found.where}: its rows have no ids, which tables need; set stimulus_ids to a text file with one a "
            "line"
        )
    repetitions = _repetitions(found)
    for name in (PRESENTATIONS, TARGETS, RESPONSES):
        files.make_empty(folder / name)
    pq.write_table(_presentations(found, repetitions), folder / PRESENTATIONS, **WRITING)
    pq.write_table(found.targets, folder / TARGETS, **WRITING)
    kind = pa.float32() if found.itemsize == np.dtype(np.float32).itemsize else pa.float64()
    names = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema(
        [(STIMULUS_ID, names), (REPETITION, pa.int32()), (TARGET_ID, names), ("response", kind)]
    )
    rows = _Rows(found, repetitions, schema, min(GROUP_ROWS, most_bytes // PARTS // ROW_BYTES))
    with pq.ParquetWriter(
        folder / RESPONSES,
        schema,
        use_dictionary=NAMES,
        dictionary_pagesize_limit=NAMES_BYTES,
        **WRITING,
    ) as file:
        for first, values in _blocks(found, most_bytes):
            for table in rows.groups(first, values):
                file.write_table(table, row_group_size=table.num_rows)


def _repetitions(found: Presentations) -> npt.NDArray[np.int32]:
    """Which of its stimulus's presentations each is, from 1."""
    times = Counter[str]()
    numbers = np.empty(len(found.stimulus_ids), np.int32)
    for place, one in enumerate(found.stimulus_ids):
        times[one] += 1
        numbers[place] = times[one]
    return numbers


def _presentations(found: Presentations, repetitions: npt.NDArray[np.int32]) -> pa.Table:
    columns: dict[str, Any] = {
        STIMULUS_ID: pa.array(found.stimulus_ids, pa.string()),
        REPETITION: repetitions,
    }
    if found.sessions is not None:
        columns[SESSION] = pa.array(found.sessions, pa.string())
    columns |= {f"{SPLIT}{name}": pa.array(one, pa.string()) for name, one in found.splits.items()}
    return pa.table(columns).replace_schema_metadata({NOTES: json.dumps(found.notes)})


def _blocks(found: Presentations, most_bytes: int) -> Iterator[tuple[int, Values]]:
    """Responses of some targets after another, each with the number of its first."""
    n_targets, n_shown = found.targets.num_rows, len(found.stimulus_ids)
    found.check_fits(1, most_bytes)
    step = max(1, most_bytes // (PARTS * n_shown * found.itemsize))
    for first in range(0, n_targets, step):
        numbers = np.arange(first, min(first + step, n_targets))
        values = found.read(numbers)
        if np.isinf(values).any():
            row, column = np.argwhere(np.isinf(values))[0]
            raise BadInput(
                f"{found.where}: the response of target {found.target_ids[numbers[column]]!r} to "
                f"{found.stimulus_ids[row]!r} is infinite; remove it, or write NaN where nothing was measured"
            )
        yield first, values


class _Rows:
    """Rows of responses: of each presentation all targets of a group, those that are missing left out."""

    def __init__(
        self,
        found: Presentations,
        repetitions: npt.NDArray[np.int32],
        schema: pa.Schema,
        n_together: int,
    ) -> None:
        names = {one: number for number, one in enumerate(dict.fromkeys(found.stimulus_ids))}
        self._names = pa.array(names, pa.string())
        self._stimulus = np.array([names[one] for one in found.stimulus_ids], np.int32)
        self._repetition, self._targets = repetitions, found.target_ids
        self._schema, self._n_together = schema, n_together

    def groups(self, first: int, values: Values) -> Iterator[pa.Table]:
        """Those of a block of targets, of which the first has that number; a table for each group."""
        step = max(1, self._n_together // len(values))
        for start in range(0, values.shape[1], step):
            own = values[:, start : start + step]
            there = ~np.isnan(own)
            presentation, target = np.nonzero(there)
            names = self._targets[first + start : first + start + own.shape[1]]
            columns = [
                pa.DictionaryArray.from_arrays(self._stimulus[presentation], self._names),
                self._repetition[presentation],
                pa.DictionaryArray.from_arrays(
                    target.astype(np.int32), pa.array(names, pa.string())
                ),
                own[there],
            ]
            if len(presentation):
                yield pa.table(columns, schema=self._schema)
