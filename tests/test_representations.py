"""Gram matrices equal F F^T of the explicit features, whatever the memory budget."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch import nn

from tests.planted_nets import noise, opened, pixels
from zoo_eval.catalog import ModelCard
from zoo_eval.errors import Refusal
from zoo_eval.models import open_model
from zoo_eval.representations import NonFinite, Representations, Slice, passes

PLENTY = 2**30


def convolutions():
    """Planted: convolutions of known sizes; the second works in place on the first one's output."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(inplace=True), nn.Conv2d(5, 2, 3),
                         nn.Flatten(), nn.Linear(32, 7))  # fmt: skip


def outputs(net, stimuli):
    """Every layer's output, by running the layers one after another on copies."""
    values, found = pixels(stimuli), {}
    with torch.no_grad():
        for name, layer in net.named_children():
            values = layer(values.clone())
            found[name] = values.clone().flatten(1)
    return {**found, "logits": values}


@pytest.mark.parametrize("batch_size", [32, 4])
def test_grams_and_features_equal_explicit_ones(batch_size):
    net, stimuli = convolutions(), noise(9)
    expected = outputs(net, stimuli)
    model = opened(net)
    model.batch_size = batch_size
    representations = Representations(model, PLENTY)
    layers = list(expected)
    grams = representations.grams(stimuli, layers)
    features = list(representations.features(stimuli, layers))
    for layer, explicit in expected.items():
        exact = explicit.double() @ explicit.double().T
        assert grams[layer].gram.dtype == torch.float64
        # The convolution's own float32 rounding differs with the batch; the product's does not.
        assert_allclose(grams[layer].gram, exact, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(torch.cat([batch[layer] for batch in features]), explicit)
        assert grams[layer].n_features == explicit.shape[1]
    assert grams["0"].shape == (5, 6, 6)


def test_a_gram_matrix_is_exact_in_float64():
    # Features of 10^4 with differences of 10^-1: float32 products would lose every digit.
    stimuli = noise(6)
    net = nn.Sequential(nn.Flatten(), Add(1e4))
    (gram,) = Representations(opened(net), PLENTY).grams(stimuli, ["1"]).values()
    features = (pixels(stimuli).flatten(1) + 1e4).double().numpy()
    assert_allclose(gram.gram, features @ features.T, rtol=1e-14)


def test_work_in_place_does_not_corrupt_the_layer_before():
    stimuli = noise(5)
    grams = Representations(opened(convolutions()), PLENTY).grams(stimuli, ["0", "1"])
    before = outputs(convolutions(), stimuli)["0"]
    assert (before < 0).any()  # what the in-place ReLU would have removed
    assert_allclose(grams["0"].gram, before.double() @ before.double().T, rtol=1e-5)
    assert not torch.allclose(grams["0"].gram, grams["1"].gram)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.3, 0.11])
def test_a_small_budget_takes_more_passes_and_gives_the_same(share):
    stimuli, layers = noise(9), ["0", "2", "logits"]
    n_features = 5 * 36 + 2 * 16 + 7
    budget = int(share * n_features) * 9 * 4
    whole = Representations(opened(convolutions()), PLENTY).grams(stimuli, layers)
    model = opened(convolutions())
    parts = Representations(model, budget).grams(stimuli, layers)
    for layer in layers:
        assert_allclose(parts[layer].gram, whole[layer].gram, rtol=1e-12)
    n_passes = math.ceil(n_features / int(share * n_features))
    assert model.n_passes == 1 + 9 * n_passes  # one image to learn the shapes


sizes = st.dictionaries(st.text(min_size=1), st.integers(1, 50), min_size=1, max_size=6)


@given(sizes, st.integers(1, 10), st.integers(1, 60))
def test_passes_hold_every_feature_once_within_the_budget(n_features, n_stimuli, capacity):
    plan = passes(n_features, n_stimuli, capacity * n_stimuli * 4)
    assert len(plan) == math.ceil(sum(n_features.values()) / capacity)
    for held in plan:
        assert 0 < sum(part.stop - part.start for part in held) <= capacity
    for layer, n in n_features.items():
        parts = [part for held in plan for part in held if part.layer == layer]
        assert [i for part in parts for i in range(part.start, part.stop)] == list(range(n))


