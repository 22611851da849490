"""Which weights are trained and decay, and the published schedule."""

import pytest
import timm
import torch
from torch import nn

from zoo_eval.errors import BadInput
from zoo_eval.harmonizer import optimisation
from zoo_eval.harmonizer.run_file import TrainingSection
from zoo_eval.networks import measuring


def named(net, parts):
    names = {id(weights): name for name, weights in net.named_parameters()}
    return [{names[id(weights)] for weights in part["params"]} for part in parts]


def test_norms_embeddings_and_the_class_token_do_not_decay():
    net = timm.create_model("test_vit", num_classes=5)
    decayed, others = named(net, optimisation.groups(net, 1e-5))
    assert decayed | others == {name for name, _ in net.named_parameters()}
    assert {"cls_token", "pos_embed", "patch_embed.proj.weight", "norm.weight"} <= others
    assert {"blocks.0.attn.qkv.weight", "blocks.0.attn.qkv.bias", "head.weight"} <= decayed
    assert not any("norm" in name for name in decayed)
    resnet = timm.create_model("test_resnet", num_classes=5)
    decayed, others = named(resnet, optimisation.groups(resnet, 1e-5))
    norms = {
        f"{name}.{part}"
        for name, one in resnet.named_modules()
        if isinstance(one, nn.BatchNorm2d)
        for part in ("weight", "bias")
    }
    assert others == norms


def test_the_rate_rises_over_the_first_epochs_and_drops_as_published():
    how = TrainingSection(learning_rate=2.0)
    at = [optimisation.rate(how, step, 10) for step in range(900)]
    assert at[0] == pytest.approx(2 / 50)
    assert at[24] == pytest.approx(1.0)
    assert at[49:300] == [2.0] * 251
    assert at[300] == pytest.approx(0.2)
    assert at[600] == pytest.approx(0.02)
    assert at[800] == at[899] == pytest.approx(0.002)


def test_the_last_stages_are_trained_alone_and_frozen_norms_stay():
    net = timm.create_model("test_resnet", num_classes=5)
    anatomy = measuring.measure(net, (160, 160))
    optimisation.trained_from(net, anatomy, 1)
    trained = {name for name, one in net.named_parameters() if one.requires_grad}
    assert trained == {n for n, _ in net.named_parameters() if n.startswith(("layer4", "fc"))}
    optimisation.train_mode(net, "per_worker")
    assert not net.bn1.training
    assert net.layer4[0].bn1.training
    optimisation.train_mode(net, "frozen")
    assert not net.layer4[0].bn1.training
    optimisation.trained_from(net, anatomy, None)
    assert all(one.requires_grad for one in net.parameters())
    with pytest.raises(BadInput, match="last_stages = 9, but the network has 4 stages"):
        optimisation.trained_from(net, anatomy, 9)


def test_decay_and_momentum_are_those_of_the_formula():
    weights = nn.Linear(1, 1, bias=False)
    weights.weight.data.fill_(2.0)
    how = TrainingSection(learning_rate=0.1, weight_decay=0.5)
    step = optimisation.optimiser(weights, how)
    value, velocity = 2.0, 0.0
    for _ in range(3):
        weights.weight.grad = torch.full((1, 1), 3.0)
        step.step()
        gradient = 3.0 + 0.5 * value
        velocity = 0.9 * velocity + gradient
        value -= 0.1 * (gradient + 0.9 * velocity)
    assert weights.weight.item() == pytest.approx(value, rel=1e-6)


def test_a_moving_average_is_that_of_the_weights():
    net = nn.Linear(1, 1, bias=False)
    average = optimisation.averaged(net, 0.9)
    expected = None
    for value in (1.0, 3.0, -2.0):
        net.weight.data.fill_(value)
        average.update_parameters(net)
        expected = value if expected is None else 0.9 * expected + 0.1 * value
    assert average.module.weight.item() == pytest.approx(expected, rel=1e-6)
