"""A card becomes a blueprint without weights in memory, and an open model with exactly its weights."""

from hashlib import sha256
from math import prod
from pathlib import Path

import pytest
import timm as timm_library
import torch
from safetensors.torch import save_file
from torch import nn

from tests.planted_nets import noise, opened, pixels
from tests.rounding import float32_network
from zoo_eval.catalog import Edits, ModelCard
from zoo_eval.digests import file_digest, seed_from
from zoo_eval.errors import Refusal
from zoo_eval.models.blueprint import blueprint
from zoo_eval.models.grading import grade
from zoo_eval.models.open_model import first_batch, open_model
from zoo_eval.representations.footprint import n_features

ARCHITECTURE = "timm/test_efficientnet"
CPU = torch.device("cpu")


def card(**facts):
    return ModelCard("local/m", "local", facts.pop("architecture", ARCHITECTURE), **facts)


@pytest.fixture(scope="module")
def net():
    """A network with weights of its own, made by timm."""
    torch.manual_seed(1)
    return timm_library.create_model("test_efficientnet").eval()


@pytest.fixture(scope="module")
def checkpoint(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    save_file(net.state_dict(), path)
    return path


def saved(tmp_path, state) -> Path:
    path = tmp_path / "other.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path


def test_a_checkpoint_gives_the_logits_of_its_network(net, checkpoint):
    model = open_model(card(checkpoint=checkpoint), CPU)
    view = torch.rand(2, 3, 160, 160)
    with torch.no_grad():
        expected = net(model.transform.normalise(view))
        assert torch.equal(model.logits(view), expected)


def test_a_prefix_in_its_names_is_stripped(net, tmp_path):
    path = saved(tmp_path, {f"module.{k}": v for k, v in net.state_dict().items()})
    model = open_model(card(checkpoint=path, keys="module."), CPU)
    for name, tensor in net.state_dict().items():
        assert torch.equal(model.net.state_dict()[name], tensor)


def test_wrong_names_are_refused_with_the_first_of_each_kind(net, tmp_path):
    state = dict(net.state_dict())
    state["zebra.weight"] = state.pop("conv_stem.weight")
    path = saved(tmp_path, state)
    said = r"1 missing \(first: conv_stem.weight\), 1 unexpected \(first: zebra.weight\)"
    with pytest.raises(Refusal, match=said):
        blueprint(card(checkpoint=path))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"unavailable": "no such file"}, "no such file"),
        ({"architecture": "timm/resnet81"}, "unknown architecture 'timm/resnet81'; nearest: resnet"),
        ({"checkpoint": Path("nowhere.pth")}, "checkpoint nowhere.pth does not exist"),
        ({"weights": "untrained", "edits": Edits(bits=1)}, "bits = 1"),
        ({"weights": "untrained", "edits": Edits(input_px=16)}, "input_px = 16"),
        ({"architecture": "timm/test_vit", "weights": "untrained", "edits": Edits(input_px=96)},
         "takes 160 px input only"),
    ],
)  # fmt: skip
def test_what_cannot_be_opened_is_refused_before_it_is(facts, said):
    with pytest.raises(Refusal, match=said):
        blueprint(card(**facts))


def test_a_blueprint_counts_what_the_network_has(net, checkpoint):
    plan = blueprint(card(checkpoint=checkpoint))
    assert plan.anatomy.n_params == sum(p.numel() for p in net.parameters())
    assert plan.anatomy.n_classes == 1000
    assert plan.transform.input_px == 160


def test_weights_are_identified_by_file_mapping_and_edits(checkpoint):
    def digest(**facts):
        return blueprint(card(checkpoint=checkpoint, **facts)).weights_digest

    plain = digest()
    assert plain == file_digest(checkpoint)
    assert digest(edits=Edits(input_px=96)) == plain  # the weights are the same
    others = {
        digest(edits=Edits(prune=0.1)),
        digest(edits=Edits(noise=0.1)),
        digest(edits=Edits(bits=4)),
        digest(keys="nothing."),
        blueprint(card(weights="untrained")).weights_digest,
        blueprint(card(weights="untrained", architecture="timm/test_vit")).weights_digest,
    }
    assert len({plain, *others}) == 7


@pytest.fixture
def both(net, tmp_path):
    """A checkpoint with weights as trained, and their moving average."""
    averaged = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    averaged["classifier.bias"] += 1
    path = tmp_path / "both.pth"
    torch.save({"model": net.state_dict(), "model_ema": averaged, "epoch": 3}, path)
    return path


