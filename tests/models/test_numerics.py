"""A network runs by the numerics of its run, in every process; what becomes of its activations is exact."""

import pytest
import torch
from torch import nn

from tests.planted_nets import noise
from tests.rounding import OF_PRODUCTS
from zoo_eval.catalog import ModelCard
from zoo_eval.commands import sweep
from zoo_eval.commands.sweep import SweepOptions
from zoo_eval.errors import Refusal
from zoo_eval.models.open_model import open_model
from zoo_eval.numerics import precision
from zoo_eval.numerics.precision import FLOAT32, NUMERICS
from zoo_eval.queries.connection import connect
from zoo_eval.representations.representations import Representations
from zoo_eval.store import Store

CPU = torch.device("cpu")
CARD = ModelCard("local/m", "local", "timm/test_efficientnet", weights="untrained")
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(autouse=True)
def as_before():
    """PyTorch is left as these tests find it."""
    with precision.using(FLOAT32):
        yield


@pytest.mark.parametrize("name", NUMERICS)
def test_an_open_model_has_set_them(name):
    torch.set_float32_matmul_precision("medium")
    model = open_model(CARD, CPU, NUMERICS[name])
    assert precision.found(model.numerics) == NUMERICS[name].key


def test_a_device_with_other_numerics_is_refused_in_words():
    with pytest.raises(
        Refusal, match=r"device 'mps' has numerics of its own.*use one of cpu, cuda"
    ):
        open_model(CARD, torch.device("mps"))


@torch.no_grad()
def test_bf16_is_autocast_around_the_network_and_logits_are_float32():
    exact, cast = (open_model(CARD, CPU, NUMERICS[name]) for name in ("float32", "bf16"))
    view = exact.view(noise(4, px=160).images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = exact.net(exact.transform.normalise(view)).float()
    found = cast.logits(view)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert (found - exact.logits(view)).abs().max() > 0


def test_gradients_reach_the_pixels_under_bf16():
    model = open_model(CARD, CPU, NUMERICS["bf16"])
    pixels = torch.rand(1, 3, 160, 160, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.logits(pixels).sum(), pixels)
    assert gradient.dtype == torch.float32
    assert gradient.abs().max() > 0


def test_gram_matrices_of_bf16_activations_are_exact():
    model, stimuli = open_model(CARD, CPU, NUMERICS["bf16"]), noise(12, px=160)
    representations = Representations(model, 2**28)
    layers = ["blocks.0", "blocks.1", "logits"]
    (features,) = representations.features(stimuli, layers)
    grams = representations.grams(stimuli, layers)
    for layer in layers:
        assert features[layer].dtype == torch.float32
        rows = features[layer].double()
        scale = rows.norm(dim=1)[:, None] * rows.norm(dim=1)
        assert ((grams[layer].gram - rows @ rows.T) / scale).abs().max() < OF_PRODUCTS
    # Rounded activations would not tell one order of products from another: these are rounded.
    assert torch.equal(features["blocks.0"], features["blocks.0"].bfloat16().float())


@gpu
@torch.no_grad()
def test_float32_on_a_gpu_is_the_cpus():
    """Activations relative to the layer's largest, 1e-5 and in the deepest layers 1e-4."""
    stimuli, found = noise(8, px=160), {}
    for device in (CPU, torch.device("cuda:0")):
        representations = Representations(open_model(CARD, device), 2**28)
        layers = [*representations.model.blueprint.layers("blocks"), "logits"]
        (found[device.type],) = representations.features(stimuli, layers)
    worst = {}
    for layer, cpu in found["cpu"].items():
        worst[layer] = float((cpu - found["cuda"][layer]).abs().max() / cpu.abs().max())
    print("largest difference from the CPU by layer:", worst)
    deepest = list(worst)[-2:]
    assert all(one <= (1e-4 if layer in deepest else 1e-5) for layer, one in worst.items())


@gpu
@torch.no_grad()
def test_tf32_on_a_gpu_is_what_its_name_says():
    x, y = torch.randn(2, 256, 256, device="cuda")
    errors = {}
    for name in ("float32", "tf32"):
        precision.use(NUMERICS[name])
        errors[name] = float((x @ y - (x.double() @ y.double())).abs().max())
        layer = nn.functional.conv2d(x[None, None], y[None, None, :5, :5])
        true = nn.functional.conv2d(x.double()[None, None], y.double()[None, None, :5, :5])
        errors[f"{name} convolution"] = float((layer - true).abs().max())
    print("largest errors of products:", errors)
    assert errors["tf32"] > 10 * errors["float32"]
    precision.use(NUMERICS["tf32"])
    with precision.exact(torch.device("cuda")):
        exact = float((x @ y - (x.double() @ y.double())).abs().max())
    assert exact < errors["tf32"] / 10


@gpu
def test_scores_and_distances_on_a_gpu_are_the_cpus(tiny_sweep, tmp_path, monkeypatch):
    """Scores to 1e-5, the median distance over photos to 1e-3 of itself."""
    found = {}
    for device in ("cuda", "cpu"):
        with monkeypatch.context() as patched:
            if device == "cpu":
                patched.setattr(torch.cuda, "is_available", lambda: False)
            options = SweepOptions(
                tiny_sweep, tmp_path, store=str(tmp_path / device), runner="local"
            )
            assert sweep.run(options, lambda line: None) == 0
        connection = connect(Store(str(tmp_path / device)))
        assert {row["device"] == "cpu" for row in connection.rows(
            "SELECT device FROM trials WHERE model IS NOT NULL")} == {device == "cpu"}  # fmt: skip
        found[device] = {query: connection.rows(query) for query in (SCORES, DISTANCES)}
    worst = {}
    for query, bound in ((SCORES, 1e-5), (DISTANCES, 1e-3)):
        pairs = list(zip(found["cpu"][query], found["cuda"][query], strict=True))
        assert pairs
        worst[bound] = max(
            abs(a["value"] - b["value"]) / (1 if query == SCORES else a["value"]) for a, b in pairs
        )
    print("largest differences from the CPU, of scores and of median distances:", worst)
    assert all(difference <= bound for bound, difference in worst.items())


SCORES = """
SELECT score AS value FROM neural_scores WHERE score IS NOT NULL
ORDER BY model, layer, readout, fold
"""
DISTANCES = """
SELECT median(distance) AS value FROM attacks WHERE status = 'found'
GROUP BY model, attack ORDER BY model, attack
"""
