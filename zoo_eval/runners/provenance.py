"""Provenance: what every row can say of the software and machine that made it."""

import platform
import resource
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from zoo_eval import __version__
from zoo_eval.digests import canonical_json

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "scipy", "foolbox", "pillow", "ray")
BUILT_FROM = "revision.txt"


@cache
def library_versions() -> str:
    """Versions of Python and of the libraries that determine numbers, as JSON."""
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return canonical_json(versions)


@cache
def code_revision() -> str:
    """The git commit of this code: of its checkout (with + if it has changes), or of its image.

    The package's version where neither is known.
    """
    return revision_of(Path(__file__))


def revision_of(file: Path) -> str:
    """The revision of the package that a file, zoo_eval/runners/provenance.py, is in.

    An image has no .git: its build writes the commit into `zoo_eval/revision.txt`. A checkout's own
    git is asked only where it knows this file: a package installed into another project's folder is
    not of that project's revision.
    """
    kept = file.parents[1] / BUILT_FROM
    if kept.is_file() and (built_from := kept.read_text().strip()):
        return built_from
    folder = file.parent
    try:
        _git("ls-files", "--error-unmatch", file.name, folder=folder)
        commit = _git("rev-parse", "HEAD", folder=folder)
        changed = _git("status", "--porcelain", "--untracked-files=no", folder=folder)
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return commit + ("+" if changed else "")


def _git(*words: str, folder: Path) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def node() -> str:
    """This machine's host name."""
    return platform.node()


def device_name(device: torch.device) -> str:
    """cpu, or the GPU's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def machine(device: str) -> dict[str, Any]:
    """The columns of a trial that say on what it ran; `device` is cpu, a GPU's name, or none."""
    return {
        "node": node(),
        "device": device,
        "peak_host_bytes": peak_host_bytes(),
        "library_versions": library_versions(),
        "code_revision": code_revision(),
    }


def peak_host_bytes() -> int:
    """Peak resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024