def test_moving_averages_are_taken_and_told_and_have_an_identity_of_their_own(net, both):
    bias = net.state_dict()["classifier.bias"]
    for key, expected, told in ((None, bias + 1, "model_ema"), ("model", bias, "model")):
        model = open_model(card(checkpoint=both, weights_key=key), CPU)
        assert torch.equal(model.net.state_dict()["classifier.bias"], expected)
        assert model.blueprint.weights_key == told
    # What the file's digest alone meant before, it means still.
    assert blueprint(card(checkpoint=both, weights_key="model")).weights_digest == file_digest(both)
    digests = {blueprint(card(checkpoint=both, weights_key=k)).weights_digest
               for k in (None, "model", "model_ema")}  # fmt: skip
    assert len(digests) == 2


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {"net": s}])
def test_without_averages_the_identity_is_that_of_the_file(net, tmp_path, wrap):
    torch.save(wrap(net.state_dict()), tmp_path / "w.pth")
    plan = blueprint(card(checkpoint=tmp_path / "w.pth"))
    assert (plan.weights_digest, plan.weights_key) == (file_digest(tmp_path / "w.pth"), None)


def test_what_is_ignored_changes_no_identity(net, tmp_path):
    torch.save({**net.state_dict(), "aux.weight": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(
        Refusal, match=r'1 unexpected \(first: aux.weight\); ignore = \["aux.weight"'
    ):
        blueprint(card(checkpoint=tmp_path / "w.pth"))
    ignoring = card(checkpoint=tmp_path / "w.pth", ignore=("aux.*",))
    assert blueprint(ignoring).weights_digest == file_digest(tmp_path / "w.pth")
    opened = open_model(ignoring, CPU)
    assert torch.equal(
        opened.net.state_dict()["classifier.bias"], net.state_dict()["classifier.bias"]
    )


def test_averages_at_an_address_are_named_before_they_are_downloaded(net, both, monkeypatch):
    monkeypatch.setattr("zoo_eval.models.blueprint.urls.download", lambda url, sha256: both)
    digest = sha256(both.read_bytes()).hexdigest()
    at = {"url": "https://example.org/both.pth", "sha256": digest}
    with pytest.raises(Refusal, match='write weights_key = "model_ema" or "model"'):
        open_model(card(**at), CPU)
    bias = net.state_dict()["classifier.bias"]
    found = set()
    for key, expected in (("model", bias), ("model_ema", bias + 1)):
        model = open_model(card(**at, weights_key=key), CPU)
        assert torch.equal(model.net.state_dict()["classifier.bias"], expected)
        assert model.blueprint.weights_key == key
        found.add(model.blueprint.weights_digest)
    assert len({*found, file_digest(both)}) == 3


def test_edits_are_applied_with_a_seed_of_the_weights_digest(net, checkpoint):
    edited = card(checkpoint=checkpoint, edits=Edits(noise=0.2, bits=5))
    expected = timm_library.create_model("test_efficientnet")
    expected.load_state_dict(net.state_dict())
    grade(expected, edited.edits, seed=seed_from(blueprint(edited).weights_digest))
    found = open_model(edited, CPU).net.state_dict()
    assert all(torch.equal(found[name], t) for name, t in expected.state_dict().items())
    assert not torch.equal(found["conv_stem.weight"], net.state_dict()["conv_stem.weight"])


def test_an_untrained_model_is_always_the_same_and_leaves_the_seed_alone():
    torch.manual_seed(5)
    first = open_model(card(weights="untrained"), CPU).net.state_dict()
    after_opening = torch.rand(1)
    second = open_model(card(weights="untrained"), CPU).net.state_dict()
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after_opening)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("architecture", [ARCHITECTURE, "timm/test_vit", "timm/test_resnet"])
def test_blocks_are_in_the_order_they_run_in_and_their_depth_grows(architecture):
    model = open_model(card(architecture=architecture, weights="untrained"), CPU)
    plan = model.blueprint
    ran = []
    # The pooled features are what a module reads: theirs is the last place before the logits.
    *blocks, pooled = plan.layers("blocks")
    assert pooled == "pooled"
    for name in blocks:
        model.net.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.append(name))
    px = plan.transform.input_px
    model.logits(torch.rand(1, 3, px, px))
    assert blocks == ran
    depths = [plan.depth(layer) for layer in (*plan.layers("blocks"), "logits")]
    assert depths == sorted(set(depths))
    assert 0 < depths[0] < depths[-1] == 1
    for block in blocks:  # a block's output comes after everything inside it
        inside = [plan.depth(m) for m in plan.modules if m.startswith(f"{block}.")]
        assert all(plan.depth(block) >= depth for depth in inside)


