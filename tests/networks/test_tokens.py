"""Class token and mean over patches are what the libraries themselves pool, or are refused."""

import pytest
import timm as timm_library
import torch
from torch import nn

from tests.planted_nets import noise
from tests.rounding import float32_network
from zoo_eval.catalog import ModelCard
from zoo_eval.errors import Refusal
from zoo_eval.models.open_model import open_model
from zoo_eval.networks import tokens
from zoo_eval.representations.representations import Representations

CPU = torch.device("cpu")


def untrained(architecture):
    return open_model(ModelCard("local/m", "local", architecture, weights="untrained"), CPU)


def features(model, layer, n=3):
    stimuli = noise(n, px=model.transform.input_px)
    (batch,) = Representations(model, 2**30).features(stimuli, [layer])
    return batch[layer], model.view(stimuli.images)


@pytest.fixture(scope="module")
def vit():
    return untrained("timm/test_vit")


def test_cls_is_the_token_that_timm_classifies_by(vit):
    found, view = features(vit, "norm:cls")
    net = vit.net
    with torch.no_grad():
        hidden = net.forward_features(vit.transform.normalise(view))
        expected = timm_library.layers.global_pool_nlc(
            hidden, pool_type="token", num_prefix_tokens=net.num_prefix_tokens
        )
    assert (found - expected).abs().max() <= float32_network(net, float(hidden.abs().max()))


@pytest.mark.parametrize("architecture", ["timm/test_vit", "timm/test_vit2"])
def test_mean_leaves_class_and_register_tokens_out(architecture):
    # The first has a class token, the second a register.
    vit = untrained(architecture)
    assert vit.net.num_prefix_tokens == 1
    found, view = features(vit, "norm:mean")
    net = vit.net
    with torch.no_grad():
        hidden = net.forward_features(vit.transform.normalise(view))
        expected = timm_library.layers.global_pool_nlc(
            hidden, pool_type="avg", num_prefix_tokens=net.num_prefix_tokens
        )
    assert (found - expected).abs().max() <= float32_network(net, float(hidden.abs().max()))


def test_a_name_without_tokens_means_all_of_them(vit):
    everything, _ = features(vit, "blocks.1")
    cls, _ = features(vit, "blocks.1:cls")
    n_tokens = everything.shape[1] // cls.shape[1]
    assert torch.equal(everything.view(3, n_tokens, -1)[:, 0], cls)


def test_layers_of_one_module_with_other_tokens_are_layers_of_their_own(vit):
    layers = vit.blueprint.layers(["blocks:cls", "blocks:mean", "blocks", "logits"])
    names = vit.blueprint.layers("blocks")
    of_tokens = [name for name in names if name != "pooled"]
    assert names[-1] == "pooled"
    assert set(layers) == {
        *names,
        *(f"{name}:{kind}" for name in of_tokens for kind in ("cls", "mean")),
        "logits",
    }
    assert vit.blueprint.depth("blocks.1:cls") == vit.blueprint.depth("blocks.1")
    depths = [vit.blueprint.depth(layer) for layer in layers]
    assert depths == sorted(depths)


@pytest.mark.parametrize(
    ("architecture", "layer", "said"),
    [
        ("timm/test_resnet", "blocks:cls", r"returns \[2, .*\], not tokens; remove :cls"),
        ("timm/test_vit", "blocks:first", "unknown tokens 'first'; write :cls or :mean"),
        ("timm/test_vit", "norm.:cls", "is not in the model; nearest: norm"),
        # A register is no class token.
        ("timm/test_vit2", "blocks.1:cls", "has no class token among its"),
        # CaiT's class token joins after these blocks: index 0 is a patch there.
        ("timm/cait_xxs24_224", "blocks.0:cls", "has no class token among its 196; remove :cls"),
        ("timm/cait_xxs24_224", "blocks_token_only.0:mean", "remove :mean"),
    ],
)
def test_tokens_that_are_not_there_are_refused_at_planning(architecture, layer, said):
    from zoo_eval.models.blueprint import blueprint

    plan = blueprint(ModelCard("local/m", "local", architecture, weights="untrained"))
    with pytest.raises(Refusal, match=said):
        plan.layers(layer)


def test_tokens_of_the_other_libraries_are_counted():
    import torchvision

    with torch.device("meta"):
        assert tokens.n_prefix(torchvision.models.vit_b_16()) == (1, True)
        assert tokens.n_prefix(timm_library.create_model("test_vit")) == (1, True)
        assert tokens.n_prefix(timm_library.create_model("vit_small_patch16_dinov3")) == (5, True)
        assert tokens.n_prefix(timm_library.create_model("vit_base_patch16_siglip_224")) == (0, False)  # fmt: skip
    assert tokens.n_prefix(nn.Linear(2, 2)) == (0, False)
