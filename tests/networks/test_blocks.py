"""The default layers of known networks are the blocks that their papers' tables count."""

import pytest
import timm as timm_library
import torch
from torch import nn

from benchmarks.layers import FAMILIES
from zoo_eval.catalog import ModelCard
from zoo_eval.errors import Refusal
from zoo_eval.models.blueprint import blueprint
from zoo_eval.networks.blocks import blocks, feature_info, stages
from zoo_eval.networks.measuring import layers_of
from zoo_eval.networks.tracing import trace
from zoo_eval.sources.registry import source_of

ONLY_MAPS = "torchvision/squeezenet1_1"
# Where the paper's stages are not those between which the shape of what blocks return changes.
OTHERWISE = {
    # 40 channels at one size are those of two stages; a stride of 1 separates no two.
    "timm/mobilenetv3_large_100",
    # Channels grow inside a stage.
    "timm/inception_v3",
    "torchvision/googlenet",
    "torchvision/squeezenet1_1",
    "timm/nasnetalarge",
    # Convolutions of one stage with and without more channels.
    "torchvision/alexnet",
}


def traced(net, px):
    return trace(net.eval(), (px, px))


def found(net, px=8):
    return blocks(net.eval(), traced(net, px))


def of(architecture):
    source = source_of(architecture)
    net = source.outline(architecture)
    return layers_of(net, trace(net, source.transform(architecture, None).size))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.architecture)
def test_every_block_of_every_stage_is_found_and_the_pooled_features(family):
    layers = of(family.architecture)
    assert sum(map(len, layers["stages"])) == sum(family.blocks)
    assert (layers["pooled"] is None) == (family.architecture == ONLY_MAPS)
    if family.architecture not in OTHERWISE:
        assert tuple(map(len, layers["stages"])) == family.blocks


def test_three_libraries_with_ten_families_are_covered():
    libraries = {family.architecture.partition("/")[0] for family in FAMILIES}
    assert libraries == {"timm", "torchvision", "open_clip"}
    assert len(FAMILIES) >= 10


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("convnext_atto", lambda net: [len(stage.blocks) for stage in net.stages]),
        ("swin_tiny_patch4_window7_224", lambda net: [len(layer.blocks) for layer in net.layers]),
        # The last entry is the convolution before the pooling.
        ("ghostnet_050", lambda net: [len(stage) for stage in net.blocks[:-1]]),
        # The hybrid's ResNet-26 has two blocks in each of four stages, before those of the transformer.
        ("vit_small_r26_s32_224", lambda net: [2, 2, 2, 2, len(net.blocks)]),
    ],
)  # fmt: skip
def test_blocks_are_as_many_as_the_network_itself_holds(name, config):
    with torch.device("meta"):
        net = timm_library.create_model(name)
    assert len(found(net, 224)) == sum(config(net))


def test_feature_info_is_timms_own():
    with torch.device("meta"):
        net = timm_library.create_model("efficientnet_lite0").eval()
    ran = traced(net, 64)
    assert feature_info(net, ran) == tuple(info["module"] for info in net.feature_info)
    # What it leaves out: of seven stages it has five.
    assert len(stages(blocks(net, ran), ran)) == 7


class Block(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.into, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, values):
        return values + self.out(torch.tanh(self.into(values)))


class Other(Block):
    """Planted: a block of a kind of its own."""


