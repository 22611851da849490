"""The folder of someone who reads the pages: every file that a snippet names is there, but small."""

import io
import shutil
import tarfile
import tomllib
import zipfile
from pathlib import Path

import foolbox
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from scipy.io import savemat
from torchvision.models import squeezenet1_1

from tests.docs import data_set_files
from tests.docs.pages import BLOCKS, ROOT
from tests.importance.shards import jpeg_record, write
from tests.runners.reverse_sweep import swept
from tests.stimuli.planted_images import encoded, pixels

# Enough for the 25 components that a fit takes where it is not told otherwise.
N_IMAGES = 80
SIDE_PX = 48
N_REPETITIONS = 4
SWEEPS = sorted((ROOT / "sweeps").glob("*.toml"))


def furnish(folder: Path) -> None:
    """Adds to a folder with a finished sweep what the pages speak of; a sweep of both directions is added.

    Every sweep of this repository is stood in for by the finished one under its name, and so is
    every store that a page names: what a page does with them is then done within seconds.
    """
    swept(folder, "local", folder / "results" / "demo")
    _stores(folder)
    ids = _photos(folder)
    _recordings(folder, ids)
    _maps(folder)
    _published_stimuli(folder)
    data_set_files.furnish(folder)
    _weights(folder)
    shutil.copytree(ROOT / "zoo", folder / "zoo")


def _stores(folder: Path) -> None:
    finished = folder / "sweeps" / "demo.toml"
    tiny = finished.read_text()
    for file in SWEEPS:
        store = tomllib.loads(file.read_text())["store"]["uri"]
        (folder / "sweeps" / file.name).write_text(tiny.replace("results/demo", store))
        _store(folder, store)
    for block in BLOCKS:
        if block.language == "toml" and "store" in (content := tomllib.loads(block.text)):
            _store(folder, content["store"]["uri"])


def _store(folder: Path, uri: str) -> None:
    if not (folder / uri).exists():
        shutil.copytree(folder / "results" / "demo", folder / uri)


