"""Gram matrices equal F F^T of the explicit features, whatever the memory budget."""

import gc
import os
import tempfile
from typing import NamedTuple

import psutil
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression
from torch import nn

from tests.planted_nets import noise, opened, pixels
from tests.rounding import (
    BFLOAT16,
    FLOAT32,
    OF_OFFSETS,
    OF_PRODUCTS,
    assert_within,
    float32_outputs,
    float32_products,
    float64_products,
    gram_errors,
)
from zoo_eval.catalog import ModelCard
from zoo_eval.errors import Refusal
from zoo_eval.models.blueprint import blueprint
from zoo_eval.models.open_model import open_model
from zoo_eval.numerics.pls import fit_paths
from zoo_eval.numerics.products import FEW
from zoo_eval.numerics.sketch import count_sketch
from zoo_eval.representations.footprint import GramRequest, n_features, passes, peak_bytes
from zoo_eval.representations.grams import NonFinite
from zoo_eval.representations.representations import Representations

PLENTY = 2**30


def convolutions():
    """Planted: convolutions of known sizes; the second works in place on the first one's output."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(inplace=True), nn.Conv2d(5, 2, 3),
                         nn.Flatten(), nn.Linear(32, 7))  # fmt: skip


def stated_errors(features):
    """How far the Gram matrix and the row sums of given float64 features may be off.

    Up to `FEW` features are multiplied in float64. Of more, what differs from an offset is float32.
    """
    if features.shape[1] <= FEW:
        size = features.abs()
        rounding = float64_products(features.shape[1])
        return rounding * size @ size.T, rounding * size.sum(1)
    # The offset is the mean of four stimuli, which is as near as the stimuli are to each other.
    mean = features.mean(0)
    spread = 2 * (features - mean).norm(dim=1).max()
    length = mean.norm() + spread
    # Float32 subtracts the offset: half a unit in the last place of each difference.
    products = (OF_PRODUCTS + 2 * FLOAT32) * spread**2
    along = (OF_OFFSETS + FLOAT32) * spread * length
    sums = (OF_OFFSETS + FLOAT32) * spread * features.shape[1] ** 0.5
    exact = float64_products(features.shape[1], float(length**2))
    return torch.full((len(features),) * 2, float(products + 2 * along + exact)), (
        sums + float64_products(features.shape[1]) * features.abs().sum(1)
    )


def moved_codes(error):
    """How far Gram matrices of codes of length 1 move where float32 errors are relative `error`.

    Codes are bfloat16. A share of `error` / u of them lies so near a tie that it becomes the
    neighbouring number, 2 u away: together sqrt(4 u error), in either factor.
    """
    return 2 * (4 * BFLOAT16 * error) ** 0.5


class Exact(NamedTuple):
    """A layer's features (stimulus, feature), and how far off what float32 makes of them may be."""

    features: torch.Tensor
    gram_errors: torch.Tensor
    sum_errors: torch.Tensor

    def check(self, found, *, times=1):
        """Fails where a Gram matrix or a row sum is so many times farther off than it may be."""
        gram, sums = self.features @ self.features.T, self.features.sum(1)
        assert_within(found.gram, gram, times * self.gram_errors)
        assert_within(found.row_sums, sums, times * self.sum_errors)

    def check_same(self, one, other):
        """Fails where two are farther apart than both may be from what is exact."""
        assert_within(one.gram, other.gram, 2 * self.gram_errors)
        assert_within(one.row_sums, other.row_sums, 2 * self.sum_errors)


def exact_outputs(net, stimuli):
    """`Exact` by layer, the rounding of the network's own float32 sums included."""
    found = {}
    for layer, (features, errors) in float32_outputs(net, pixels(stimuli)).items():
        of_gram, of_sums = stated_errors(features)
        of_gram = of_gram + gram_errors(features, errors)
        found[layer] = Exact(features, of_gram, of_sums + errors.sum(1))
    return found


