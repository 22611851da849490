"""Runs the tests whose numbers depend on a processor's kernels under each setting: `make kernels`.

    python -m tests.kernels [--quick] [SETTING ...]

PyTorch, oneDNN, MKL and OpenBLAS choose their code by what the processor can do, which their
environment variables lower: a processor stands in for the older ones. Prints a line as soon as a
setting is done, and ends with exit code 1 where a test failed.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import torch

ROOT = Path(__file__).parent.parent
NUMBERS = ("numerics", "representations", "readouts", "evaluations", "models", "networks",
           "importance", "test_fidelity.py", "test_transforms.py")  # fmt: skip
# They measure memory, of which kernels change nothing.
NOT_NUMBERS = ("readouts/test_readout.py", "models/test_allocator.py")
# In a minute or two: mathematics without attacks, and the setting farthest from any processor's own.
QUICK = ("numerics", "representations"), ("numerics/attacks",), ("the oldest of all",)
SETTINGS = {
    "PyTorch without vectors": {"ATEN_CPU_CAPABILITY": "default"},
    "PyTorch with AVX2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "PyTorch with AVX-512": {"ATEN_CPU_CAPABILITY": "avx512"},
    "oneDNN with SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "oneDNN with AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "oneDNN as it is": {"ONEDNN_MAX_CPU_ISA": "DEFAULT"},
    "no oneDNN": {"ZOO_EVAL_TESTS_ONEDNN": "0"},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "two threads": {"OMP_NUM_THREADS": "2"},
    "the oldest of all": {
        "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE", "OPENBLAS_CORETYPE": "Prescott",
    },
}  # fmt: skip
CAPABILITIES = ("default", "avx2", "avx512")
LINE = "{:24} {:>6} {:>6} {:>7} {:>8}  {}"


class Counts(NamedTuple):
    """Tests of one run, and the names of those that failed."""

    passed: int
    skipped: int
    seconds: float
    failed: tuple[str, ...]


def main(arguments: list[str]) -> int:
    """Runs some settings, or all that this processor has, and prints the table; the exit code."""
    quick = "--quick" in arguments
    folders, ignored, settings = QUICK if quick else (NUMBERS, NOT_NUMBERS, tuple(SETTINGS))
    chosen = [name for name in arguments if name != "--quick"] or settings
    print(LINE.format("setting", "passed", "failed", "skipped", "seconds", "variables"), flush=True)
    everything_passed = True
    for name in chosen:
        variables = SETTINGS[name]
        if not _has(variables):
            print(LINE.format(name, *"----", "this processor has no such instructions"))
            continue
        found = run(variables, folders, ignored)
        everything_passed &= bool(found.passed) and not found.failed
        said = " ".join(f"{key}={value}" for key, value in variables.items())
        numbers = found.passed, len(found.failed), found.skipped, round(found.seconds)
        print(LINE.format(name, *numbers, said), *found.failed, sep="\n    failed: ", flush=True)
    return 0 if everything_passed else 1


def run(variables: dict[str, str], folders: tuple[str, ...], ignored: tuple[str, ...]) -> Counts:
    """One run of some tests in a process of its own, with these environment variables."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-m", "not ray and not browser and not gpu",
             f"--junitxml={report}", *(f"--ignore=tests/{name}" for name in ignored),
             *(f"tests/{name}" for name in folders)],
            cwd=ROOT, env=os.environ | variables, stdout=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        return counts(report)


def counts(report: Path) -> Counts:
    """What a JUnit report of pytest says; no test at all where there is none."""
    if not report.exists():
        return Counts(0, 0, 0.0, ("the run did not end",))
    (suite,) = ElementTree.parse(report).getroot()
    failed = tuple(
        f"{case.get('classname')}::{case.get('name')}"
        for case in suite
        if case.find("failure") is not None or case.find("error") is not None
    )
    n_tests, n_skipped = (int(suite.get(key, 0)) for key in ("tests", "skipped"))
    passed = n_tests - n_skipped - len(failed)
    return Counts(passed, n_skipped, float(suite.get("time", 0)), failed)


def _has(variables: dict[str, str]) -> bool:
    """Whether this processor can do what PyTorch is asked to use."""
    asked = variables.get("ATEN_CPU_CAPABILITY", "default")
    own = torch.backends.cpu.get_cpu_capability().lower()
    return own not in CAPABILITIES or CAPABILITIES.index(asked) <= CAPABILITIES.index(own)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
