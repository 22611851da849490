"""Shared by all tests: no network, no Ray of anybody else, and one tiny sweep of real parts."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import pytest

from zoo_eval.runners import own_ray

# Short, because socket paths below it must stay under 107 bytes.
TEMPORARY = Path(tempfile.mkdtemp(prefix="zoot", dir="/tmp"))
atexit.register(shutil.rmtree, TEMPORARY, ignore_errors=True)
os.environ["RAY_TMPDIR"] = str(TEMPORARY)
# Views that another version of this code made are none of it.
os.environ["ZOO_EVAL_VIEWS"] = str(TEMPORARY / "views")
# Stated before anything imports Ray: its defaults differ between its commands. However a test starts
# a Ray, it is reached from this machine alone, and with a token.
os.environ.update(
    own_ray.settings(TEMPORARY),
    RAY_USAGE_STATS_ENABLED="0",
    RAY_DEDUP_LOGS="0",
    RAY_ENABLE_UV_RUN_RUNTIME_ENV="0",
    HF_HUB_DISABLE_TELEMETRY="1",
)
os.environ.pop("RAY_ADDRESS", None)

# A busy machine is no failure: no example has to be done in a given time.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
# Most arrays here are small: threads would wait for each other, and for whoever else is at work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TINY = """
[store]
uri = "{store}"
[models]
include = ["local/*"]
[[models.local]]
name = "efficientnet"
architecture = "timm/test_efficientnet"
weights = "untrained"
[[models.local]]
name = "vit"
architecture = "timm/test_vit"
weights = "untrained"
[stimuli.photos]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_0*.jpg"]
label_pattern = 'imagenet_\\d+_(\\d+)'
[stimuli.own_labels]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_0[0-3]*.jpg"]
labels = "{labels}"
[stimuli.crops]
kind = "crops"
of = ["photos"]
n = 40
size_px = 96
[recordings.planted]
kind = "planted"
stimuli = "crops"
model = "local/efficientnet"
layer = "blocks.1"
n_components = 4
n_targets = 6
n_repetitions = 4
[importance.contrast]
kind = "planted"
stimuli = "own_labels"
[[evaluations]]
kind = "accuracy"
stimuli = "photos"
[[evaluations]]
kind = "neural_fit"
recording = "planted"
readouts = ["pls", "ridge"]
components = 3
n_folds = 3
n_inner_folds = 2
[[evaluations]]
kind = "features"
stimuli = "photos"
[[evaluations]]
kind = "minimal_attack"
stimuli = "own_labels"
attacks = ["ddn", "deepfool"]
save_perturbations = true
importance = "contrast"
options = {{ ddn = {{ steps = 10 }}, deepfool = {{ steps = 5, candidates = 3 }} }}
"""


def pytest_configure():
    """Without oneDNN where `make kernels` asks for it: PyTorch has no environment variable for it."""
    if os.environ.get("ZOO_EVAL_TESTS_ONEDNN") == "0":
        import torch

        torch.backends.mkldnn.enabled = False


@pytest.fixture
def one_thread():
    """PyTorch on one thread: what it allocates and how it rounds do not depend on the machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def own_labels(tmp_path_factory) -> Path:
    """A CSV that calls each photo what the untrained model calls it, so that there is an attack."""
    import torch

    from zoo_eval import paths
    from zoo_eval.catalog import ModelCard
    from zoo_eval.models.open_model import open_model
    from zoo_eval.stimuli.folder import read_folder

    card = ModelCard("m", "local", "timm/test_efficientnet", weights="untrained")
    folder = paths.resolve("package:foolbox/data", Path.cwd())
    photos = read_folder("photos", folder, include=["imagenet_0[0-3]*.jpg"])
    predicted = open_model(card, torch.device("cpu")).predict(photos.images).argmax(1).tolist()
    file = tmp_path_factory.mktemp("labels") / "labels.csv"
    lines = [f"{i},{label}" for i, label in zip(photos.ids, predicted, strict=True)]
    file.write_text("\n".join(["image,label", *lines]) + "\n")
    return file


@pytest.fixture(scope="session")
def finished(tmp_path_factory, own_labels) -> Path:
    """A folder with a finished sweep: the tiny one in sweeps/demo.toml, its store results/demo.

    Run once for all tests. It is only read: whoever writes takes a copy.
    """
    from zoo_eval.commands import sweep

    folder = tmp_path_factory.mktemp("finished")
    file = folder / "sweeps" / "demo.toml"
    file.parent.mkdir()
    file.write_text(TINY.format(store="results/demo", labels=own_labels))
    request = sweep.SweepOptions(file, folder, runner="local")
    assert sweep.run(request, lambda line: None) == 0
    return folder


@pytest.fixture
def finished_store(finished, tmp_path) -> str:
    """A copy of the finished store, where `tiny_sweep` has its own."""
    return str(shutil.copytree(finished / "results" / "demo", tmp_path / "store"))


@pytest.fixture
def tiny_sweep(tmp_path, own_labels) -> Path:
    """A sweep file that takes seconds: two untrained models, every kind of evaluation."""
    file = tmp_path / "tiny.toml"
    file.write_text(TINY.format(store=tmp_path / "store", labels=own_labels))
    return file


@pytest.fixture
def decoded(monkeypatch, tmp_path):
    """The names of image files as they are decoded; nothing is kept from earlier."""
    from zoo_eval.stimuli.folder import Files

    monkeypatch.setenv("ZOO_EVAL_CACHE", str(tmp_path / "cache"))
    names = []
    real = Files.decode

    def noting(files, number):
        names.append(files.paths[number].name)
        return real(files, number)

    monkeypatch.setattr(Files, "decode", noting)
    return names


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start a Ray come first: while they wait for it, another process has the processor."""
    waiting = {item.path for item in items if item.get_closest_marker("ray")}
    items.sort(key=lambda item: item.path not in waiting)
