"""Anatomies: what heads are called, and files that say what was written into them."""

import csv
import json
from dataclasses import asdict

import pytest

from zoo_eval.networks import anatomy
from zoo_eval.networks.anatomy import SHIPPED, Anatomy, Layer, Pooled

STAGES = ((Layer("layer1.0", 3, 12), Layer("layer1.1", 5, 12)), (Layer("odd=name", 7, 5),))
POOLED = Pooled("head.fc", "input", 6)


def one(**changes):
    facts = {"n_params": 5, "n_classes": 1000, "zero_shot": False, "flops": 2**40,
             "activation_bytes": 12, "n_modules": 9, "n_captured": 8, "stages": STAGES,
             "feature_info": STAGES[1], "pooled": POOLED}  # fmt: skip
    return Anatomy(**{**facts, **changes})


@pytest.mark.parametrize(
    ("n_classes", "zero_shot", "head"),
    [
        (1000, False, "imagenet1k"),
        (1000, True, "zero_shot"),
        (21841, False, "other:21841"),
        (1, False, "other:1"),
        (0, False, "none"),
    ],
)
def test_a_head_is_called_by_what_its_logits_stand_for(n_classes, zero_shot, head):
    assert one(n_classes=n_classes, zero_shot=zero_shot).head == head


def test_a_file_says_what_was_written_whatever_the_order(tmp_path):
    rows = {
        ("timm/b", (224, 224), 1000): one(zero_shot=True),
        ("timm/a", (384, 192), 0): one(
            n_classes=0, stages=(), feature_info=(), pooled=Pooled("", "output", 6)
        ),
        ("timm/a", (64, 64), 10): one(n_classes=10, pooled=None),
    }
    anatomy.write(tmp_path / "one.csv", rows)
    anatomy.write(tmp_path / "other.csv", dict(reversed(rows.items())))
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()
    assert dict(anatomy.read(tmp_path / "one.csv")) == rows
    assert [key for key, _ in anatomy.read(tmp_path / "one.csv")] == sorted(rows)


def test_choices_name_blocks_stage_ends_and_the_pooled_features_last():
    named = one().named
    assert [layer.name for layer in named["blocks"]] == [
        "layer1.0",
        "layer1.1",
        "odd=name",
        "pooled",
    ]
    assert [layer.name for layer in named["stages"]] == ["layer1.1", "odd=name", "pooled"]
    assert [layer.name for layer in named["feature_info"]] == ["odd=name"]
    assert named["blocks"][-1] == Layer("pooled", 8, 6)


def test_an_anatomy_survives_json():
    assert Anatomy.from_json(json.loads(json.dumps(asdict(one())))) == one()


def test_nothing_is_shipped_of_a_library_that_was_not_measured():
    assert anatomy.shipped("timm-0.0.1") == {}


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.csv")), ids=lambda path: path.stem)
def test_what_is_shipped_makes_sense(path):
    with path.open(newline="") as file:
        n_lines = sum(1 for _ in csv.reader(file)) - 1
    found = anatomy.shipped(path.stem)
    assert len(found) == n_lines  # no key twice
    for (architecture, size, n_classes), shape in found.items():
        assert shape.n_params > 0, architecture
        assert shape.flops > 0, architecture
        # At the very least the pixels are kept, or what a first layer makes of them.
        assert shape.activation_bytes > 0, architecture
        assert shape.n_classes == n_classes
        assert all(16 <= side <= 2048 for side in size)
        for layers in shape.named.values():
            places = [layer.place for layer in layers]
            assert places == sorted(places)
            assert all(0 <= place < shape.n_modules for place in places)
            assert len({layer.name for layer in layers}) == len(layers) <= shape.n_captured + 1
            assert all(layer.n_features > 0 for layer in layers)
        assert {layer.name for layer in shape.named["stages"]} <= set(shape.sizes)
        assert shape.named["blocks"], architecture
