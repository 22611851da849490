"""Measures every architecture on the meta device: `python -m benchmarks.anatomies`.

Writes `zoo_eval/networks/anatomies/`, the tables shipped with the package, anew; with `--layers`
only which layers there are, in half the time. With `--profile` the FLOPs of open_clip's image towers are compared with its published `docs/model_profile.csv`.
"""

import argparse
import csv
import gc
import json
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import open_clip
import timm
import torchvision

from zoo_eval.errors import Refusal
from zoo_eval.models.blueprint import anatomy_of
from zoo_eval.networks import anatomy, measuring
from zoo_eval.networks.anatomy import SHIPPED, Anatomy, Key, Size, shipped
from zoo_eval.networks.tracing import trace
from zoo_eval.sources import open_clip as open_clip_source
from zoo_eval.sources import registry
from zoo_eval.sources import timm as timm_source
from zoo_eval.sources import torchvision as torchvision_source
from zoo_eval.sources.registry import source_of

PER_PROCESS = 100


def architectures() -> Iterator[str]:
    """Every architecture with each of its pretrained weights, and bare."""
    for source in ("timm", "open_clip", "torchvision"):
        yield from (card.architecture for card in registry.cards([f"{source}/*"]))
    yield from (timm_source.PREFIX + name for name in timm.list_models())
    yield from (open_clip_source.PREFIX + name for name in open_clip.list_models())
    names = torchvision.models.list_models(module=torchvision.models)
    yield from (torchvision_source.PREFIX + name for name in names)


@dataclass(frozen=True)
class Measured:
    """What a child process says of one architecture, and the most memory it had until then."""

    outcome: Anatomy | str
    peak_kib: int


def wanted() -> tuple[dict[str, dict[Key, str]], dict[str, str]]:
    """One architecture for each library and key, and why the others have none."""
    found: dict[str, dict[Key, str]] = {}
    refused: dict[str, str] = {}
    for architecture in architectures():
        source = source_of(architecture)
        try:
            variant = source.variant(architecture)
            assert variant is not None, architecture
            size = source.transform(architecture, None).size
        except Refusal as error:
            refused[architecture] = str(error)
            continue
        key = (variant.architecture, size, variant.n_classes)
        found.setdefault(variant.library, {}).setdefault(key, architecture)
    return found, refused


def measured_in_child(architecture: str, size: Size, known: Anatomy | None) -> Measured:
    """Builds and runs one network on the meta device; of a known one for its layers alone."""
    source = source_of(architecture)
    outcome: Anatomy | str
    try:
        net = source.outline(architecture)
        if known is None:
            outcome = measuring.measure(net, size)
        else:
            outcome = replace(known, **measuring.layers_of(net, trace(net, size)))
    except Refusal as error:
        outcome = str(error)
    # Each is needed once: kept, their modules' Python objects would fill the memory.
    for some in (timm_source, torchvision_source):
        some.skeleton.cache_clear()
    open_clip_source.outline.cache_clear()
    gc.collect()
    return Measured(outcome, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def measured(
    todo: dict[str, dict[Key, str]],
    refused: dict[str, str],
    n_processes: int,
    known: dict[str, dict[Key, Anatomy]],
) -> tuple[dict[str, dict[Key, Anatomy]], int]:
    """Anatomies by library and key, and the peak memory of the process that had most, in KiB.

    Of those that are `known` only the layers are measured. What cannot be built or run goes to `refused`.
    """
    found: dict[str, dict[Key, Anatomy]] = {library: {} for library in todo}
    jobs = [(library, key, name) for library, keys in todo.items() for key, name in keys.items()]
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # PyTorch keeps a megabyte of every network's shapes: processes end before that adds up. A
    # pool of its own for each part, because one that replaces its processes can wait forever
    # (python/cpython#115634).
    for start in range(0, len(jobs), PER_PROCESS * n_processes):
        part = jobs[start : start + PER_PROCESS * n_processes]
        with ProcessPoolExecutor(n_processes, mp_context=get_context("spawn")) as pool:
            names, sizes = [name for *_, name in part], [key[1] for _, key, _ in part]
            costs = [known.get(library, {}).get(key) for library, key, _ in part]
            results = list(pool.map(measured_in_child, names, sizes, costs))
        for (library, key, name), result in zip(part, results, strict=True):
            peak_kib = max(peak_kib, result.peak_kib)
            if isinstance(result.outcome, Anatomy):
                found[library][key] = result.outcome
            else:
                refused[name] = result.outcome
        print(f"{start + len(part)} of {len(jobs)} measured, {len(refused)} refused", flush=True)
    return found, peak_kib


def compare(profile: Path) -> tuple[int, int]:
    """How many rows of open_clip's profile our FLOPs are within 5 % of, and how many there are."""
    rows = list(csv.DictReader(profile.open(newline="")))
    within = 0
    for row in rows:
        architecture = open_clip_source.PREFIX + row["model"]
        side = int(row["image_size"])
        flops = anatomy_of(open_clip_source, architecture, (side, side)).flops
        ratio = flops / (float(row["image_gflops"]) * 1e9)
        within += abs(ratio - 1) <= 0.05
        if abs(ratio - 1) > 0.05:
            print(f"{row['model']}: {ratio:.3f} of the published FLOPs")
    return within, len(rows)


def main() -> None:
    """Measures, writes, and prints one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="30 architectures; writes nothing")
    parser.add_argument(
        "--missing", action="store_true", help="only those that the shipped tables lack"
    )
    parser.add_argument(
        "--layers", action="store_true", help="keep what the shipped tables say but the layers"
    )
    parser.add_argument("--processes", type=int, default=1, help="at a time; each takes 1 GiB")
    parser.add_argument("--profile", type=Path, help="open_clip's docs/model_profile.csv")
    options = parser.parse_args()
    clock = time.perf_counter()
    todo, refused = wanted()
    known: dict[str, dict[Key, Anatomy]] = {library: {} for library in todo}
    if options.missing:
        known = {library: shipped(library) for library in todo}
        todo = {
            library: {key: name for key, name in keys.items() if key not in known[library]}
            for library, keys in todo.items()
        }
    if options.quick:
        todo = {library: dict(islice(keys.items(), 10)) for library, keys in todo.items()}
    costs = {library: shipped(library) for library in todo} if options.layers else {}
    found, peak_kib = measured(todo, refused, options.processes, costs)
    for architecture, reason in refused.items():
        print(f"refused: {architecture}: {reason}")
    if not options.quick:
        SHIPPED.mkdir(parents=True, exist_ok=True)
        for library, rows in found.items():
            for old in SHIPPED.glob(f"{library.rpartition('-')[0]}-*.csv"):
                old.unlink()
            anatomy.write(SHIPPED / f"{library}.csv", known[library] | rows)
    result = {
        "measured": {library: len(rows) for library, rows in found.items()},
        "refused": len(refused),
        "seconds": round(time.perf_counter() - clock, 1),
        "peak_gib": round(peak_kib / 2**20, 2),
    }
    if options.profile:
        within, n = compare(options.profile)
        result |= {"profile_rows": n, "profile_within_5_percent": within}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