class InPlace(nn.Module):
    """Planted: a block of two equal parts, one after the other, and a sum in place."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Block(), Block()

    def forward(self, values):
        inner = self.second(self.first(values))
        inner += values
        return inner


class Stage(nn.Module):
    """Planted: blocks as attributes of a module that is no list."""

    def __init__(self, n):
        super().__init__()
        self.n = n
        for i in range(n):
            setattr(self, f"b{i}", Block())

    def forward(self, values):
        for i in range(self.n):
            values = getattr(self, f"b{i}")(values)
        return values


class Pair(nn.Module):
    """Planted: a module that returns two tensors, each made by a block of its own."""

    def __init__(self):
        super().__init__()
        self.left, self.right = Block(), Block()

    def forward(self, values):
        values = values[0] if isinstance(values, tuple) else values
        return self.left(values), self.right(values)


class Parallel(nn.Module):
    """Planted: a block of two equal parts side by side."""

    def __init__(self):
        super().__init__()
        self.left, self.right = Block(), Block()

    def forward(self, values):
        return self.left(values) + self.right(values)


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


def parts(*names):
    return tuple(f"parts.{name}" for name in names)


def test_a_private_network_of_bare_layers_has_no_blocks():
    assert found(Planted(nn.Linear(4, 4), nn.Linear(4, 2))) == ()


def test_repeated_modules_of_a_private_network_are_its_blocks():
    assert found(Planted(Block(), Block(), nn.Linear(4, 2))) == parts(0, 1)


def test_another_kind_in_one_list_with_repeated_blocks_is_one_too():
    net = Planted(nn.Linear(4, 4), Other(), Block(), Block(), nn.Linear(4, 2))
    assert found(net) == parts(1, 2, 3)


def test_stages_are_looked_into_even_those_of_one_block():
    net = Planted(Stage(1), Stage(2), Stage(1), nn.Linear(4, 2))
    assert found(net) == parts("0.b0", "1.b0", "1.b1", "2.b0")


def test_a_block_of_equal_parts_that_adds_or_branches_is_whole():
    assert found(Planted(InPlace(), InPlace(), nn.Linear(4, 2))) == parts(0, 1)
    assert found(Planted(Parallel(), Parallel(), nn.Linear(4, 2))) == parts(0, 1)


def test_blocks_of_plain_lists_are_the_lists():
    def plain():
        return nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))

    assert found(Planted(plain(), plain(), nn.Linear(4, 2))) == parts(0, 1)


def test_blocks_that_return_several_tensors_are_looked_into():
    layers = found(Planted(Pair(), Pair(), first=True))
    assert layers == parts("0.left", "0.right", "1.left", "1.right")


def test_the_classifier_is_no_block():
    class Head(Block):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 2)

        def forward(self, values):
            return self.out(torch.tanh(self.into(values)))

    assert found(Planted(Block(), Block(), Head())) == parts(0, 1)


def test_blocks_are_found_in_a_network_that_another_wraps():
    class Wrapper(nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, values):
            return self.net(values)

    inner = Planted(Block(), Block(), nn.Linear(4, 2))
    assert found(inner) == parts(0, 1)
    assert found(Wrapper(inner)) == tuple(f"net.{name}" for name in parts(0, 1))


def test_activation_functions_are_the_layers_of_a_plain_chain():
    # The last gives the pooled features themselves.
    chain = Planted(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    assert found(chain) == parts(1)


def test_feature_info_that_cannot_be_captured_whole_is_none():
    net = Planted(Block(), Block())
    net.feature_info = [{"module": "parts.0"}]
    assert feature_info(net, traced(net, 8)) == parts(0)
    net.feature_info = [{"module": "parts.0"}, {"module": "absent"}]
    assert feature_info(net, traced(net, 8)) == ()


def test_a_stage_ends_where_the_shape_changes():
    net = nn.Sequential(*(nn.Sequential(nn.Conv2d(a, b, 1), nn.Conv2d(b, b, 1))
                          for a, b in ((3, 5), (5, 5), (5, 7))))  # fmt: skip
    ran = traced(net, 8)
    assert stages(blocks(net, ran), ran) == [["0", "1"], ["2"]]


def test_a_network_without_feature_info_says_what_to_write():
    plan = blueprint(ModelCard("m", "torchvision", "torchvision/alexnet", weights="untrained"))
    with pytest.raises(Refusal, match='no `feature_info` of timm\'s; write "stages" or "blocks"'):
        plan.layers("feature_info")
