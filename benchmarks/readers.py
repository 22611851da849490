"""Recordings of monkeys at their true size: seconds to inspect, plan and read all, and the most memory.

    python -m benchmarks.readers [--quick]

Files are planted, with the published numbers of images, repetitions and sites (with --quick a tenth of
TVSD's training images, of the assembly's repetitions and of Triple-N's units), and read in a process of
its own each: `peak` is what that took on top of its imports. More than 2 GiB, or more than 2 s for
`inspect`, ends it with status 1.
The rival is h5py alone, which reads the same variables whole and does nothing with them.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from benchmarks.measurement import quick, report
from benchmarks.recordings import _resident
from tests.recordings import netcdf_files, triple_n_files, tvsd_files
from zoo_eval.paths import SweepPath
from zoo_eval.recordings.brainscore import BrainscoreSection
from zoo_eval.recordings.presented import PresentedSection
from zoo_eval.recordings.triple_n import TripleNSection
from zoo_eval.recordings.tvsd import TvsdSection
from zoo_eval.units import size_text

BUDGET_BYTES = 2**31
INSPECT_S = 2
SESSION = triple_n_files.NAME.format(1, triple_n_files.SUBJECTS[1])
# Of each set the file of responses, and how many variables of it are read.
LARGEST = {"tvsd": ("THINGS_normMUA.mat", 2), "brainscore": ("assembly.nc", 1), "triple_n": (SESSION, 1)}  # fmt: skip
HEADER = (
    "set",
    "presentations x targets",
    "inspect s",
    "plan s",
    "read s",
    "peak",
    "h5py s",
    "h5py peak",
)


def main() -> None:
    """Prints each set's figures; the way, the set and its folder are its process's arguments."""
    if len(sys.argv) == 4:
        way, kind, folder = sys.argv[1:]
        print(json.dumps(_measured(way, kind, Path(folder))))
        return
    n = 10 if quick(__doc__ or "") else 1
    rows: list[list[str]] = []
    facts: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        _write(Path(name), n)
        for kind in LARGEST:
            ours, rival = (_in_a_process(way, kind, name) for way in ("ours", "h5py"))
            shape = f"{ours['presentations']:.0f} x {ours['targets']:.0f}"
            ours["inspect_s"] = _in_a_process("inspect", kind, name)["inspect_s"]
            seconds = [f"{ours[one]:.1f}" for one in ("inspect_s", "plan_s", "read_s")]
            peaks = [size_text(int(one["peak"])) for one in (ours, rival)]
            rows.append([kind, shape, *seconds, peaks[0], f"{rival['read_s']:.1f}", peaks[1]])
            facts |= {
                f"{kind}_{key}": ours[key] for key in ("inspect_s", "plan_s", "read_s", "peak")
            }
            facts[f"{kind}_read_ratio"] = ours["read_s"] / rival["read_s"]
    report(HEADER, rows, facts)
    if over := [kind for kind in LARGEST if facts[f"{kind}_peak"] > BUDGET_BYTES]:
        raise SystemExit(f"{', '.join(over)}: more than {size_text(BUDGET_BYTES)} at once")
    if slow := [kind for kind in LARGEST if facts[f"{kind}_inspect_s"] > INSPECT_S]:
        raise SystemExit(f"{', '.join(slow)}: more than {INSPECT_S} s to inspect")


def _write(folder: Path, n: int) -> None:
    train = tvsd_files.names(22_248 // n, "train")
    test = tvsd_files.names(100, "test")
    tvsd_files.images(folder / "things_imgs.mat", train, test)
    tvsd_files.norm_mua(
        folder / "THINGS_normMUA.mat", n_train=len(train), n_test=len(test), n_repetitions=30
    )
    dims = ("presentation", "neuroid", "time_bin")
    # 3,200 images, and as many presentations as were published: 148,480.
    netcdf_files.assembly(
        folder / "assembly.nc", dims=dims, n_stimuli=3_200, n_repetitions=46 // n, n_neuroids=256
    )
    _write_session(folder, n_units=500 // n)
    triple_n_files.design(folder / "nsd_expdesign.mat")


def _write_session(folder: Path, n_units: int, n_ms: int = 450) -> None:
    """One session of Triple-N in one piece, as MATLAB's h5create leaves it, a millisecond at a time."""
    rng = np.random.default_rng(0)
    with h5py.File(folder / SESSION, "w") as file:
        shape = (n_ms, triple_n_files.N_IMAGES, n_units)
        responses = file.create_dataset("response_matrix_img", shape, np.float32)
        for ms in range(n_ms):
            responses[ms] = rng.random(shape[1:], np.float32)


def _section(kind: str, folder: Path) -> PresentedSection:
    if kind == "tvsd":
        return TvsdSection(
            stimuli="things",
            path=SweepPath.of(folder / "THINGS_normMUA.mat", None),
            images=SweepPath.of(folder / "things_imgs.mat", None),
            monkey="F",
        )
    if kind == "triple_n":
        return TripleNSection(
            stimuli="nsd",
            path=SweepPath.of(folder / SESSION, None),
            design=SweepPath.of(folder / "nsd_expdesign.mat", None),
        )
    return BrainscoreSection(stimuli="hvm", path=SweepPath.of(folder / "assembly.nc", None))


def _in_a_process(way: str, kind: str, folder: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.readers", way, kind, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measured(way: str, kind: str, folder: Path) -> Mapping[str, float]:
    section = _section(kind, folder)
    # The peak starts anew, for imports take more than they keep.
    Path("/proc/self/clear_refs").write_text("5")
    before, start = _resident("VmRSS"), time.perf_counter()
    if way == "inspect":
        section.held(f"recording {kind!r}", BUDGET_BYTES, whole=False).inspection()
        return {"inspect_s": time.perf_counter() - start}
    if way == "h5py":
        name, n_variables = LARGEST[kind]
        with h5py.File(folder / name) as file:
            largest = sorted(
                (one for one in file.values() if one.ndim > 1), key=lambda one: -one.size
            )
            held = [one[()] for one in largest[:n_variables]]
        elapsed = time.perf_counter() - start
        return {"read_s": elapsed, "peak": _resident("VmHWM") - before, "arrays": len(held)}
    found = section.presentations(f"recording {kind!r}", BUDGET_BYTES)
    planned = time.perf_counter()
    values = found.read(np.arange(found.targets.num_rows))
    read = time.perf_counter()
    assert np.isfinite(values).all()
    return {
        "plan_s": planned - start,
        "read_s": read - planned,
        "peak": _resident("VmHWM") - before,
        "presentations": len(found.stimulus_ids),
        "targets": found.targets.num_rows,
    }


if __name__ == "__main__":
    main()
