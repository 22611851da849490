"""One NSD subject: 15,000 voxels over 40 sessions of 750 trials; seconds, chunks touched, peak memory.

    python -m benchmarks.nsd [--quick]

The files have the subject's true grid and a chunk for each voxel's session, as NSD's have; only the
mask's chunks are written, about 1 GB. They are read in a process of its own: `peak` is what that took
on top of its imports, of which the responses are the larger part. Reading them all at once and in
blocks of targets touches each chunk once.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import savemat

from benchmarks.measurement import quick, report
from benchmarks.recordings import _resident
from zoo_eval.files.chunked import Chunks
from zoo_eval.paths import SweepPath
from zoo_eval.recordings.nsd import NsdSection
from zoo_eval.units import size_in_bytes, size_text

GRID = (81, 104, 83)
TRIALS = 750
N_VOXELS, N_SESSIONS = 15_000, 40
QUICK_VOXELS, QUICK_SESSIONS = 3_000, 4
BUDGET = "4GiB"
BLOCKS = 8
HEADER = ("way", "presentations x targets", "s", "chunks touched / there", "peak")


def main() -> None:
    """Prints each way's time, chunks and memory; the way and its folder are its process's arguments."""
    if len(sys.argv) == 3:
        print(json.dumps(_measured(sys.argv[1], Path(sys.argv[2]))))
        return
    is_quick = quick(__doc__ or "")
    n_voxels = QUICK_VOXELS if is_quick else N_VOXELS
    n_sessions = QUICK_SESSIONS if is_quick else N_SESSIONS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.perf_counter()
        _write(folder, n_voxels, n_sessions)
        written = time.perf_counter() - start
        n_bytes = sum(path.stat().st_size for path in folder.iterdir())
        ways = ("inspected", "planned", "at once", "in blocks")
        found = {way: _in_a_process(way, folder) for way in ways}
    print(f"{size_text(n_bytes)} written in {written:.0f} s; memory_budget {BUDGET}\n")
    there = n_voxels * n_sessions
    rows = [
        [
            way,
            f"{int(one['presentations'])} x {int(one['targets'])}",
            f"{one['s']:.1f}",
            f"{int(one['touched'])} / {there}",
            size_text(int(one["peak"])),
        ]
        for way, one in found.items()
    ]
    at_once = found["at once"]
    facts = {
        "cells": at_once["presentations"] * at_once["targets"],
        "chunks_there": there,
        "chunks_touched": at_once["touched"],
        "chunks_touched_in_blocks": found["in blocks"]["touched"],
        "inspect_s": found["inspected"]["s"],
        "plan_s": found["planned"]["s"],
        "read_s": at_once["s"],
        "peak_bytes": at_once["peak"],
        "peak_in_blocks_bytes": found["in blocks"]["peak"],
        "response_bytes": at_once["presentations"] * at_once["targets"] * 4,
    }
    report(HEADER, rows, facts)


def _write(folder: Path, n_voxels: int, n_sessions: int) -> None:
    """A subject's folder; voxels are a ball in the grid, as a region is."""
    rng = np.random.default_rng(0)
    places = np.argwhere(np.ones(GRID, bool))
    nearest = np.argsort(((places - np.array(GRID) / 2) ** 2).sum(1), kind="stable")[:n_voxels]
    mask = np.zeros(GRID, np.uint8)
    mask[tuple(places[nearest].T)] = 1
    np.save(folder / "mask.npy", mask)
    chosen = np.argwhere(mask)
    images = np.stack([rng.permutation(73_000)[:10_000] + 1 for _ in range(8)])
    order = rng.integers(1, 10_001, (1, N_SESSIONS * TRIALS))
    design = {"masterordering": order, "subjectim": images, "sharedix": images[:1, :1000]}
    savemat(folder / "nsd_expdesign.mat", design)
    for session in range(1, n_sessions + 1):
        values = rng.integers(-3000, 3000, (n_voxels, TRIALS)).astype(np.int16)
        with h5py.File(folder / f"betas_session{session:02d}.hdf5", "w") as file:
            shape = (TRIALS, *GRID[::-1])
            betas = file.create_dataset("betas", shape, np.int16, chunks=(TRIALS, 1, 1, 1))
            for (x, y, z), column in zip(chosen.tolist(), values, strict=True):
                betas.id.write_direct_chunk((0, z, y, x), column.tobytes())


def _in_a_process(way: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.nsd", way, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measured(way: str, folder: Path) -> dict[str, float]:
    n_touched = 0
    own = Chunks.chunk

    def counted(self: Chunks, corner: tuple[int, ...]) -> Any:
        nonlocal n_touched
        n_touched += 1
        return own(self, corner)

    Chunks.chunk = counted  # type: ignore[method-assign]
    section = NsdSection(
        stimuli="nsd",
        path=SweepPath.of(folder, None),
        subject=1,
        design=SweepPath.of(folder / "nsd_expdesign.mat", None),
        mask=SweepPath.of(folder / "mask.npy", None),
    )
    # The peak starts anew, for imports take more than they keep.
    Path("/proc/self/clear_refs").write_text("5")
    before, start = _resident("VmRSS"), time.perf_counter()
    most_bytes = size_in_bytes(BUDGET)
    if way == "inspected":
        held = section.held("recording 'nsd'", most_bytes, whole=False)
        held.inspection()
        found = held.found
    else:
        found = section.presentations("recording 'nsd'", most_bytes)
    n_targets = found.targets.num_rows
    if way in ("at once", "in blocks"):
        for some in np.array_split(np.arange(n_targets), BLOCKS if way == "in blocks" else 1):
            assert np.isfinite(found.read(some)).all()
    elapsed = time.perf_counter() - start
    peak = _resident("VmHWM") - before
    return {
        "s": elapsed,
        "presentations": len(found.stimulus_ids),
        "targets": n_targets,
        "touched": n_touched,
        "peak": peak,
    }


if __name__ == "__main__":
    main()
