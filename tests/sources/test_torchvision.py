"""Torchvision's classifiers: their files by address and digest, their own builders and transforms."""

import hashlib
import re

import pytest
import torch
import torchvision as torchvision_library
from torch.nn import functional
from torchvision.models import get_model_weights

from tests.rounding import float32_network, printed
from zoo_eval.catalog import Edits, ModelCard
from zoo_eval.errors import Refusal
from zoo_eval.models.blueprint import blueprint
from zoo_eval.models.open_model import open_model
from zoo_eval.sources import torchvision

CPU = torch.device("cpu")
NAMES = torchvision_library.models.list_models(module=torchvision_library.models)


def card(name, **facts):
    return ModelCard(f"torchvision/{name}", "torchvision", f"torchvision/{name}", **facts)


@pytest.fixture
def torch_hub(tmp_path):
    """A folder of torch.hub's of our own."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "torch_hub"))
    yield tmp_path / "torch_hub" / "checkpoints"
    torch.hub.set_dir(before)


@pytest.fixture
def served(local_hub, torch_hub, monkeypatch, tmp_path):
    """Serves a state as the file of some weights, under an address as torchvision's are."""

    def serve(name, state):
        weights = get_model_weights(name).DEFAULT
        torch.save(state, tmp_path / "w.pth")
        content = (tmp_path / "w.pth").read_bytes()
        file = f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
        local_hub.files[f"/models/{file}"] = content
        monkeypatch.setattr(weights.value, "url", f"{local_hub.address}/models/{file}")
        return f"{name}.{weights.name}"

    return serve


def randomised(name, seed=1, **options):
    torch.manual_seed(seed)
    return torchvision_library.models.get_model(name, **options).eval()


def views(px, n=2):
    return torch.rand(n, 3, px, px, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_a_served_file_gives_the_logits_of_the_library(served, local_hub):
    net = randomised("squeezenet1_1")
    name = served("squeezenet1_1", net.state_dict())
    model = open_model(card(name), CPU)
    preset = get_model_weights("squeezenet1_1").DEFAULT.transforms()
    seen = (views(224) - torch.tensor(preset.mean)[:, None, None]) / torch.tensor(preset.std)[:, None, None]  # fmt: skip
    expected = net(seen)
    bound = float32_network(net, float(expected.abs().max()))
    assert (model.logits(views(224)) - expected).abs().max() <= bound
    n_asked = len(local_hub.asked)
    blueprint.cache_clear()
    open_model(card(name), CPU)
    assert len(local_hub.asked) == n_asked  # the file is kept


def test_planning_asks_nobody(served, local_hub):
    plan = blueprint(card(served("squeezenet1_1", randomised("squeezenet1_1").state_dict())))
    assert len(plan.weights_digest) == 32
    assert local_hub.asked == []


def test_the_digest_in_the_files_name_is_checked(served, local_hub):
    name = served("squeezenet1_1", randomised("squeezenet1_1").state_dict())
    (path,) = local_hub.files
    local_hub.files[path] = local_hub.files[path][:-8] + b"oopsoops"
    digest = re.search(r"-(\w{8})\.pth", path).group(1)
    with pytest.raises(Refusal, match=f"has SHA-256 .*, expected {digest}"):
        open_model(card(name), CPU)


def test_every_published_file_carries_a_digest_in_its_name():
    for one in torchvision.cards():
        url, digest = torchvision._published(one.architecture)
        assert re.fullmatch(r"https://.*-[0-9a-f]{8,}\.pth", url)
        assert len(digest) >= 8


def test_another_file_in_the_users_folder_is_neither_loaded_nor_touched(
    served, torch_hub, tmp_path
):
    net = randomised("squeezenet1_1")
    name = served("squeezenet1_1", net.state_dict())
    url = get_model_weights("squeezenet1_1").DEFAULT.url
    torch_hub.mkdir(parents=True)
    foreign = torch_hub / url.rpartition("/")[2]
    torch.save(randomised("squeezenet1_1", seed=2).state_dict(), foreign)
    before = foreign.read_bytes()
    found = open_model(card(name), CPU).net.state_dict()
    assert all(torch.equal(found[k], v) for k, v in net.state_dict().items())
    assert foreign.read_bytes() == before
    assert torch.hub.get_dir() == str(torch_hub.parent)


@torch.no_grad()
def test_auxiliary_heads_of_a_published_file_are_shed(served):
    net = randomised("googlenet", aux_logits=True, transform_input=True, init_weights=False)
    model = open_model(card(served("googlenet", net.state_dict())), CPU)
    seen = model.transform.normalise(views(224, n=1))
    # In evaluation the library's own network runs without them, on input that it rescales itself.
    expected = net(seen)
    assert (model.net(seen) - expected).abs().max() <= float32_network(
        net, float(expected.abs().max())
    )
    assert net.aux1 is not None
    assert model.net.aux1 is None
    assert model.net.transform_input


@torch.no_grad()
def test_old_names_of_tensors_are_the_builders_to_know(served):
    net = randomised("densenet121")
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|relu|conv))(\d)", r"\1.\2", k): v
        for k, v in net.state_dict().items()
        if not k.endswith("num_batches_tracked")  # younger than these files
    }
    assert old.keys() != net.state_dict().keys()
    found = open_model(card(served("densenet121", old)), CPU).net.state_dict()
    assert all(torch.equal(found[k], v) for k, v in net.state_dict().items())


