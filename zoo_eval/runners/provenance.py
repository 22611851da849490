"""Provenance: what every row can say of the software and machine that made it."""

import platform
import resource
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from zoo_eval import __version__
from zoo_eval.digests import canonical_json

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "scipy", "foolbox", "pillow", "ray")


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
    """The git commit of this checkout (with + if it has changes), else the package's version."""
    folder = Path(__file__).parent
    try:
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


def peak_host_bytes() -> int:
    """Peak resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024