def _photos(folder: Path) -> list[str]:
    """A folder `images` of crops of labelled photos, and its `labels.csv`; the images' names."""
    (folder / "images").mkdir()
    photos = sorted((Path(foolbox.__file__).parent / "data").glob("imagenet_*.jpg"))
    names, lines = [], ["image,label"]
    for number in range(N_IMAGES):
        photo = photos[number % len(photos)]
        corner = number // len(photos) * SIDE_PX
        crop = Image.open(photo).crop((corner, corner, corner + SIDE_PX, corner + SIDE_PX))
        names.append(f"{number}.png")
        crop.save(folder / "images" / names[-1])
        lines.append(f"{names[-1]},{photo.stem.rpartition('_')[2]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return names


def _recordings(folder: Path, ids: list[str]) -> None:
    """`it.parquet` and what is beside it, `rdms.npz` and `maps.npz`, of the images in the folder `images`."""
    rows = [
        {"stimulus_id": name, "repetition": repetition, "target_id": target, "response": value}
        for repetition in range(N_REPETITIONS)
        for target in "abcde"
        for name, value in zip(ids, np.random.default_rng(repetition).normal(size=len(ids)))
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "it.parquet")
    regions, reliability = ["IT", "V4", "IT", "IT", "V4"], [0.5, 0.9, 0.2, 0.8, 0.4]
    known = {"target_id": list("abcde"), "region": regions, "reliability": reliability}
    pq.write_table(pa.table(known), folder / "targets.parquet")
    shown = [(name, repetition) for repetition in range(N_REPETITIONS) for name in ids]
    table = {"stimulus_id": [name for name, _ in shown], "repetition": [one for _, one in shown]}
    table["session"] = [f"day {1 + repetition // 2}" for _, repetition in shown]
    table["split_held_out"] = ["test" if name.endswith("3.png") else "train" for name, _ in shown]
    pq.write_table(pa.table(table), folder / "presentations.parquet")
    points = np.random.default_rng(0).normal(size=(3, len(ids), 5))
    between = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
    np.savez(folder / "rdms.npz", rdm=between, stimulus_ids=np.array(ids))
    maps = np.random.default_rng(1).normal(size=(len(ids), 5, 5, 3))
    np.savez(folder / "maps.npz", maps=maps, image_ids=np.array(ids))


def _maps(folder: Path) -> None:
    shards = folder / "data" / "clickme" / "test"
    shards.mkdir(parents=True)
    write(shards / "test-0.tfrecords", [jpeg_record(i, i % 3) for i in range(5)])


def _published_stimuli(folder: Path) -> None:
    """Stimuli in the formats in which they are published."""
    files = {f"{number}.jpg": encoded(image) for number, image in enumerate(pixels(4))}
    _brainscore(folder, files)
    _bricks(folder)
    _laion(folder, files)
    _things(folder, files)
    (folder / "shards").mkdir()
    for number, names in enumerate((["0", "1"], ["2", "3"])):
        with tarfile.open(folder / "shards" / f"val-{number:04d}.tar", "w") as archive:
            for name in names:
                for member, content in (
                    (f"{name}.jpg", files[f"{name}.jpg"]),
                    (f"{name}.cls", b"7"),
                ):
                    info = tarfile.TarInfo(member)
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
    images = [{"bytes": content, "path": name} for name, content in files.items()]
    table = pa.table({"image": images, "label": range(4)})
    pq.write_table(table, folder / "val-00000-of-00001.parquet")


def _brainscore(folder: Path, files: dict[str, bytes]) -> None:
    path = folder / "image_dicarlo_hvm-public.csv"
    lines = [f"hvm-{number},car,{name}" for number, name in enumerate(files)]
    path.write_text("\n".join(["image_id,object_name,filename", *lines]) + "\n")
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def _bricks(folder: Path) -> None:
    synthetic = ("nsdsynthetic_stimuli", "nsdsynthetic_colorstimuli_subj01")
    for name in ("nsd_stimuli", *synthetic):
        with h5py.File(folder / f"{name}.hdf5", "w") as file:
            file["imgBrick"] = pixels(4)
    design = {"subjectim": np.tile([1, 3], (8, 1)), "masterordering": [[2, 1]], "sharedix": [[3]]}
    savemat(folder / "nsd_expdesign.mat", design)


def _laion(folder: Path, files: dict[str, bytes]) -> None:
    with h5py.File(folder / "task-images_stimuli.h5", "w") as file:
        images = file.create_dataset("images", (len(files),), h5py.vlen_dtype(np.uint8))
        for number, content in enumerate(files.values()):
            images[number] = np.frombuffer(content, np.uint8)
    lines = [f"{name},sub-01,unique" for name in files]
    header = "image_name,participant,unique_or_shared"
    (folder / "task-images_metadata.csv").write_text("\n".join([header, *lines]) + "\n")


def _things(folder: Path, files: dict[str, bytes]) -> None:
    inside = folder / "THINGS" / "object_images" / "car"
    inside.mkdir(parents=True)
    for name, content in files.items():
        (inside / name).write_bytes(content)
    kind = [("class", "O"), ("things_path", "O")]
    parts = {"train_imgs": ["0.jpg", "1.jpg"], "test_imgs": ["2.jpg"]}
    lists = {
        part: np.array([("car", f"car\\{name}") for name in names], dtype=kind)
        for part, names in parts.items()
    }
    savemat(folder / "things_imgs.mat", lists)


def _weights(folder: Path) -> None:
    """The weights of an own network, and checkpoints that are named and never opened."""
    torch.save(squeezenet1_1(weights=None).state_dict(), folder / "weights.pth")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "mine.safetensors").touch()
    (folder / "vgg16_harmonized.h5").touch()
