"""Tiny runs of planted images, in folders of their own."""

from pathlib import Path

import pytest
from torch import nn

from jobs import planted_task
from zoo_eval.harmonizer import run_file
from zoo_eval.harmonizer.course import Material
from zoo_eval.transforms import Transform

RUN = """
[store]
uri = "{store}"
[models]
include = ["local/tiny"]
[[models.local]]
name = "tiny"
factory = "tests.harmonizer.conftest:{factory}"
[stimuli.seen]
kind = "folder"
path = "{data}/seen/images"
labels = "{data}/seen/labels.csv"
[stimuli.plain]
kind = "folder"
path = "{data}/plain/images"
labels = "{data}/plain/labels.csv"
[importance.marks]
kind = "folder"
stimuli = "seen"
path = "{data}/seen/maps"
canvas_px = 32
blur = false
[harmonize]
name = "tiny"
mapped = "seen"
importance = "marks"
unmapped = "plain"
share_mapped = 0.5
lambda = 0.1
levels = 4
{harmonize}
[training]
epochs = 2
batch_size = 8
learning_rate = 0.01
warmup_epochs = 0
{training}
[validation]
stimuli = "seen"
importance = "marks"
[run]
seed = 3
"""


def tiny() -> tuple[nn.Module, Transform]:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.Softplus(), nn.Conv2d(4, 6, 3, 2, 1), nn.Softplus(),
        nn.Flatten(), nn.Linear(6 * 64, 1000),
    )  # fmt: skip
    return net, Transform(32, 32, "bilinear", (0.5,) * 3, (0.25,) * 3)


def normed() -> tuple[nn.Module, Transform]:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.GELU(), nn.Dropout(0.2), nn.Flatten(),
        nn.Linear(4 * 256, 1000),
    )  # fmt: skip
    return net, Transform(32, 32, "bilinear", (0.5,) * 3, (0.25,) * 3)


@pytest.fixture(scope="session")
def planted_data(tmp_path_factory) -> Path:
    """24 images with maps and 16 without, as files."""
    folder = tmp_path_factory.mktemp("planted")
    planted_task.write(folder / "seen", 24, 0)
    planted_task.write(folder / "plain", 16, 1)
    return folder


@pytest.fixture
def written(planted_data, tmp_path):
    """Writes a run file; `changes` fills its places or replaces text."""

    def write(*replaced: tuple[str, str], store: str = "store", **parts: str) -> Path:
        filled = {"factory": "tiny", "harmonize": "", "training": "", **parts}
        text = RUN.format(store=tmp_path / store, data=planted_data, **filled)
        for before, after in replaced:
            assert before in text
            text = text.replace(before, after)
        path = tmp_path / "RUN.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def material(written):
    """What the run file names, read."""

    def read(*replaced: tuple[str, str], **parts: str) -> Material:
        path = written(*replaced, **parts)
        return Material.of(run_file.read(path, path.parent))

    return read
