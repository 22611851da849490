"""The batch that a model's memory allows is found once: a later sweep starts from it."""

from collections import defaultdict

import pytest
import torch

from zoo_eval.commands import sweep
from zoo_eval.commands.sweep import SweepOptions
from zoo_eval.models.open_model import OpenModel
from zoo_eval.queries.connection import connect
from zoo_eval.queries.measured import batch_sizes
from zoo_eval.store import Store

MOST = 3
SWEEP = """
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
include = ["{include}"]
label_pattern = 'imagenet_\\d+_(\\d+)'
[[evaluations]]
kind = "accuracy"
stimuli = "photos"
"""


@pytest.fixture
def asked(monkeypatch):
    """How many images at a time each model was asked for; one of them exhausts memory beyond a few."""
    sizes = defaultdict(list)
    real = OpenModel.logits

    def logits(model, view):
        sizes[model.card.name].append(len(view))
        if model.card.name == "local/vit" and len(view) > MOST:
            raise torch.OutOfMemoryError("planted")
        return real(model, view)

    monkeypatch.setattr(OpenModel, "logits", logits)
    return sizes


def run(tmp_path, include):
    file = tmp_path / "sweep.toml"
    file.write_text(SWEEP.format(store=tmp_path / "store", include=include))
    assert sweep.run(SweepOptions(file, tmp_path, runner="local"), lambda line: None) == 0


def test_a_size_that_was_too_large_is_not_tried_again(asked, tmp_path):
    run(tmp_path, "imagenet_*.jpg")
    assert max(asked["local/vit"]) > MOST
    largest = max(size for size in asked["local/vit"] if size <= MOST)
    sizes = batch_sizes(connect(Store(str(tmp_path / "store"))))
    assert sizes["local/vit"] == {"cpu": largest}
    at_first = sizes["local/efficientnet"]["cpu"]
    assert at_first > MOST
    asked.clear()
    run(tmp_path, "imagenet_0*.jpg")
    assert max(asked["local/vit"]) == largest
    # Another model's memory is its own.
    assert max(asked["local/efficientnet"]) > MOST
    assert batch_sizes(connect(Store(str(tmp_path / "store")))) == sizes