def test_layers_are_chosen_by_name_and_pattern_in_network_order():
    plan = blueprint(card(weights="untrained"))
    assert plan.layers("blocks") == plan.layers("blocks")
    assert plan.layers("logits") == ("logits",)
    assert plan.layers(["logits", "blocks.1", "conv_stem"]) == ("conv_stem", "blocks.1", "logits")
    assert set(plan.layers("blocks.?")) == {n for n in plan.modules if n.count(".") == 1 and n.startswith("blocks.")}  # fmt: skip
    with pytest.raises(Refusal, match=r"layer 'block.1' is not in the model; nearest: blocks.1"):
        plan.layers(["block.1", "blok.1"])
    # What one model lacks, another may have.
    assert plan.layers(["logits", "block.1"]) == ("logits",)


def test_blocks_are_thinned_from_the_last_and_the_pooled_features_stay():
    plan = blueprint(card(architecture="timm/resnet50", weights="untrained"))
    every = plan.layers("blocks")
    assert len(every) == 3 + 4 + 6 + 3 + 1
    assert plan.layers("blocks/2") == (*every[1:16:2], "pooled")
    assert plan.layers("blocks/5") == (*every[0:16:5], "pooled")
    assert plan.layers("blocks/99") == (every[15], "pooled")
    for wrong in ("blocks/0", "blocks/1", "stages/2", "blocks/x"):
        with pytest.raises(Refusal, match="is not in the model"):
            plan.layers(wrong)


def test_named_choices_are_told_without_building_what_they_name(monkeypatch):
    from zoo_eval.models.blueprint import Blueprint

    plan = blueprint(card(architecture="timm/resnet50", weights="untrained"))
    monkeypatch.setattr(Blueprint, "outline", property(lambda self: pytest.fail("built")))
    for choice in ("blocks", "blocks/3", "stages", "feature_info"):
        assert n_features(plan, plan.layers(choice)).keys() == set(plan.layers(choice))


def test_features_of_named_layers_are_as_many_as_are_captured():
    plan = blueprint(card(weights="untrained"))
    for name, n in n_features(plan, plan.layers("all")).items():
        if name != "logits":
            assert n == prod(plan.captured[name][1:])


def test_predictions_equal_the_network_on_its_own_view_in_any_batch_size(net, checkpoint):
    model = open_model(card(checkpoint=checkpoint), CPU)
    images = [*noise(3, px=200).images, *noise(4, px=180, seed=1).images]
    with torch.no_grad():
        expected = torch.cat(
            [net(model.transform.normalise(model.transform.view_images([i], CPU))) for i in images]
        )
    for batch_size in (1, 3, 7, 100):
        model.batch_size = batch_size
        bound = float32_network(net, float(expected.abs().max()))
        assert (model.predict(images) - expected).abs().max() <= bound


def test_gradients_reach_pixels_of_another_size_and_not_the_weights(checkpoint):
    model = open_model(card(checkpoint=checkpoint), CPU)
    seen = torch.rand(1, 3, 190, 230, requires_grad=True)
    model(seen)[0, 0].backward()
    assert seen.grad.abs().sum() > 0
    assert all(p.grad is None and not p.requires_grad for p in model.net.parameters())
    assert not model.net.training


def test_passes_are_counted_forward_and_backward():
    model = opened(nn.Flatten())
    view = torch.rand(5, 3, 8, 8)
    model.logits(view)
    assert model.n_passes == 5
    model.logits(view.requires_grad_()).sum().backward()
    assert model.n_passes == 15


class Greedy(nn.Module):
    """Planted: a network that exhausts memory on more than `most` images."""

    def __init__(self, most):
        super().__init__()
        self.most = most
        self.asked = []

    def forward(self, images):
        self.asked.append(len(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError("planted")
        return images.flatten(1)


def test_a_batch_that_exhausts_memory_is_halved_until_it_fits():
    model, stimuli = opened(Greedy(3)), noise(11)
    assert torch.equal(model.predict(stimuli.images), pixels(stimuli).flatten(1))
    assert model.net.asked == [11, 11, 8, 4, 2, 2, 2, 2, 2, 1]
    assert model.batch_size == 2


@pytest.mark.parametrize(
    ("activation_bytes", "n"), [(0, 32), (2**20, 32), (2**28, 16), (3 * 2**30, 1), (2**40, 1)]
)
def test_the_first_batch_is_one_whose_activations_fit(activation_bytes, n):
    assert first_batch(activation_bytes, CPU) == n


def test_a_single_image_that_exhausts_memory_is_an_error():
    with pytest.raises(torch.OutOfMemoryError, match="planted"):
        opened(Greedy(0)).predict(noise(4).images)
