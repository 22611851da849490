"""A large folder of photos: plans, memory, and accuracy beside decoding alone and a plain DataLoader.

    python -m benchmarks.stimuli [--quick]

Photos are planted JPEGs of 500 x 375 px. Each line is a process of its own on all cores. The loader is
PyTorch's, with a worker for each core, timm's own evaluation transform and the same network in the same
batches; `accuracy` decodes, checks each photo against the plan, resizes, keeps the view and predicts.
Peaks are of the process; growth is what 64 photos of the same sweep did not take already.
"""

import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torch.utils.data import DataLoader, Dataset

from benchmarks.measurement import quick, report
from zoo_eval.commands.sweep import RunOptions, SweepOptions, run_sweep, show_plan
from zoo_eval.models.open_model import LARGEST_ON_CPU
from zoo_eval.queries.connection import connect
from zoo_eval.stimuli.ahead import Ahead, n_threads
from zoo_eval.stimuli.folder import Files, read_folder
from zoo_eval.store import Store

N_PHOTOS, N_QUICK, N_FEW = 50_000, 1_500, 64
HEIGHT, WIDTH = 375, 500
# Both see 224 px of 256, bicubic.
FIRST, SECOND = "mobilenetv3_small_050", "mobilenetv3_small_075"
SWEEP = """
[store]
uri = "{store}"
[models]
include = ["timm/{model}*"]
weights = "untrained"
[stimuli.photos]
kind = "folder"
path = "{photos}"
label_pattern = '_(\\d+)'
{limit}
[[evaluations]]
kind = "accuracy"
stimuli = "photos"
"""


def plant(folder: Path, n: int) -> None:
    """Writes `n` photos of coloured blobs with a class in their name."""

    def write(number: int) -> None:
        rng = np.random.default_rng(number)
        small = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        photo = small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        content = io.BytesIO()
        photo.save(content, "JPEG", quality=92)
        (folder / f"{number:06d}_{number % 1000}.jpg").write_bytes(content.getvalue())

    with ThreadPoolExecutor(n_threads()) as pool:
        for _ in pool.map(write, range(n)):
            pass


def peak_bytes() -> int:
    """The most memory that this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def planned(sweep: str) -> dict[str, float]:
    """Seconds and peak of a plan."""
    start = time.perf_counter()
    show_plan(SweepOptions(Path(sweep), Path(sweep).parent))
    return {"seconds": time.perf_counter() - start, "peak": peak_bytes()}


def swept(few: str, whole: str) -> dict[str, float]:
    """Of both models' accuracy: seconds, photos decoded, and what many photos take above a few."""
    n_decoded = 0
    real = Files.decode

    def counting(files: Files, number: int) -> Any:
        nonlocal n_decoded
        n_decoded += 1
        return real(files, number)

    Files.decode = counting  # type: ignore[method-assign,assignment]  # only counted
    found: dict[str, float] = {}
    run_sweep(_read(few), RunOptions(runner="local"), lambda _: None)
    before = peak_bytes()
    sweep = _read(whole)
    for which, model in (("first", FIRST), ("second", SECOND)):
        n_decoded = 0
        run_sweep(sweep, RunOptions(models=f"timm/{model}*", runner="local"), lambda _: None)
        found[f"{which} decoded"] = n_decoded
        query = f"SELECT seconds FROM trials WHERE evaluation = 'accuracy' AND model LIKE 'timm/{model}%'"
        rows = connect(Store(sweep.store.uri.address)).rows(query)
        found[which] = rows[0]["seconds"]
    return {**found, "peak": peak_bytes(), "growth": peak_bytes() - before}


def _read(sweep: str) -> Any:
    return SweepOptions(Path(sweep), Path(sweep).parent).read()


def decoded(folder: str) -> dict[str, float]:
    """Seconds of decoding alone, by as many threads."""
    images = read_folder("photos", Path(folder)).images
    start = time.perf_counter()
    photos = Ahead(images.__getitem__, len(images), 4 * n_threads())
    for number in range(len(images)):
        _ = photos[[number]]
    return {"seconds": time.perf_counter() - start, "peak": peak_bytes()}


