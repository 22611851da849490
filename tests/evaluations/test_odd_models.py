"""Networks and images that are odd cost no more than the rows they are odd in."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.evaluations.test_minimal_attack import N_CLASSES, rows
from tests.planted_nets import noise, opened, pixels
from zoo_eval.errors import Refusal
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.evaluations.features import Features
from zoo_eval.inputs import Inputs
from zoo_eval.networks.measuring import measure
from zoo_eval.numerics.attacks.registry import ATTACKS
from zoo_eval.representations.representations import Representations

NORMS = {name: kind.norms[0] for name, kind in ATTACKS.things().items()}


def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, N_CLASSES))


def labelled(net, images):
    shown = replace(noise(len(images)), images=tuple(images))
    with torch.no_grad():
        return replace(shown, labels=tuple(net(pixels(shown)).argmax(1).tolist()))


@pytest.mark.parametrize("name", NORMS)
def test_a_black_image_is_attacked_like_the_others(name):
    net = linear()
    grey = (110 + noise(3).images[0] // 8).astype(np.uint8)
    images = [grey, np.zeros_like(grey), np.full_like(grey, 255), np.full_like(grey, 90)]
    attacked, _ = rows(net, labelled(net, images), attacks=[name], norm=NORMS[name])
    assert [row["status"] for row in attacked] == ["found"] * 4
    black = attacked[1]
    assert black["relative_l2"] is None
    assert black["l2"] > 0
    assert all(row["relative_l2"] > 0 for row in attacked[:1] + attacked[2:])


class Cast(nn.Module):
    """A network that computes, and answers, in another precision."""

    def __init__(self, net, dtype):
        super().__init__()
        self.net = net.to(dtype)
        self.dtype = dtype

    def forward(self, images):
        return self.net(images.to(self.dtype))


@pytest.mark.parametrize("name", NORMS)
def test_logits_in_float64_are_attacked_as_in_float32(name):
    shown = labelled(linear(), [(110 + one // 8).astype(np.uint8) for one in noise(3).images])
    of_32, of_64 = (
        rows(net, shown, attacks=[name], norm=NORMS[name])[0]
        for net in (linear(), Cast(linear(), torch.float64))
    )
    for one, other in zip(of_32, of_64, strict=True):
        assert other["status"] == one["status"] == "found"
        assert other["distance"] == pytest.approx(one["distance"], rel=0.02)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_logits_are_float32_whatever_the_network_gives(dtype):
    model = opened(Cast(linear(), dtype))
    assert model.predict(noise(2).images).dtype == torch.float32


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (lambda x: (x, x), "returns tuple for 2 images"),
        (lambda x: {"logits": x}, "returns dict for 2 images"),
        (lambda x: x[:1], r"returns \[1, 192\] for 2 images"),
    ],
)
def test_what_is_no_tensor_of_logits_is_refused_in_words(output, said):
    class Odd(nn.Module):
        def forward(self, images):
            return output(images.flatten(1))

    with pytest.raises(Refusal, match=f"{said}, not one tensor"):
        opened(Odd()).predict(noise(2).images)


class InPlace(nn.Module):
    """A network that overwrites what it is given."""

    def __init__(self):
        super().__init__()
        self.head = linear()

    def forward(self, images):
        images.sub_(0.5).mul_(3.0)
        return self.head(images)


class Copying(InPlace):
    def forward(self, images):
        return self.head((images - 0.5) * 3.0)


def test_a_network_that_works_in_place_on_its_input_is_measured():
    one, other = (measure(net, (8, 8)) for net in (InPlace(), Copying()))
    assert one.n_classes == other.n_classes == N_CLASSES
    assert one.flops == other.flops


@pytest.mark.parametrize("name", ["ddn", "fmn", "deepfool", "apgd_bisect"])
def test_a_network_that_works_in_place_is_attacked_as_its_copy(name):
    shown = labelled(Copying(), [(110 + one // 8).astype(np.uint8) for one in noise(3).images])
    found = [
        rows(net, shown, attacks=[name], norm=NORMS[name])[0] for net in (InPlace(), Copying())
    ]
    for one, other in zip(*found, strict=True):
        assert one["status"] == other["status"]
        assert one.get("distance") == other.get("distance")


def test_a_layer_with_a_nan_is_a_failed_trial_that_names_the_image():
    class Breaking(nn.Module):
        def forward(self, images):
            logits = images.flatten(1)
            return torch.where(logits[:, :1] > 0.9, torch.nan, logits)

    shown = noise(20)
    model = opened(nn.Sequential(nn.Flatten(), nn.Identity(), Breaking()))
    given = Inputs({shown.name: shown})
    evaluation = Features(stimuli=shown.name, layers=("logits", "1"))
    trials = [
        replace(one, layer=layer)
        for layer in ("logits", "1")
        for one in evaluation.trials(Candidate(model.card, model.blueprint), given, 0)[:1]
    ]
    bench = Workbench(
        given, Candidate(model.card, model.blueprint), model, Representations(model, 2**28)
    )
    by_layer = {result.trial.layer: result for result in evaluation.run(trials, bench)}
    first = next(n for n, one in enumerate(pixels(shown).flatten(1)) if one[0] > 0.9)
    assert f"logits has non-finite activations, first of '{shown.ids[first]}'" in str(
        by_layer["logits"].error
    )
    assert len(by_layer["1"].rows["features"]) == len(shown)
