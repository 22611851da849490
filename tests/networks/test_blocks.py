"""The default layers of known networks are the ones that their papers call stages or blocks."""

import open_clip as open_clip_library
import pytest
import timm as timm_library
import torch
import torchvision
from torch import nn

from zoo_eval.networks import measuring
from zoo_eval.networks.blocks import blocks
from zoo_eval.sources import open_clip


def found(net, px):
    return blocks(net.eval(), measuring.captured(net, (px, px)))


def numbered(path, n):
    return tuple(f"{path}.{i}" for i in range(n))


@pytest.mark.parametrize(
    ("name", "px", "expected"),
    [
        # The stem's activation and the four stages: what timm's feature_info reports.
        ("resnet18", 64, ("act1", "layer1", "layer2", "layer3", "layer4")),
        ("vit_tiny_patch16_224", 224, numbered("blocks", 12)),
        ("convnext_atto", 64, numbered("stages", 4)),
        ("swin_tiny_patch4_window7_224", 224, numbered("layers", 4)),
        ("test_efficientnet", 160, None),
    ],
)
def test_timms_blocks_are_its_feature_info(name, px, expected):
    with torch.device("meta"):
        net = timm_library.create_model(name)
    if expected is None:
        expected = tuple(info["module"] for info in net.feature_info)
    assert found(net, px) == expected
    assert set(expected) >= {info["module"] for info in net.feature_info}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Networks without blocks: their activation functions, as many as layers with weights but one.
        ("alexnet", (*(f"features.{i}" for i in (1, 4, 7, 9, 11)), "classifier.2", "classifier.5")),
        (
            "vgg11",
            (*(f"features.{i}" for i in (1, 4, 7, 9, 12, 14, 17, 19)), "classifier.1", "classifier.4"),
        ),
        ("squeezenet1_1", tuple(f"features.{i}" for i in (3, 4, 6, 7, 9, 10, 11, 12))),
        ("resnet18", tuple(f"layer{s}.{b}" for s in (1, 2, 3, 4) for b in (0, 1))),
        ("vit_b_16", tuple(f"encoder.layers.encoder_layer_{i}" for i in range(12))),
        ("convnext_tiny", None),
    ],
)  # fmt: skip
def test_torchvisions_blocks_are_the_repeated_ones(name, expected):
    with torch.device("meta"):
        net = torchvision.models.get_model(name)
    layers = found(net, 224)
    if expected is None:
        kind = torchvision.models.convnext.CNBlock
        expected = tuple(n for n, module in net.named_modules() if isinstance(module, kind))
        assert len(expected) == 18
        assert set(expected) <= set(layers)
    else:
        assert layers == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ViT-S-32-alt", numbered("visual.transformer.resblocks", 12)),
        (
            "RN50",
            tuple(f"visual.layer{s + 1}.{b}" for s, n in enumerate((3, 4, 6, 3)) for b in range(n)),
        ),
        ("convnext_tiny", numbered("visual.trunk.stages", 4)),
    ],
)
def test_open_clips_blocks_are_those_of_its_image_tower(name, expected):
    net = open_clip.outline(f"open_clip/{name}")
    px = open_clip.transform(f"open_clip/{name}", None).input_px
    layers = found(net, px)
    assert tuple(layer for layer in layers if layer in expected) == expected
    # Besides them only CLIP's attention pool, which stands where the others' pooling does.
    assert set(layers) - set(expected) <= {"visual.attnpool"}
    assert open_clip_library.get_model_config(name)["embed_dim"] == net.embeddings.shape[1]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, values):
        return torch.tanh(self.linear(values))


class Outer(Block):
    """Planted: a block of a kind of its own."""


class Pair(nn.Module):
    """Planted: a block that returns two tensors, each made by a block of its own."""

    def __init__(self):
        super().__init__()
        self.left, self.right = Block(), Block()

    def forward(self, values):
        values = values[0] if isinstance(values, tuple) else values
        return self.left(values), self.right(values)


class Planted(nn.Module):
    def __init__(self, *parts, first=False):
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.first = first

    def forward(self, images):
        values = images.mean((2, 3)) @ torch.ones(3, 4)
        for part in self.parts:
            values = part(values)
        return values[0] if self.first else values


def test_a_private_network_of_bare_layers_has_no_blocks():
    assert found(Planted(nn.Linear(4, 4), nn.Linear(4, 2)), 8) == ()


def test_repeated_modules_of_a_private_network_are_its_blocks():
    assert found(Planted(Block(), Block(), nn.Linear(4, 2)), 8) == ("parts.0", "parts.1")


def test_a_composite_sibling_of_repeated_blocks_is_one_too():
    # Not the bare layer before them.
    layers = found(Planted(nn.Linear(4, 4), Block(), Block(), Outer()), 8)
    assert layers == ("parts.1", "parts.2", "parts.3")


def test_blocks_that_return_several_tensors_are_looked_into():
    layers = found(Planted(Pair(), Pair(), first=True), 8)
    assert layers == ("parts.0.left", "parts.0.right", "parts.1.left", "parts.1.right")


def test_feature_info_that_cannot_be_captured_whole_is_left_aside():
    net = Planted(Block(), Block())
    net.feature_info = [{"module": "parts.0"}]
    assert found(net, 8) == ("parts.0",)
    net.feature_info = [{"module": "parts.0"}, {"module": "absent"}]
    assert found(net, 8) == ("parts.0", "parts.1")


def test_activation_functions_are_the_layers_of_a_plain_chain():
    chain = Planted(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    assert found(chain, 8) == ("parts.1", "parts.3")
