"""The folder of someone who reads the pages: every file that a snippet names is there, but small."""

import shutil
import tomllib
from pathlib import Path

import foolbox
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torchvision.models import squeezenet1_1

from tests.docs.pages import BLOCKS, ROOT
from tests.importance.shards import jpeg_record, write

# Enough for the 25 components that a fit takes where it is not told otherwise.
N_IMAGES = 80
SIDE_PX = 48
N_REPETITIONS = 4
SWEEPS = sorted((ROOT / "sweeps").glob("*.toml"))


def furnish(folder: Path) -> None:
    """Adds to a folder with a finished sweep what the pages speak of.

    Every sweep of this repository is stood in for by the finished one under its name, and so is
    every store that a page names: what a page does with them is then done within seconds.
    """
    _stores(folder)
    ids = _photos(folder)
    _recordings(folder, ids)
    _maps(folder)
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
    """`it.parquet`, `rdms.npz` and `maps.npz`, of the images in the folder `images`."""
    rows = [
        {"stimulus_id": name, "repetition": repetition, "target_id": target, "response": value}
        for repetition in range(N_REPETITIONS)
        for target in "abcde"
        for name, value in zip(ids, np.random.default_rng(repetition).normal(size=len(ids)))
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "it.parquet")
    points = np.random.default_rng(0).normal(size=(3, len(ids), 5))
    between = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
    np.savez(folder / "rdms.npz", rdm=between, stimulus_ids=np.array(ids))
    maps = np.random.default_rng(1).normal(size=(len(ids), 5, 5, 3))
    np.savez(folder / "maps.npz", maps=maps, image_ids=np.array(ids))


def _maps(folder: Path) -> None:
    shards = folder / "data" / "clickme" / "test"
    shards.mkdir(parents=True)
    write(shards / "test-0.tfrecords", [jpeg_record(i, i % 3) for i in range(5)])


def _weights(folder: Path) -> None:
    """The weights of an own network, and a checkpoint that is named and never opened."""
    torch.save(squeezenet1_1(weights=None).state_dict(), folder / "weights.pth")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "mine.safetensors").touch()