@pytest.mark.parametrize("batch_size", [32, 4])
def test_grams_and_features_equal_explicit_ones(batch_size):
    net, stimuli = convolutions(), noise(9)
    expected = exact_outputs(net, stimuli)
    model = opened(net)
    model.batch_size = batch_size
    representations = Representations(model, PLENTY)
    layers = list(expected)
    grams = representations.grams(stimuli, layers)
    features = list(representations.features(stimuli, layers))
    for layer, (explicit, errors) in float32_outputs(net, pixels(stimuli)).items():
        assert grams[layer].gram.dtype == torch.float64
        expected[layer].check(grams[layer])
        assert grams[layer].sketch is None
        assert_within(torch.cat([batch[layer] for batch in features]), explicit, errors)
        assert grams[layer].n_features == explicit.shape[1]
    assert grams["0"].shape == (5, 6, 6)


def test_a_gram_matrix_is_exact_in_float64():
    # Features of 10^4 with differences of 10^-1: float32 products would lose every digit.
    stimuli = noise(6)
    net = nn.Sequential(nn.Flatten(), Add(1e4))
    (gram,) = Representations(opened(net), PLENTY).grams(stimuli, ["1"]).values()
    features = (pixels(stimuli).flatten(1) + 1e4).double().numpy()
    assert_allclose(gram.gram, features @ features.T, rtol=2 * float64_products(192))


def test_work_in_place_does_not_corrupt_the_layer_before():
    stimuli = noise(5)
    grams = Representations(opened(convolutions()), PLENTY).grams(stimuli, ["0", "1"])
    before = exact_outputs(convolutions(), stimuli)["0"]
    assert (before.features < 0).any()  # what the in-place ReLU would have removed
    before.check(grams["0"])
    assert not torch.allclose(grams["0"].gram, grams["1"].gram)


