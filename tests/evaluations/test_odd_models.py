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
from zoo_eval.numerics.saliency.registry import METHODS
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


class NanAway(nn.Module):
    """A network whose logits are NaN for all but the images it was shown: those of whole levels."""

    def __init__(self):
        super().__init__()
        self.head = linear()

    def forward(self, images):
        away = ((images * 255).round() / 255 - images).abs().flatten(1).amax(1) > 1e-6
        return torch.where(away[:, None], torch.nan, self.head(images))


@pytest.mark.parametrize("name", NORMS)
def test_logits_that_are_nan_are_no_success_of_an_attack(name):
    shown = labelled(linear(), [(110 + one // 8).astype(np.uint8) for one in noise(3).images])
    attacked, _ = rows(NanAway(), shown, attacks=[name], norm=NORMS[name])
    for row in attacked:
        assert row["status"] == "bound_hit"
        assert row.get("distance") is None


@pytest.mark.parametrize(
    "decision",
    [{"decision": "top_k", "top_k": 2}, {"decision": "target", "target": "least_likely"}],
)
def test_nor_of_an_attack_on_another_decision(decision):
    shown = labelled(linear(), [(110 + one // 8).astype(np.uint8) for one in noise(3).images])
    attacked, _ = rows(NanAway(), shown, attacks=["fmn"], **decision)
    assert [row["status"] for row in attacked] == ["bound_hit"] * 3


class NanBeyond(nn.Module):
    """A network whose logits are NaN where its image is brighter than half somewhere."""

    def __init__(self):
        super().__init__()
        self.head = linear()

    def forward(self, images):
        bright = images.flatten(1).amax(1, keepdim=True) > 0.5
        return torch.where(bright, torch.nan, self.head(images))


@pytest.mark.parametrize("name", NORMS)
def test_what_is_found_beside_nans_changes_finite_logits(name):
    shown = labelled(linear(), [(90 + one // 8).astype(np.uint8) for one in noise(3).images])
    attacked, perturbed = rows(NanBeyond(), shown, attacks=[name], norm=NORMS[name])
    stored = {one["stimulus_id"]: one for one in perturbed}
    for photo, row in zip(pixels(shown), attacked, strict=True):
        if row["status"] == "found":
            one = stored[row["stimulus_id"]]
            delta = torch.tensor(one["perturbation"]).float().reshape(one["shape"])
            with torch.no_grad():
                logits = NanBeyond()((photo + delta)[None])[0]
            assert logits.isfinite().all()
            assert int(logits.argmax()) != row["label"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_network_of_other_parameters_is_refused_with_what_to_do(dtype):
    held = str(dtype).removeprefix("torch.")
    with pytest.raises(Refusal, match=rf"has parameters in {held}: give net\.float\(\)") as refused:
        measure(linear().to(dtype), (8, 8))
    assert "\n" not in str(refused.value)


def test_a_network_that_normalises_by_the_batch_is_refused():
    def net(**options):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, **options), nn.Flatten()).eval()

    with pytest.raises(Refusal, match=r"module '1' has no running statistics"):
        measure(net(track_running_stats=False), (8, 8))
    assert measure(net(), (8, 8)).n_classes == 4 * 6 * 6


class NanInTheDark(nn.Module):
    """A network whose logits are NaN for dark images."""

    def __init__(self):
        super().__init__()
        self.head = linear()

    def forward(self, images):
        dark = images.flatten(1).mean(1, keepdim=True) < 0.2
        return torch.where(dark, torch.nan, self.head(images))


@pytest.mark.parametrize("name", METHODS.things())
def test_logits_that_are_nan_have_no_attribution_and_cost_no_other_image_its_own(name):
    grey = (110 + noise(3).images[0] // 8).astype(np.uint8)
    shown = labelled(linear(), [grey, np.zeros_like(grey), np.full_like(grey, 255)])
    method = METHODS.get(name)(**({"baseline": 0.5} if name == "integrated_gradients" else {}))
    labels = torch.tensor(shown.labels)
    found, whole = (
        method.attribute(opened(net).logits, pixels(shown), labels, [1, 2, 3])
        for net in (NanInTheDark(), linear())
    )
    assert found[1].isnan().all()
    for row in (0, 2):
        assert torch.equal(found[row], whole[row])
