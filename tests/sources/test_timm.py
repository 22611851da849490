"""Timm's checkpoints by name: families, facts, sizes, and weights in timm's own format only."""

import pickle

import pytest
import timm as timm_library
import torch
from safetensors.torch import save
from timm.data import create_transform

from zoo_eval.catalog import Edits, ModelCard
from zoo_eval.errors import Refusal
from zoo_eval.models.blueprint import blueprint
from zoo_eval.models.open_model import open_model
from zoo_eval.sources import timm

CPU = torch.device("cpu")
NAME = "test_resnet.r160_in1k"


def card(name=NAME, **facts):
    return ModelCard(f"timm/{name}", "timm", f"timm/{name}", **facts)


def test_a_card_has_the_family_tag_and_licence_that_timm_knows():
    by_name = {one.name: one for one in timm.cards()}
    assert len(by_name) == len(timm_library.list_models(pretrained=True))
    for name, one in by_name.items():
        bare, _, tag = name.removeprefix("timm/").partition(".")
        config = timm_library.get_pretrained_cfg(name.removeprefix("timm/"))
        assert one.family == timm_library.model_entrypoint(bare).__module__.rpartition(".")[2]
        assert (one.pretraining or "") == tag
        assert one.licence == config.license
    assert by_name["timm/resnet50.a1_in1k"].family == "resnet"
    assert timm.family("timm/no_such_net") == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet81", "unknown architecture 'timm/resnet81'; nearest: resnet"),
        ("resnet50.a1_in1", "unknown weights 'timm/resnet50.a1_in1'; nearest: a1_in1k"),
    ],
)
def test_unknown_names_and_tags_name_the_nearest(name, said):
    for ask in (timm.skeleton, timm.variant, timm.weights_digest):
        with pytest.raises(Refusal, match=said):
            ask(f"timm/{name}")
    with pytest.raises(Refusal, match=said):
        blueprint(card(name, weights="untrained"))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_nfnet"])
def test_the_skeleton_has_the_names_and_shapes_of_the_network_and_no_memory(name):
    skeleton = timm.skeleton(f"timm/{name}")
    own = timm_library.create_model(name)
    assert all(tensor.is_meta for tensor in skeleton.parameters())
    shapes = {k: v.shape for k, v in own.state_dict().items()}
    assert {k: v.shape for k, v in skeleton.state_dict().items()} == shapes
    assert not skeleton.training


@pytest.mark.parametrize("input_px", [96, 192])
def test_another_input_size_keeps_the_share_of_the_image_that_is_seen(input_px):
    found = timm.transform(f"timm/{NAME}", input_px)
    config = timm_library.get_pretrained_cfg(NAME)
    own = create_transform(
        input_px, is_training=False, crop_pct=config.crop_pct, interpolation=config.interpolation
    )
    assert found.resize_px == own.transforms[0].size
    assert found.input_px == input_px
    plan = blueprint(card(weights="untrained", edits=Edits(input_px=input_px)))
    own_size = blueprint(card(weights="untrained"))
    # Convolutions cost as the image's area, the head as before.
    # Sides that no stride divides are rounded up: a pixel of ten in the smallest layers.
    assert plan.anatomy.flops / own_size.anatomy.flops == pytest.approx((input_px / 160) ** 2, rel=0.1)  # fmt: skip


def test_a_fixed_input_size_is_refused_another():
    fixed = "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    assert timm_library.get_pretrained_cfg(fixed.removeprefix("timm/")).fixed_input_size
    with pytest.raises(Refusal, match="takes 224 px input only; remove `input_px`"):
        timm.transform(fixed, 256)
    assert timm.transform(fixed, 224).input_px == 224


def test_the_variant_forgets_weights_but_not_their_number_of_classes():
    one, same, other = (
        timm.variant(f"timm/vit_base_patch16_224.{tag}")
        for tag in ("augreg_in1k", "augreg2_in21k_ft_in1k", "augreg_in21k")
    )  # fmt: skip
    assert one == same
    assert (one.architecture, one.n_classes) == ("timm/vit_base_patch16_224", 1000)
    assert other.n_classes == 21843


@torch.no_grad()
def test_weights_whose_original_had_another_format_are_read_from_the_hubs_file(local_hub):
    # Timm would ask a BiT network to read the original, a NumPy archive.
    name = "resnetv2_50x1_bit.goog_in21k_ft_in1k"
    original = timm_library.get_pretrained_cfg(name)
    assert original.custom_load
    torch.manual_seed(2)
    net = timm_library.create_model(name).eval()
    local_hub.put(original.hf_hub_id, "model.safetensors", save(net.state_dict()))
    found = timm.pretrained(f"timm/{name}")
    assert all(torch.equal(found.state_dict()[k], v) for k, v in net.state_dict().items())
    assert not found.training


class Malicious:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return open, (str(self.victim), "w")


def test_a_pickle_from_the_hub_that_needs_code_is_refused_and_its_code_not_run(local_hub, tmp_path):
    victim = tmp_path / "victim"
    torch.save({"conv1.weight": Malicious(victim)}, tmp_path / "w.bin")
    for content in ((tmp_path / "w.bin").read_bytes(), pickle.dumps(Malicious(victim))):
        repo = timm_library.get_pretrained_cfg(NAME).hf_hub_id
        local_hub.put(repo, "pytorch_model.bin", content)
        with pytest.raises(Refusal, match="damaged or needs code to load") as refusal:
            open_model(card(), CPU)
        assert "\n" not in str(refusal.value)
        blueprint.cache_clear()
    assert not victim.exists()
