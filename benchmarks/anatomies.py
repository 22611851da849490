"""Measures every architecture on the meta device: `python -m benchmarks.anatomies`.

Writes `zoo_eval/data/anatomies/`, the tables shipped with the package, anew. With `--profile` the
FLOPs of open_clip's image towers are compared with its published `docs/model_profile.csv`.
"""

import argparse
import csv
import gc
import json
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import open_clip
import timm
import torchvision

from zoo_eval import anatomy, measuring
from zoo_eval.anatomy import SHIPPED, Anatomy, Key
from zoo_eval.errors import Refusal
from zoo_eval.sources import open_clip as open_clip_source
from zoo_eval.sources import registry
from zoo_eval.sources import timm as timm_source
from zoo_eval.sources import torchvision as torchvision_source
from zoo_eval.sources.registry import source_of


def architectures() -> Iterator[str]:
    """Every architecture with each of its pretrained weights, and bare."""
    for source in ("timm", "open_clip", "torchvision"):
        yield from (card.architecture for card in registry.cards([f"{source}/*"]))
    yield from (timm_source.PREFIX + name for name in timm.list_models())
    yield from (open_clip_source.PREFIX + name for name in open_clip.list_models())
    names = torchvision.models.list_models(module=torchvision.models)
    yield from (torchvision_source.PREFIX + name for name in names)


def measured(limit: int | None) -> tuple[dict[str, dict[Key, Anatomy]], dict[str, str]]:
    """Anatomies by library and key, and why the others have none."""
    found: dict[str, dict[Key, Anatomy]] = {}
    refused: dict[str, str] = {}
    n = 0
    for architecture in architectures():
        source = source_of(architecture)
        try:
            variant = source.variant(architecture)
            assert variant is not None, architecture
            input_px = source.transform(architecture, None).input_px
            key = (variant.architecture, input_px, variant.n_classes)
            if key in found.setdefault(variant.library, {}):
                continue
            found[variant.library][key] = measuring.measure(source.outline(architecture), input_px)
        except Refusal as error:
            refused[architecture] = str(error)
            continue
        finally:
            # Each is needed once: kept, their modules' Python objects would fill the memory.
            for some in (timm_source, torchvision_source):
                some.skeleton.cache_clear()
            open_clip_source.outline.cache_clear()
            gc.collect()
        n += 1
        if n % 100 == 0:
            print(f"{n} measured, {len(refused)} refused", flush=True)
        if n == limit:
            break
    return found, refused


def compare(profile: Path) -> tuple[int, int]:
    """How many rows of open_clip's profile our FLOPs are within 5 % of, and how many there are."""
    rows = list(csv.DictReader(profile.open(newline="")))
    within = 0
    for row in rows:
        architecture = open_clip_source.PREFIX + row["model"]
        flops = measuring.of(open_clip_source, architecture, int(row["image_size"])).flops
        ratio = flops / (float(row["image_gflops"]) * 1e9)
        within += abs(ratio - 1) <= 0.05
        if abs(ratio - 1) > 0.05:
            print(f"{row['model']}: {ratio:.3f} of the published FLOPs")
    return within, len(rows)


def main() -> None:
    """Measures, writes, and prints one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="30 architectures; writes nothing")
    parser.add_argument("--profile", type=Path, help="open_clip's docs/model_profile.csv")
    options = parser.parse_args()
    clock = time.perf_counter()
    found, refused = measured(limit=30 if options.quick else None)
    for architecture, reason in refused.items():
        print(f"refused: {architecture}: {reason}")
    if not options.quick:
        SHIPPED.mkdir(parents=True, exist_ok=True)
        for library, rows in found.items():
            for old in SHIPPED.glob(f"{library.rpartition('-')[0]}-*.csv"):
                old.unlink()
            anatomy.write(SHIPPED / f"{library}.csv", rows)
    result = {
        "measured": {library: len(rows) for library, rows in found.items()},
        "refused": len(refused),
        "seconds": round(time.perf_counter() - clock, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
    if options.profile:
        within, n = compare(options.profile)
        result |= {"profile_rows": n, "profile_within_5_percent": within}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