def wide(mean=0.0):
    """Planted: two layers of many features, the second around a mean, and one of few."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 20, 1), nn.Conv2d(20, 12, 1), nn.Flatten(),
                        nn.Linear(12 * 1024, 7))  # fmt: skip
    net[1].requires_grad_(False).bias += mean * torch.arange(1, 13)
    assert 20 * 1024 > 12 * 1024 > FEW
    return net


@pytest.mark.parametrize(("n", "mean", "sketch"), [(60, 0, None), (60, 30, None), (150, 0, 9000)])
def test_pls_ends_at_the_rank_of_a_layer_of_many_features(n, mean, sketch):
    stimuli, rank = noise(n), 5
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, rank), nn.Linear(rank, 20_000))
    net[2].requires_grad_(False).bias.mul_(mean)
    representations = Representations(opened(net), PLENTY)
    gram = representations.grams(stimuli, ["2"], sketch=sketch)["2"].gram
    latent = explicit_of(representations.model, stimuli, ["1"])["1"]
    generator = torch.Generator().manual_seed(1)
    mixing = torch.randn(rank, 8, generator=generator, dtype=torch.float64)
    responses = latent @ mixing + torch.randn(n, 8, generator=generator, dtype=torch.float64)
    training = torch.arange(n) % 4 != 0
    path = fit_paths(gram, responses, training[None], 25)
    rows = (~training).nonzero()[:, 0]
    # With all components of what there is, PLS is least squares.
    known = LinearRegression().fit(latent[training], responses[training])
    expected = known.predict(latent[rows])
    features = explicit_of(representations.model, stimuli, ["2"])["2"]
    errors = float(stated_errors(features)[0].max())
    if sketch is not None:
        # Each code is rounded to bfloat16: as many errors as codes, of either sign.
        errors += 6 * 2 * BFLOAT16 * float(gram.diagonal().max()) / sketch**0.5
    # PLS follows the errors over the smallest eigenvalue, n of them added as their squares.
    centred = features[training] - features[training].mean(0)
    smallest = float(torch.linalg.eigvalsh(centred @ centred.T)[-rank])
    bound = errors * n**0.5 / smallest * float(responses.abs().max())
    assert_allclose(path.predictions(0, rows, 25), expected, rtol=0, atol=bound)
    assert int((path.scores[0].abs().sum(1) > 0).sum()) == rank


def explicit_of(model, stimuli, layers):
    """Float64 features (stimulus, feature) by layer."""
    batches = list(Representations(model, PLENTY).features(stimuli, layers))
    return {layer: torch.cat([batch[layer] for batch in batches]).double() for layer in layers}


@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_many_features_are_exact_relative_to_their_spread(mean):
    stimuli, layers = noise(40, px=32), ["0", "1"]
    model = opened(wide(mean), input_px=32)
    grams = Representations(model, PLENTY).grams(stimuli, layers)
    for layer, features in explicit_of(model, stimuli, layers).items():
        found = grams[layer].gram
        Exact(features, *stated_errors(features)).check(grams[layer])
        assert torch.equal(found, found.T)
        centred = features - features.mean(0)
        centring = torch.eye(40, dtype=torch.float64) - 1 / 40
        # The mean is up to 10^4 times the spread: float32 products would leave nothing of this.
        difference = centring @ found @ centring - centred @ centred.T
        # The offset is the mean of four: what differs from it is at most twice as large.
        largest = 4 * float(centred.square().sum(1).max())
        assert float(difference.abs().max()) < (OF_PRODUCTS + 2 * FLOAT32) * largest


@pytest.mark.parametrize("share", [1.0, 0.6, 0.4, 0.25])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_small_budget_takes_more_passes_and_gives_the_same(share, batch_size):
    stimuli, layers = noise(23, px=32), ["0", "1", "logits"]
    model = opened(wide(), input_px=32)
    whole = Representations(model, PLENTY).grams(stimuli, layers)
    model.batch_size = batch_size
    sizes = {layer: gram.n_features for layer, gram in whole.items()}
    request = GramRequest(sizes, 23, batch_size)
    plan = passes(request, int(share * passes(request, PLENTY).peak_bytes))
    model.n_passes = 0
    parts = Representations(model, plan.peak_bytes).grams(stimuli, layers)
    expected = exact_outputs(wide(), stimuli)
    for layer in layers:
        # Batches of other sizes are rounded otherwise in the network.
        expected[layer].check_same(parts[layer], whole[layer])
    assert (plan.n_passes > 1) == (share < 1)
    # One image to learn the shapes, and four for each group's mean.
    with_mean = [any(sizes[part.layer] > FEW for part in group) for group in plan.groups]
    assert model.n_passes == 1 + 4 * sum(with_mean) + plan.n_images


def test_layers_are_cut_where_not_even_one_stimulus_fits_whole():
    stimuli, layers = noise(5), ["0", "2", "logits"]
    expected = exact_outputs(convolutions(), stimuli)
    model = opened(convolutions())
    model.batch_size = 1
    request = GramRequest({"0": 180, "2": 32, "logits": 7}, 5, 1)
    budget = peak_bytes(request, 1, 60)
    plan = passes(request, budget)
    cut = [part.layer for group in plan.groups for part in group]
    assert cut.count("0") > 1
    grams = Representations(model, budget).grams(stimuli, layers)
    for layer in layers:
        expected[layer].check(grams[layer])
    assert model.n_passes == 1 + plan.n_images


def test_a_batch_that_ran_out_of_memory_is_not_counted_twice():
    stimuli, layers = noise(12, px=32), ["0", "1"]
    whole = Representations(opened(wide(), input_px=32), PLENTY).grams(stimuli, layers)
    net = wide()
    model = opened(net, input_px=32)

    def exhaust(_module, inputs):
        if len(inputs[0]) > 3:
            raise torch.OutOfMemoryError

    # After the layers: their products have been taken by then.
    net[3].register_forward_pre_hook(exhaust)
    grams = Representations(model, PLENTY).grams(stimuli, layers)
    assert model.batch_size <= 3
    expected = exact_outputs(wide(), stimuli)
    for layer in layers:
        expected[layer].check_same(grams[layer], whole[layer])


def test_a_sketched_gram_matrix_is_right_on_average_and_says_so():
    stimuli, n_seeds, n_dims = noise(8, px=32), 60, 500
    model = opened(wide(100.0), input_px=32)
    exact = Representations(model, PLENTY).grams(stimuli, ["1", "logits"])
    features = explicit_of(model, stimuli, ["1"])["1"]
    representations = Representations(model, PLENTY)
    found = [
        representations.grams(stimuli, ["1", "logits"], sketch=n_dims, seed=seed)
        for seed in range(n_seeds)
    ]
    mean = torch.stack([grams["1"].gram for grams in found]).mean(0)
    # What is sketched: the rest after the mean of four stimuli.
    rest = (features - features[::2].mean(0)).square().sum(1)
    error = (2 * rest[:, None] * rest / n_dims / n_seeds).sqrt()
    assert ((mean - exact["1"].gram).abs() <= 5 * error).all()
    assert not torch.equal(found[0]["1"].gram, found[1]["1"].gram)
    for grams in found:
        assert (grams["1"].sketch, grams["logits"].sketch) == (n_dims, None)
        # The sums are those of the same features in the same batches.
        assert torch.equal(grams["1"].row_sums, exact["1"].row_sums)
        assert torch.equal(grams["logits"].gram, exact["logits"].gram)


def test_a_sketched_gram_matrix_is_that_of_explicit_sketches():
    stimuli, layers, n_dims = noise(11, px=32), ["0", "1"], 9000
    model = opened(wide(100.0), input_px=32)
    grams = Representations(model, PLENTY).grams(stimuli, layers, sketch=n_dims, seed=5)
    for layer, features in explicit_of(model, stimuli, layers).items():
        offset = features[[0, 2, 5, 8]].mean(0).float()
        code = count_sketch(features.shape[1], n_dims, 5)(features.float(), offset).codes
        code = code.bfloat16().double()
        offset = offset.double()
        along = (features - offset) @ offset
        expected = code @ code.T + along + along[:, None] + offset @ offset
        length = float(code.norm(dim=1).max())
        coded = (OF_PRODUCTS + moved_codes(float32_products(8))) * length**2
        along_errors = (OF_OFFSETS + FLOAT32) * length * float(offset.norm())
        exact = float64_products(features.shape[1]) * expected.abs()
        bound = coded + 2 * along_errors + exact
        assert_within(grams[layer].gram, expected, bound)
        assert torch.equal(grams[layer].gram, grams[layer].gram.T)


@pytest.mark.parametrize("batch_size", [4, 3])
def test_a_sketch_depends_on_neither_batches_nor_memory_nor_the_other_layers(batch_size):
    stimuli, n_dims = noise(40, px=32), 9000
    model = opened(wide(), input_px=32)
    model.batch_size = 4
    whole = Representations(model, PLENTY).grams(stimuli, ["0", "1"], sketch=n_dims, seed=3)
    model.batch_size = batch_size
    request = GramRequest({"1": 12 * 1024}, 40, batch_size, sketch=n_dims)
    budget = peak_bytes(request, 7, 12 * 1024)
    plan = passes(request, budget)
    assert plan.n_held == 7
    model.n_passes = 0
    again = Representations(model, budget).grams(stimuli, ["1"], sketch=n_dims, seed=3)
    assert model.n_passes == 1 + 4 + plan.n_images == 1 + 4 + 40
    expected = exact_outputs(wide(), stimuli)["1"]
    scale = float(whole["1"].gram.diagonal().max())
    coded = moved_codes(2 * float32_products(3 + 20)) * scale
    assert_within(again["1"].gram, whole["1"].gram, 2 * expected.gram_errors + coded)
    assert_within(again["1"].row_sums, whole["1"].row_sums, 2 * expected.sum_errors)


def test_exact_and_sketched_gram_matrices_of_a_layer_are_kept_apart():
    stimuli = noise(4, px=32)
    model = opened(wide(), input_px=32)
    representations = Representations(model, PLENTY)
    exact = representations.grams(stimuli, ["0"])["0"].gram
    sketched = representations.grams(stimuli, ["0"], sketch=100)["0"].gram
    before = model.n_passes
    assert torch.equal(representations.grams(stimuli, ["0"])["0"].gram, exact)
    assert torch.equal(representations.grams(stimuli, ["0"], sketch=100)["0"].gram, sketched)
    assert model.n_passes == before
    assert not torch.equal(exact, sketched)


def test_a_gram_matrix_is_computed_once_per_stimulus_set():
    model = opened(convolutions())
    representations = Representations(model, PLENTY)
    first = representations.grams(noise(5), ["0"])["0"].gram
    before = model.n_passes
    again = representations.grams(noise(5), ["0"])  # equal content, another object
    assert torch.equal(again["0"].gram, first)
    assert model.n_passes == before
    representations.grams(noise(5), ["0", "2"])
    other = representations.grams(noise(5, seed=1), ["0"])
    assert not torch.equal(other["0"].gram, first)
    assert torch.equal(again["0"].gram, first)


def test_what_is_handed_out_is_the_callers_own():
    grams = Representations(opened(convolutions()), PLENTY).grams(noise(5), ["0", "2"])
    assert list(grams) == ["0", "2"]
    first = grams["0"].gram.clone()
    grams["0"].gram.zero_()
    assert torch.equal(grams["0"].gram, first)


@pytest.mark.parametrize("sketch", [None, 500])
def test_a_capture_that_fails_leaves_nothing_on_the_disk(sketch, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    net, seen = wide(), []

    def fail(_module, inputs):
        seen.append(len(list(tmp_path.iterdir())))
        if len(seen) > 8:
            raise ValueError("planted error")

    net[3].register_forward_pre_hook(fail)
    model = opened(net, input_px=32)
    model.batch_size = 2
    gc.collect()
    before = psutil.Process().num_fds()
    with pytest.raises(ValueError, match="planted error"):
        Representations(model, PLENTY).grams(noise(20, px=32), ["0", "1"], sketch=sketch)
    gc.collect()
    assert psutil.Process().num_fds() == before
    assert set(seen) == {0}  # the file has no name even while it is written


@pytest.mark.parametrize("sketch", [None, 500])
def test_too_little_disk_is_refused_before_the_run(sketch, monkeypatch):
    blocks = os.statvfs_result((4096, 4096, 1000, 1, 1, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: blocks)
    model = opened(wide(), input_px=32)
    needed = 2 * 24 * 24 * 8 + (0 if sketch is None else 2 * 24 * 500 * 2)
    message = rf"{needed / 1024:.1f} KiB of disk are needed.* has 4\.0 KiB free; set TMPDIR"
    with pytest.raises(Refusal, match=message):
        Representations(model, PLENTY).grams(noise(24, px=32), ["0", "1"], sketch=sketch)
    assert model.n_passes == 1  # the shapes


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
    assert_allclose(grams["0"].gram, explicit @ explicit.T, rtol=2 * float64_products(192))
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


class Large(nn.Module):
    def forward(self, images):
        return 1e20 * images.flatten(1).repeat(1, 50)


def test_products_beyond_float32_are_told_from_activations_that_are_not_finite():
    net = nn.Sequential(Large(), nn.Tanh())
    grams = Representations(opened(net), PLENTY).grams(noise(6), ["0", "1"])
    assert isinstance(grams["0"], NonFinite)
    assert "layer 0 of local/planted has activations whose products exceed" in str(grams["0"])
    assert grams["1"].gram.isfinite().all()


def test_a_gram_matrix_beyond_the_budget_is_refused_before_the_run():
    model = opened(convolutions())
    with pytest.raises(
        Refusal, match=r"Gram matrices of 5 layers at 30 stimuli, .* 7\.0 KiB; raise"
    ):
        Representations(model, 30 * 30 * 8 - 1).grams(noise(30), ["0", "1", "2", "3", "logits"])
    assert model.n_passes == 1  # the shapes


@pytest.mark.parametrize(
    ("architecture", "px", "wanted"),
    [("timm/test_efficientnet", 160, ["blocks", "logits"]),
     ("timm/test_vit", 160, ["blocks", "blocks:cls", "blocks:mean"])],
)  # fmt: skip
def test_a_real_architecture_gives_the_same_gram_in_one_pass_and_in_many(architecture, px, wanted):
    card = ModelCard("m", "local", architecture, weights="untrained")
    model = open_model(card, torch.device("cpu"))
    model.batch_size = 2
    stimuli, layers = noise(8, px=px), list(model.blueprint.layers(wanted))
    sizes = n_features(blueprint(card), layers)
    request = GramRequest(sizes, 8, 2)
    plan = passes(request, passes(request, PLENTY).peak_bytes * 2 // 3)
    assert plan.n_passes > 1
    one, many = (
        Representations(model, budget).grams(stimuli, layers)
        for budget in (PLENTY, plan.peak_bytes)
    )
    for layer, features in explicit_of(model, stimuli, layers).items():
        assert sizes[layer] == features.shape[1] == one[layer].n_features
        # Of the very features that the network gives in these batches: it rounds nothing anew.
        exact = Exact(features, *stated_errors(features))
        exact.check(one[layer])
        exact.check(many[layer])