class Photos(Dataset[torch.Tensor]):
    """What anyone writes: open, convert, transform."""

    def __init__(self, folder: Path, transform: Any) -> None:
        self.paths = sorted(folder.glob("*.jpg"))
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> torch.Tensor:
        seen: torch.Tensor = self.transform(Image.open(self.paths[number]).convert("RGB"))
        return seen


@torch.no_grad()
def loaded(folder: str) -> dict[str, float]:
    """Seconds of a loop over PyTorch's loader with the first model."""
    net = timm.create_model(FIRST, pretrained=False).eval()
    config = resolve_data_config({}, model=net)  # type: ignore[no-untyped-call]  # timm
    transform = create_transform(**config)
    start = time.perf_counter()
    loader = DataLoader(
        Photos(Path(folder), transform), batch_size=LARGEST_ON_CPU, num_workers=n_threads()
    )
    predicted = [net(batch).argmax(1) for batch in loader]
    assert len(torch.cat(predicted)) == len(loader.dataset)  # type: ignore[arg-type]  # it has a length
    return {"seconds": time.perf_counter() - start, "peak": peak_bytes()}


def _in_a_process(stage: str, *given: str) -> dict[str, float]:
    """What a stage measures, in a process of its own with the caches of this benchmark."""
    code = f"import json; from benchmarks import stimuli; print(json.dumps(stimuli.{stage}(*{given!r})))"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(folder: Path, n: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Each stage and what it measured."""
    photos = folder / "photos"
    photos.mkdir()
    os.environ["ZOO_EVAL_CACHE"] = str(folder / "cache")
    plant(photos, n)
    for name, limit in (("few", f"limit = {N_FEW}"), ("whole", "")):
        text = SWEEP.format(
            store=folder / name, photos=photos, limit=limit, model="mobilenetv3_small_0[57][05]"
        )
        (folder / f"{name}.toml").write_text(text)
    few, whole = (str(folder / f"{name}.toml") for name in ("few", "whole"))
    yield "first plan", _in_a_process("planned", whole)
    yield "second plan", _in_a_process("planned", whole)
    yield "decoding alone", _in_a_process("decoded", str(photos))
    yield "plain DataLoader loop", _in_a_process("loaded", str(photos))
    yield "accuracy", _in_a_process("swept", few, whole)


def main() -> None:
    """Prints the table and one JSON object."""
    n = N_QUICK if quick(__doc__ or "") else N_PHOTOS
    with tempfile.TemporaryDirectory() as folder:
        found = dict(measured(Path(folder), n))
    run = found.pop("accuracy")
    rows: list[list[object]] = [
        [
            name,
            f"{one['seconds']:.1f}",
            f"{1e3 * one['seconds'] / n:.2f}",
            f"{one['peak'] / 2**20:.0f}",
        ]
        for name, one in found.items()
    ]
    for which in ("first", "second"):
        named = f"accuracy, {which} model ({run[f'{which} decoded']:.0f} photos decoded)"
        rows.append(
            [
                named,
                f"{run[which]:.1f}",
                f"{1e3 * run[which] / n:.2f}",
                f"{run['peak'] / 2**20:.0f}",
            ]
        )
    report(
        [f"{n} photos", "seconds", "ms a photo", "peak MiB"],
        rows,
        {
            "n_photos": n,
            "overhead_ratio": run["first"] / found["plain DataLoader loop"]["seconds"],
            "to_decoding_alone": run["first"] / found["decoding alone"]["seconds"],
            "first_plan_s": found["first plan"]["seconds"],
            "second_plan_s": found["second plan"]["seconds"],
            "plan_peak_mib": found["first plan"]["peak"] / 2**20,
            "growth_mib": run["growth"] / 2**20,
            "decoded_for_second_model": run["second decoded"],
        },
    )


if __name__ == "__main__":
    main()
