"""The pooled features are what each library itself gives its classifier."""

import pytest
import timm as timm_library
import torch
import torchvision
from torch import nn

from tests.planted_nets import noise
from zoo_eval.catalog import ModelCard
from zoo_eval.models.open_model import open_model
from zoo_eval.networks.tracing import trace
from zoo_eval.representations.representations import Representations

CPU = torch.device("cpu")
STIMULI = noise(3, px=64)


def pooled(architecture):
    """The layer `pooled` of three photos, the model, and what its network is shown of them."""
    card = ModelCard("m", "m", architecture, weights="untrained")
    model = open_model(card, CPU)
    (found,) = Representations(model, 2**30).features(STIMULI, ["pooled"])
    return found["pooled"], model, model.transform.normalise(model.view(STIMULI.images))


@pytest.mark.parametrize(
    "name", ["test_efficientnet", "test_vit", "test_convnext", "resnet18", "levit_128s", "inception_v3"]
)  # fmt: skip
@torch.no_grad()
def test_timms_pooled_features_are_those_before_its_logits(name):
    found, model, view = pooled(f"timm/{name}")
    expected = model.net.forward_head(model.net.forward_features(view), pre_logits=True)
    if name == "levit_128s":
        expected = model.net.head_dist.bn(expected)
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("name", "replaced"),
    [("resnet18", "fc"), ("vit_b_32", "heads.head"), ("alexnet", "classifier.6"),
     ("swin_t", "head"), ("convnext_tiny", "classifier.2"), ("googlenet", "fc")],
)  # fmt: skip
@torch.no_grad()
def test_torchvisions_are_what_is_left_where_the_last_product_is_taken_away(name, replaced):
    found, model, view = pooled(f"torchvision/{name}")
    parent, _, last = replaced.rpartition(".")
    setattr(model.net.get_submodule(parent), last, nn.Identity())
    assert torch.equal(found, model.net(view))


@torch.no_grad()
def test_open_clips_are_the_embedding_of_its_tower():
    found, model, view = pooled("open_clip/ViT-S-32-alt")
    assert torch.equal(found, model.net.visual(view))


def traced(net):
    return trace(net.eval(), (8, 8)).pooled


def test_a_network_without_a_head_returns_them():
    with torch.device("meta"):
        net = timm_library.create_model("test_vit", num_classes=0)
    assert trace(net.eval(), (160, 160)).pooled == ("", "output", net.num_features)


def test_a_classifier_that_reads_maps_has_none():
    with torch.device("meta"):
        net = torchvision.models.squeezenet1_1()
    assert trace(net.eval(), (64, 64)).pooled is None


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, values):
        return values + self.linear(values)


def test_a_private_networks_last_product_is_its_classifier_only_if_it_gives_the_logits():
    trunk = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4), nn.ReLU()]
    assert traced(nn.Sequential(*trunk, nn.Linear(4, 7))) == ("4", "input", 4)
    assert traced(nn.Sequential(*trunk, nn.Linear(4, 4), nn.Linear(4, 4))) == ("5", "input", 4)
    assert traced(nn.Sequential(*trunk, Residual())) is None
    assert traced(nn.Sequential(*trunk, nn.Linear(4, 4), nn.LayerNorm(4))) is None


def test_maps_of_one_pixel_are_a_vector():
    net = nn.Sequential(nn.Conv2d(3, 5, 8), nn.ReLU(), nn.Conv2d(5, 7, 1), nn.Flatten())
    assert traced(net) == ("2", "input", 5)
