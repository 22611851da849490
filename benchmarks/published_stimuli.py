"""Stimuli as published, at the size of the data sets: seconds to read what is there, and images a second.

    python -m benchmarks.published_stimuli [--quick]

Each set has as many images as the published one, written small by this program: JPEG files of 8 x 8
pixels, and bricks of NSD's true size of which only the images that are decoded are written. `read` is
everything before the first image; `in order` decodes some images one after another, by one thread. Each
format is read in a process of its own; `peak` is what that took on top of its imports.
"""

import io
import json
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from scipy.io import savemat

from benchmarks.measurement import quick, report
from zoo_eval.stimuli.brainscore import BrainScoreSection
from zoo_eval.stimuli.laion import LaionSection
from zoo_eval.stimuli.nsd import NsdSection
from zoo_eval.stimuli.parquet import ParquetImagesSection
from zoo_eval.stimuli.stimulus_set import StimuliSection
from zoo_eval.stimuli.things import ThingsSection
from zoo_eval.stimuli.webdataset import WebDatasetSection
from zoo_eval.units import size_text

N = {"brainscore": 3200, "nsd": 73000, "laion": 25052, "things": 26107, "webdataset": 50000, "parquet": 50000}  # fmt: skip
N_USED, PER_SHARD, N_DECODED, PART = 22248, 1000, 500, 20
NSD_SHAPE = (425, 425, 3)
HEADER = ("format", "images", "read s", "in order images/s", "peak")


class Alone:
    """Sweepmates of a section that asks for none but this."""

    memory_budget_bytes = 2**31


def main() -> None:
    """Prints each format's figures; the format, its folder and part are the arguments of its process."""
    if len(sys.argv) == 3 and sys.argv[1] in N:
        print(json.dumps(_measured(sys.argv[1], Path(sys.argv[2]))))
        return
    part = PART if quick(__doc__ or "") else 1
    found = {}
    for name in N:
        with tempfile.TemporaryDirectory() as folder:
            WRITERS[name](Path(folder), N[name] // part)
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.published_stimuli", name, folder],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            found[name] = json.loads(done.stdout.splitlines()[-1])
    report(HEADER, [_row(name, one) for name, one in found.items()], found)


def _row(name: str, one: Mapping[str, float]) -> list[object]:
    return [name, int(one["n"]), f"{one['read_s']:.2f}", f"{one['images_per_s']:.0f}", size_text(int(one["peak"]))]  # fmt: skip


def _measured(name: str, folder: Path) -> dict[str, float]:
    section = SECTIONS[name](folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    stimuli = section.read("set", Alone())  # type: ignore[arg-type]
    read_s = time.perf_counter() - start
    n = min(N_DECODED, len(stimuli))
    start = time.perf_counter()
    for number in range(n):
        _ = stimuli.images[number]
    decode_s = time.perf_counter() - start
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    return {"n": len(stimuli), "read_s": read_s, "images_per_s": n / decode_s, "peak": peak}


def _jpeg(number: int) -> bytes:
    image = Image.new("RGB", (8, 8), (number % 256, number // 256 % 256, 128))
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def _brainscore(folder: Path, n: int) -> None:
    lines = [f"{one},id{one},face,{one:05d}.jpg" for one in range(n)]
    (folder / "set.csv").write_text("\n".join(["id,image_id,object_name,filename", *lines]))
    with zipfile.ZipFile(folder / "set.zip", "w") as archive:
        for one in range(n):
            archive.writestr(f"{one:05d}.jpg", _jpeg(one))


def _nsd(folder: Path, n: int) -> None:
    rng = np.random.default_rng(0)
    images = np.array([rng.permutation(n)[:1000] + 1 for _ in range(8)])
    trials = rng.permutation(np.repeat(np.arange(1, 1001), 3))[None]
    savemat(folder / "design.mat", {"subjectim": images, "masterordering": trials, "sharedix": images[:1]})  # fmt: skip
    with h5py.File(folder / "nsd.hdf5", "w") as file:
        brick = file.create_dataset("imgBrick", (n, *NSD_SHAPE), np.uint8, chunks=(1, *NSD_SHAPE))
        for number in sorted(images[0].tolist())[:N_DECODED]:
            brick[number - 1] = number % 256


def _laion(folder: Path, n: int) -> None:
    with h5py.File(folder / "s.h5", "w") as file:
        images = file.create_dataset("images", (n,), h5py.vlen_dtype(np.uint8))
        for one in range(n):
            images[one] = np.frombuffer(_jpeg(one), np.uint8)
    lines = [f"unique_{one}.jpg,sub-01,unique" for one in range(n)]
    (folder / "m.csv").write_text("\n".join(["image_name,participant,unique_or_shared", *lines]))


def _things(folder: Path, n: int) -> None:
    names = [f"object{one // 14:04d}/object{one // 14:04d}_{one % 14:02d}b.jpg" for one in range(n)]
    for one, name in enumerate(names):
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_jpeg(one))
    used = names[: n * N_USED // N["things"]]
    with h5py.File(folder / "things_imgs.mat", "w") as file:
        for part, some in (("train", used), ("test", names[:100])):
            references = []
            for one, name in enumerate(some):
                codes = np.frombuffer(name.replace("/", "\\").encode("utf-16-le"), np.uint16)
                item = file.create_dataset(f"#refs#/{part}{one}", data=codes[:, None])
                item.attrs["MATLAB_class"] = np.bytes_("char")
                references.append([item.ref])
            file.create_dataset(f"{part}_imgs/things_path", data=references, dtype=h5py.ref_dtype)


def _webdataset(folder: Path, n: int) -> None:
    for start in range(0, n, PER_SHARD):
        with tarfile.open(folder / f"val-{start // PER_SHARD:04d}.tar", "w") as archive:
            for one in range(start, min(start + PER_SHARD, n)):
                for suffix, data in (("jpg", _jpeg(one)), ("cls", b"7"), ("json", b"{}")):
                    info = tarfile.TarInfo(f"{one:06d}.{suffix}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))


def _parquet(folder: Path, n: int) -> None:
    images = [{"bytes": _jpeg(one), "path": f"{one}.jpg"} for one in range(n)]
    pq.write_table(pa.table({"image": images}), folder / "val.parquet", row_group_size=PER_SHARD)


WRITERS: Mapping[str, Callable[[Path, int], None]] = {
    "brainscore": _brainscore, "nsd": _nsd, "laion": _laion, "things": _things,
    "webdataset": _webdataset, "parquet": _parquet,
}  # fmt: skip
SECTIONS: Mapping[str, Callable[[Path], StimuliSection]] = {
    "brainscore": lambda at: BrainScoreSection.model_validate({"path": at / "set.csv", "images": at / "set.zip"}),
    "nsd": lambda at: NsdSection.model_validate({"path": at / "nsd.hdf5", "design": at / "design.mat", "subject": 1}),
    "laion": lambda at: LaionSection.model_validate({"path": at / "s.h5", "metadata": at / "m.csv"}),
    "things": lambda at: ThingsSection.model_validate({"path": at / "images", "images": at / "things_imgs.mat", "part": "train"}),
    "webdataset": lambda at: WebDatasetSection.model_validate({"path": at}),
    "parquet": lambda at: ParquetImagesSection.model_validate({"path": at / "val.parquet"}),
}  # fmt: skip

if __name__ == "__main__":
    main()