def test_a_budget_below_one_feature_is_refused():
    assert passes({"a": 2}, 10, 40) == [[Slice("a", 0, 1)], [Slice("a", 1, 2)]]
    with pytest.raises(Refusal, match="memory_budget of 39 bytes holds no feature of 10 stimuli"):
        passes({"a": 2}, 10, 39)


def test_a_gram_matrix_is_computed_once_per_stimulus_set():
    model = opened(convolutions())
    representations = Representations(model, PLENTY)
    first = representations.grams(noise(5), ["0"])
    before = model.n_passes
    again = representations.grams(noise(5), ["0"])  # equal content, another object
    assert again["0"] is first["0"]
    assert model.n_passes == before
    representations.grams(noise(5), ["0", "2"])
    other = representations.grams(noise(5, seed=1), ["0"])
    assert not torch.equal(other["0"].gram, first["0"].gram)


class Add(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, images):
        return images + self.value


class Overflow(nn.Module):
    """Planted: infinite wherever a pixel is nearly white."""

    def forward(self, images):
        return torch.where(images > 0.99, torch.inf, images)


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_a_layer_that_is_not_finite_is_reported_and_the_others_are_fine(value):
    net = nn.Sequential(nn.Flatten(), Add(value), nn.Threshold(-1e30, 0.0), Clean())
    grams = Representations(opened(net), PLENTY).grams(noise(4), ["0", "1", "3"])
    assert isinstance(grams["1"], NonFinite)
    assert "layer 1 of local/planted has non-finite activations" in str(grams["1"])
    explicit = pixels(noise(4)).flatten(1).double()
    assert_allclose(grams["0"].gram, explicit @ explicit.T, rtol=1e-12)
    assert grams["3"].gram.isfinite().all()


class Clean(nn.Module):
    def forward(self, images):
        return torch.nan_to_num(images, posinf=1.0, neginf=-1.0)


def test_one_bad_value_among_all_stimuli_is_enough():
    stimuli = noise(6)
    net = nn.Sequential(nn.Flatten(), Overflow())
    assert (pixels(stimuli).flatten(1) > 0.99).any()
    grams = Representations(opened(net), PLENTY).grams(stimuli, ["1"])
    assert isinstance(grams["1"], NonFinite)


class Pair(nn.Module):
    def forward(self, images):
        return images, images


class TakesFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.pair = Pair()

    def forward(self, images):
        return self.pair(images)[0].flatten(1)


def test_a_layer_that_returns_several_tensors_is_refused():
    representations = Representations(opened(TakesFirst()), PLENTY)
    with pytest.raises(Refusal, match=r"layer .pair. returns tuple for 1 images, not one tensor"):
        representations.grams(noise(2), ["pair"])
    assert not representations.model.net.pair._forward_hooks  # no hook is left behind


def test_a_real_architecture_gives_the_same_gram_in_one_pass_and_in_many():
    model = open_model(
        ModelCard("m", "local", "timm/test_efficientnet", weights="untrained"), torch.device("cpu")
    )
    stimuli, layers = noise(6, px=160), list(model.blueprint.layers("blocks"))
    whole = Representations(model, PLENTY)
    n_features = sum(int(np.prod(shape)) for shape in whole.shapes(stimuli, layers).values())
    one, many = (
        Representations(model, budget).grams(stimuli, layers)
        for budget in (PLENTY, n_features * 6 * 4 // 3)
    )
    explicit = {layer: [] for layer in layers}
    for batch in whole.features(stimuli, layers):
        for layer in layers:
            explicit[layer].append(batch[layer])
    for layer in layers:
        features = torch.cat(explicit[layer]).double()
        assert_allclose(one[layer].gram, features @ features.T, rtol=1e-10)
        assert_allclose(many[layer].gram, one[layer].gram, rtol=1e-10)
