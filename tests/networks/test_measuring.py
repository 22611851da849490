"""Anatomies against closed forms and the libraries' own counts, and those shipped against measured."""

import json
from importlib import metadata
from pathlib import Path

import pytest
import timm as timm_library
import torch
from torch import nn

from zoo_eval.errors import Refusal
from zoo_eval.models.blueprint import anatomy_of
from zoo_eval.networks import anatomy, measuring
from zoo_eval.networks.tracing import trace
from zoo_eval.sources import timm as timm_source
from zoo_eval.sources.places import places
from zoo_eval.sources.registry import source_of
from zoo_eval.sources.source import Variant

FLOAT = 4


class Convolutions(nn.Module):
    """Two convolutions and a linear layer: everything about them can be counted by hand."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 4, 1, stride=2)
        self.last = nn.Linear(4, 10)

    def forward(self, images):
        hidden = torch.relu(self.second(self.first(images)))
        return self.last(hidden.mean((2, 3)))


def test_flops_parameters_and_kept_bytes_are_what_can_be_counted_by_hand():
    found = measuring.measure(Convolutions(), (16, 16))
    first, second, last = 16 * 16 * 8 * 27, 8 * 8 * 4 * 8, 4 * 10
    assert found.flops == 2 * (first + second + last)
    assert found.n_params == (27 + 1) * 8 + (8 + 1) * 4 + (4 + 1) * 10
    # PyTorch keeps a convolution's input, even with frozen weights, and relu's output.
    kept = 3 * 16 * 16 + 8 * 16 * 16 + 4 * 8 * 8
    assert found.activation_bytes == FLOAT * kept
    assert (found.n_classes, found.head, found.n_modules) == (10, "other:10", 3)


def test_kept_bytes_are_inputs_of_convolutions_and_of_gelu():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.GELU(), nn.Flatten(), nn.LazyLinear(7))
    net(torch.zeros(1, 3, 8, 8))
    assert measuring.measure(net, (8, 8)).activation_bytes == FLOAT * (3 * 8 * 8 + 4 * 8 * 8)


@pytest.mark.parametrize(
    ("name", "gmacs"),
    [
        # Published by the authors: multiply-adds in 10^9, at 224 px.
        ("resnet50", 4.1),
        ("mobilenetv3_large_100", 0.219),
        ("vit_base_patch16_224", 17.6),
        ("efficientnet_b0", 0.39),
    ],
)
def test_flops_are_twice_the_published_multiply_adds(name, gmacs):
    flops = anatomy_of(timm_source, f"timm/{name}", (224, 224)).flops
    # Two digits are published, of counts that differ in what besides products they hold.
    assert flops / 2e9 == pytest.approx(gmacs, rel=0.05)


def test_heads_are_told_apart():
    def head(architecture):
        source = source_of(architecture)
        px = source.transform(architecture, None).input_px
        return anatomy_of(source, architecture, (px, px)).head

    assert head("timm/resnet18.a1_in1k") == "imagenet1k"
    assert head("timm/vit_base_patch16_224.augreg_in21k") == "other:21843"
    assert head("timm/vit_small_patch14_dinov2.lvd142m") == "none"
    assert head("open_clip/ViT-B-32:openai") == "zero_shot"
    assert head("torchvision/alexnet") == "imagenet1k"


@pytest.mark.parametrize(
    "architecture",
    [
        "timm/test_vit.r160_in1k",
        "timm/resnet18.a1_in1k",
        "timm/tf_efficientnet_lite0",
        "open_clip/RN50:openai",
        "torchvision/alexnet",
    ],
)
def test_what_is_shipped_is_what_is_measured(architecture):
    source = source_of(architecture)
    px = source.transform(architecture, None).input_px
    variant = source.variant(architecture)
    shipped = anatomy.shipped(variant.library)[variant.architecture, (px, px), variant.n_classes]
    assert shipped == measuring.measure(source.outline(architecture), (px, px))


LIBRARIES = {
    name: place.distribution for name, (place, *_) in places().items() if place.distribution
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_is_shipped_is_of_the_installed_version(library):
    # A new version of a library needs `python -m benchmarks.anatomies`.
    version = metadata.version(LIBRARIES[library])
    assert [path.stem for path in anatomy.SHIPPED.glob(f"{library}-*.csv")] == [
        f"{library}-{version}"
    ]


def test_every_listed_model_that_can_be_used_is_shipped():
    from zoo_eval.sources.registry import listed_cards

    listed = listed_cards(["timm/*", "open_clip/*", "torchvision/*"])
    assert len(listed) > 2000
    assert not [one.card.name for one in listed if one.key is not None and one.anatomy is None]


class Counting:
    """A source of one architecture that counts how often it is built."""

    def __init__(self):
        self.n_built = 0

    def variant(self, architecture):
        return Variant("planted-1.0", architecture, 10)

    def outline(self, architecture):
        self.n_built += 1
        with torch.device("meta"):
            return Convolutions()


def test_what_is_not_shipped_is_measured_once_and_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("ZOO_EVAL_CACHE", str(tmp_path))
    source = Counting()
    first = anatomy_of(source, "planted/net", (16, 16))
    assert anatomy_of(source, "planted/net", (16, 16)) == first
    assert source.n_built == 1
    assert anatomy_of(source, "planted/net", (32, 32)) != first
    assert source.n_built == 2
    (kept, _) = sorted(tmp_path.rglob("*.json"))
    assert json.loads(kept.read_text())["n_classes"] == 10


def test_a_file_of_anatomies_reads_as_it_was_written(tmp_path):
    found = measuring.measure(timm_library.create_model("test_vit"), (160, 160))
    rows = {("planted/net", (160, 160), 1000): found}
    anatomy.write(tmp_path / "a.csv", rows)
    assert dict(anatomy.read(tmp_path / "a.csv")) == rows
    assert found.named["blocks"][0].name == "blocks.0"
    # 10 x 10 patches of 16 x 16 pixels and a class token, 64 numbers each.
    assert {layer.n_features for layer in found.stages[0]} == {101 * 64}


class Dictionary(nn.Module):
    def forward(self, images):
        return {"logits": images.flatten(1)}


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (nn.Conv2d(4, 2, 1), "does not run on 8 px"),
        (nn.Conv2d(3, 2, 1), r"returns \[1, 2, 8, 8\], not logits \(image, class\)"),
        (Dictionary(), "returns dict, not logits"),
    ],
)
def test_a_network_that_is_no_classifier_is_refused(net, said):
    with pytest.raises(Refusal, match=said):
        measuring.measure(net, (8, 8))


class Windows(nn.Module):
    """Planted: a module that sees windows of the images, as Swin's attention does."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Identity()
        self.outer = nn.Identity()
        self.unused = nn.Identity()

    def forward(self, images):
        windows = self.inner(images.unfold(2, 4, 4).unfold(3, 4, 4).reshape(-1, 48))
        return self.outer(windows.reshape(len(images), -1))


def test_only_modules_that_return_a_row_per_image_can_be_captured():
    assert trace(Windows(), (8, 8)).captured == {"outer": (2, 192)}


def test_the_shipped_folder_is_in_the_package():
    assert anatomy.SHIPPED.is_relative_to(Path(anatomy.__file__).parent)