def test_weights_of_another_architecture_are_refused(served):
    name = served("squeezenet1_1", randomised("shufflenet_v2_x0_5").state_dict())
    with pytest.raises(Refusal, match=f"weights of torchvision/{name} cannot be loaded") as refusal:
        open_model(card(name), CPU)
    assert "\n" not in str(refusal.value)


def test_a_file_that_needs_code_is_refused(served):
    name = served("squeezenet1_1", {"classifier": functional.relu})
    with pytest.raises(Refusal, match="needs code to load"):
        open_model(card(name), CPU)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("alexnett", "unknown architecture 'torchvision/alexnett'; nearest: alexnet"),
        ("alexnet.IMAGENET1K_V3", "unknown weights .*; nearest: IMAGENET1K_V1"),
        # Detectors' weights without a classifier.
        ("vgg16.IMAGENET1K_FEATURES", "unknown weights .*; nearest: IMAGENET1K_V1"),
        ("fasterrcnn_resnet50_fpn", "unknown architecture"),
    ],
)
def test_unknown_names_and_weights_name_the_nearest(name, said):
    for ask in (torchvision.skeleton, torchvision.variant, torchvision.weights_digest):
        with pytest.raises(Refusal, match=said):
            ask(f"torchvision/{name}")


def test_a_card_has_the_published_accuracy_and_a_family_for_every_classifier():
    by_name = {one.name: one for one in torchvision.cards()}
    assert {name.partition(".")[0] for name in by_name} == {f"torchvision/{n}" for n in NAMES}
    alexnet = by_name["torchvision/alexnet.IMAGENET1K_V1"]
    assert (alexnet.family, alexnet.published_top1) == (
        "alexnet",
        pytest.approx(0.56522, rel=0, abs=printed(5)),
    )
    assert by_name["torchvision/vgg16.IMAGENET1K_V1"].family == "vgg"
    assert by_name["torchvision/squeezenet1_1.IMAGENET1K_V1"].family == "squeezenet"
    assert all(0.5 < one.published_top1 < 0.9 for one in by_name.values())


@pytest.mark.parametrize("name", ["alexnet", "regnet_y_400mf", "squeezenet1_0", "vit_b_16.IMAGENET1K_SWAG_E2E_V1"])  # fmt: skip
def test_the_skeleton_has_the_names_and_shapes_of_the_network_and_no_memory(name):
    bare, _, tag = name.partition(".")
    options = {"image_size": 384} if tag else {}
    with torch.device("meta" if bare.startswith("vit") else "cpu"):
        own = torchvision_library.models.get_model(bare, **options)
    skeleton = torchvision.skeleton(f"torchvision/{name}")
    assert all(tensor.is_meta for tensor in skeleton.parameters())
    shapes = {k: v.shape for k, v in own.state_dict().items()}
    assert {k: v.shape for k, v in skeleton.state_dict().items()} == shapes


def test_every_cards_transform_is_its_weights_preset():
    for one in torchvision.cards():
        name, _, tag = one.name.removeprefix("torchvision/").partition(".")
        preset = get_model_weights(name)[tag].transforms()
        found = torchvision.transform(one.architecture, None)
        assert [found.input_px] == preset.crop_size
        assert [found.resize_px] == preset.resize_size
        assert found.interpolation == preset.interpolation.value
        assert (list(found.mean), list(found.std)) == (list(preset.mean), list(preset.std))


def test_another_input_size_keeps_the_share_of_the_image_or_is_refused():
    smaller = blueprint(card("squeezenet1_1", weights="untrained", edits=Edits(input_px=112)))
    assert (smaller.transform.input_px, smaller.transform.resize_px) == (112, 128)
    with pytest.raises(
        Refusal, match="torchvision/vit_b_16 cannot be used: it does not run on 112"
    ):
        blueprint(card("vit_b_16", weights="untrained", edits=Edits(input_px=112)))


@torch.no_grad()
def test_an_untrained_network_has_the_librarys_initial_weights():
    found = open_model(card("shufflenet_v2_x0_5", weights="untrained"), CPU).net.state_dict()
    own = randomised("shufflenet_v2_x0_5", seed=0).state_dict()
    assert all(torch.equal(found[k], v) for k, v in own.items())
