"""A long Parquet recording: rows a second and peak memory, beside pyarrow alone and lists of Python's.

    python -m benchmarks.recordings [--quick]

The file has planted responses of 1,000 targets to each stimulus, in row groups of a million. Each way
reads it in a process of its own; `peak` is what that took on top of its imports. `ours` gives the
checked array in the order of the stimuli within the stated budget and passes over the names twice;
pyarrow's columns are the table alone, its batches are decoded and let go. Lists are the way of before,
on a part of the rows.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measurement import quick, report
from zoo_eval.recordings import parquet
from zoo_eval.recordings.long_table import BLOCK_ROWS, COLUMNS, RESPONSE_BYTES
from zoo_eval.stimuli.stimulus_set import StimulusSet
from zoo_eval.units import size_in_bytes, size_text

N_ROWS, N_QUICK, N_LISTED = 100_000_000, 2_000_000, 500_000
N_TARGETS = 1_000
GROUP_ROWS = 1_000_000
BUDGET = "1GiB"
HEADER = ("way", "rows", "s", "million rows/s", "peak", "B per row")


def main() -> None:
    """Prints each way's speed and memory; the way and its file are the arguments of its process."""
    if len(sys.argv) == 4:
        print(json.dumps(_measured(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
        return
    n_rows = N_QUICK if quick(__doc__ or "") else N_ROWS
    with tempfile.TemporaryDirectory() as folder:
        file, part = Path(folder) / "long.parquet", Path(folder) / "part.parquet"
        _write(file, n_rows)
        _write(part, N_LISTED)
        found = {way: _in_a_process(way, file, n_rows) for way in ("ours", "columns", "batches")}
        found["lists"] = _in_a_process("lists", part, N_LISTED)
        n_bytes = file.stat().st_size
    ours, lists = found["ours"], found["lists"]
    print(f"{n_rows} rows in {size_text(n_bytes)}, memory_budget {BUDGET}\n")
    facts = {
        "rows": n_rows,
        "rows_per_s": ours["rows"] / ours["s"],
        "peak_bytes": ours["peak"],
        "budget_bytes": size_in_bytes(BUDGET),
        "array_bytes": n_rows * (RESPONSE_BYTES - 1),
        "columns_ratio": ours["s"] / found["columns"]["s"],
        "batches_ratio": ours["s"] / found["batches"]["s"],
        "lists_speedup": (lists["s"] / lists["rows"]) / (ours["s"] / ours["rows"]),
        "lists_bytes_per_row": lists["peak"] / lists["rows"],
    }
    report(HEADER, [_row(way, one) for way, one in found.items()], facts)


def _row(way: str, one: Mapping[str, float]) -> list[object]:
    speed, per_row = one["rows"] / one["s"] / 1e6, one["peak"] / one["rows"]
    return [way, int(one["rows"]), f"{one['s']:.2f}", f"{speed:.2f}", size_text(int(one["peak"])), f"{per_row:.1f}"]  # fmt: skip


def _write(file: Path, n_rows: int) -> None:
    """Stimuli by targets, a block of rows at a time."""
    rng, writer = np.random.default_rng(0), None
    targets = pa.array([f"neuron_{target:05d}" for target in range(N_TARGETS)])
    for start in range(0, n_rows, GROUP_ROWS):
        n_stimuli = min(GROUP_ROWS, n_rows - start) // N_TARGETS
        first = start // N_TARGETS
        names = pa.array([_stimulus(first + number) for number in range(n_stimuli)])
        stimulus, target = (one.ravel() for one in np.indices((n_stimuli, N_TARGETS), np.int32))
        columns = (
            pa.DictionaryArray.from_arrays(stimulus, names).cast(pa.string()),
            pa.array(np.zeros(len(stimulus), np.int64)),
            pa.DictionaryArray.from_arrays(target, targets).cast(pa.string()),
            pa.array(rng.standard_normal(len(stimulus))),
        )
        block = pa.table(dict(zip(COLUMNS, columns, strict=True)))
        writer = writer or pq.ParquetWriter(file, block.schema)
        writer.write_table(block)
    assert writer is not None
    writer.close()


def _stimulus(number: int) -> str:
    return f"photo_{number:07d}.jpg"


def _in_a_process(way: str, file: Path, n_rows: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.recordings", way, str(file), str(n_rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measured(way: str, file: Path, n_rows: int) -> dict[str, float]:
    ways: Mapping[str, Callable[[], None]] = {
        "ours": lambda: _ours(file, shown),
        "columns": lambda: _columns(file),
        "batches": lambda: _batches(file),
        "lists": lambda: _lists(file, shown),
    }
    ids = tuple(_stimulus(number) for number in range(n_rows // N_TARGETS))
    image = np.zeros((2, 2, 3), np.uint8)
    shown = StimulusSet("shown", ids, (image,) * len(ids), groups=ids)
    # The peak starts anew, for imports take more than they keep.
    Path("/proc/self/clear_refs").write_text("5")
    before, start = _resident("VmRSS"), time.perf_counter()
    ways[way]()
    elapsed = time.perf_counter() - start
    return {"s": elapsed, "rows": n_rows, "peak": _resident("VmHWM") - before}


def _resident(what: str) -> int:
    """Bytes in memory: VmRSS now, or VmHWM, the most since that was cleared."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    raise LookupError(what)


def _ours(file: Path, shown: StimulusSet) -> None:
    found = parquet.read("long", file, shown, size_in_bytes(BUDGET))
    assert found.repeated().responses.shape == (len(shown), N_TARGETS)


def _columns(file: Path) -> None:
    assert pq.read_table(file, columns=list(COLUMNS)).num_columns == len(COLUMNS)


def _batches(file: Path) -> None:
    names = [one for one in COLUMNS if one != "response"]
    with pq.ParquetFile(file, read_dictionary=names) as opened:
        for batch in opened.iter_batches(BLOCK_ROWS, columns=list(COLUMNS)):
            assert batch.num_rows


def _lists(file: Path, shown: StimulusSet) -> None:
    table = pq.read_table(file)
    place = {one: number for number, one in enumerate(shown.ids)}
    rows = np.array([place[str(one)] for one in table["stimulus_id"].to_pylist()])
    targets = sorted({str(one) for one in table["target_id"].to_pylist()})
    repetitions = sorted(set(table["repetition"].to_pylist()))
    responses = np.full((len(shown), len(repetitions), len(targets)), np.nan)
    places = (
        rows,
        np.searchsorted(repetitions, table["repetition"].to_pylist()),
        np.searchsorted(targets, [str(one) for one in table["target_id"].to_pylist()]),
    )
    responses[places] = table["response"].to_numpy()
    filled = np.zeros(responses.shape, np.int64)
    np.add.at(filled, places, 1)
    assert (filled == 1).all()


if __name__ == "__main__":
    main()
