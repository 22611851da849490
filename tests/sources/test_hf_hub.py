"""`hf-hub:OWNER/NAME`: repositories of timm's and of open_clip's kind, served as these write them."""

import json
import sys

import open_clip as open_clip_library
import pytest
import timm as timm_library
import torch
from PIL import Image
from safetensors.torch import save
from timm.data import create_transform
from timm.models._hub import save_config_for_hf

from tests.hosting.serving import REVISION
from tests.planted_nets import noise
from tests.rounding import float32_network
from zoo_eval import cli
from zoo_eval.catalog import ModelCard
from zoo_eval.commands import sweep
from zoo_eval.commands.sweep import SweepOptions
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.models.blueprint import blueprint, is_hosted, revision
from zoo_eval.models.open_model import open_model
from zoo_eval.queries.connection import connect
from zoo_eval.sources import hf_hub, registry
from zoo_eval.store import Store

CPU = torch.device("cpu")
REPO = "somebody/something"
NAME = f"hf-hub:{REPO}"
OPEN_CLIP, TIMM = "open_clip_config.json", "config.json"
TINY_CLIP = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
PREPROCESSING = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7], "interpolation": "bilinear",
                 "resize_mode": "squash"}  # fmt: skip


def card(**facts):
    return ModelCard(NAME, "hf-hub", NAME, **facts)


@pytest.fixture(scope="module")
def timm_net():
    """A network that is in no list of timm's: other classes, another size, arguments of its own."""
    torch.manual_seed(4)
    return timm_library.create_model("test_vit", num_classes=7, img_size=96).eval()


@pytest.fixture
def timm_repository(local_hub, timm_net, tmp_path):
    file = tmp_path / "config.json"
    own = {"mean": (0.1, 0.2, 0.3), "crop_pct": 0.8, "input_size": (3, 96, 96)}
    save_config_for_hf(timm_net, str(file), data_config=own)
    local_hub.put(REPO, TIMM, file.read_bytes())
    local_hub.put(REPO, "model.safetensors", save(timm_net.state_dict()))
    return local_hub


@pytest.fixture(scope="module")
def clip():
    """A small model of open_clip's that is in no list of its."""
    torch.manual_seed(5)
    return open_clip_library.CLIP(**TINY_CLIP).eval()


@pytest.fixture
def clip_repository(local_hub, clip, monkeypatch):
    monkeypatch.setattr(open_clip_library, "IMAGENET_CLASSNAMES", ["cat", "dog", "axolotl"])
    content = {"model_cfg": TINY_CLIP, "preprocess_cfg": PREPROCESSING}
    local_hub.put(REPO, OPEN_CLIP, json.dumps(content).encode())
    local_hub.put(REPO, "open_clip_model.safetensors", save(clip.state_dict()))
    return local_hub


@torch.no_grad()
def test_a_repository_of_timms_gives_timms_own_logits_through_timms_own_transform(
    timm_repository, timm_net
):
    model = open_model(card(), CPU)
    config = json.loads(timm_repository.files[f"/{REPO}/resolve/main/{TIMM}"])["pretrained_cfg"]
    own = create_transform(
        config["input_size"], is_training=False, interpolation=config["interpolation"],
        mean=config["mean"], std=config["std"], crop_pct=config["crop_pct"],
    )  # fmt: skip
    # Already at the size that both resize to.
    images = noise(3, px=model.transform.resize_px).images
    expected = timm_net(torch.stack([own(Image.fromarray(image)) for image in images]))
    bound = float32_network(timm_net, float(expected.abs().max()))
    assert (model.predict(images) - expected).abs().max() <= bound
    assert (model.transform.input_px, model.transform.resize_px) == (96, 120)
    assert expected.shape == (3, 7)


@torch.no_grad()
def test_a_repository_of_open_clips_gives_its_zero_shot_logits(clip_repository, clip):
    model = open_model(card(), CPU)
    weights = open_clip_library.build_zero_shot_classifier(
        clip, open_clip_library.SimpleTokenizer(), ["cat", "dog", "axolotl"],
        open_clip_library.OPENAI_IMAGENET_TEMPLATES,
    )  # fmt: skip
    view = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(PREPROCESSING[key])[:, None, None] for key in ("mean", "std"))
    seen = clip.encode_image((view - mean) / std, normalize=True)
    expected = clip.logit_scale.exp() * seen @ weights
    assert (model.logits(view) - expected).abs().max() <= float32_network(
        clip, float(expected.abs().max())
    )
    assert (model.transform.squash, model.transform.interpolation) == (True, "bilinear")
    # Its tag's activation is in its configuration.
    assert any(isinstance(m, open_clip_library.transformer.QuickGELU) for m in model.net.modules())


def test_the_blueprint_of_either_kind_knows_the_networks_shape(clip_repository, clip):
    plan = blueprint(card())
    assert plan.anatomy.head == "zero_shot"
    assert plan.anatomy.n_params == sum(p.numel() for p in clip.visual.parameters())
    blocks = (f"visual.transformer.resblocks.{i}" for i in range(2))
    assert plan.layers("blocks") == (*blocks, "pooled")


def test_the_blueprint_of_timms_kind_downloads_the_configuration_only(timm_repository, timm_net):
    plan = blueprint(card())
    assert plan.anatomy.head == "other:7"
    assert plan.anatomy.n_params == sum(p.numel() for p in timm_net.parameters())
    assert plan.layers("blocks") == blueprint(
        ModelCard("m", "local", "timm/test_vit", weights="untrained")
    ).layers("blocks")
    fetched = [line for line in timm_repository.asked if line.startswith("GET")]
    assert len(fetched) == 1
    assert fetched[0].endswith(TIMM)


def test_a_repository_with_both_configurations_is_open_clips(timm_repository, clip_repository):
    assert blueprint(card()).anatomy.head == "zero_shot"
    assert hf_hub.family(NAME) == "vit"


def test_families_are_those_of_the_libraries(timm_repository):
    assert hf_hub.family(NAME) == "vision_transformer"
    assert [(c.name, c.family) for c in registry.cards([NAME])] == [(NAME, "vision_transformer")]


def test_its_identity_is_that_of_weights_and_configuration(timm_repository, timm_net):
    plain, untrained = blueprint(card()), blueprint(card(weights="untrained"))
    assert is_hosted(card())
    assert revision(card()) == REVISION
    path = f"/{REPO}/resolve/main/{TIMM}"
    content = json.loads(timm_repository.files[path])
    content["pretrained_cfg"]["crop_pct"] = 0.9

    # The same weights with another crop.
    timm_repository.put(f"{REPO}2", TIMM, json.dumps(content).encode())
    timm_repository.put(f"{REPO}2", "model.safetensors", save(timm_net.state_dict()))
    cropped = blueprint(ModelCard(f"{NAME}2", "hf-hub", f"{NAME}2"))
    assert len({plain.weights_digest, untrained.weights_digest, cropped.weights_digest}) == 3


def test_everything_is_in_the_cache_the_second_time(timm_repository):
    first = open_model(card(), CPU)
    n_asked = len(timm_repository.asked)
    timm_repository.stop()
    blueprint.cache_clear()  # as in another process
    again = open_model(card(), CPU)
    assert again.blueprint.weights_digest == first.blueprint.weights_digest
    view = torch.rand(1, 3, 96, 96)
    assert torch.equal(again.logits(view), first.logits(view))
    assert len(timm_repository.asked) == n_asked


@torch.no_grad()
def test_own_weights_go_into_a_repositorys_architecture(timm_repository, timm_net, tmp_path):
    state = {k: v + 0.01 for k, v in timm_net.state_dict().items()}
    file = tmp_path / "own.safetensors"
    file.write_bytes(save(state))
    model = open_model(card(checkpoint=file), CPU)
    assert all(torch.equal(model.net.state_dict()[k], v) for k, v in state.items())
    assert not [line for line in timm_repository.asked if "model.safetensors" in line]


def test_an_untrained_repository_has_timms_initial_weights_and_downloads_none(timm_repository):
    model = open_model(card(weights="untrained"), CPU)
    torch.manual_seed(0)
    own = timm_library.create_model("test_vit", num_classes=7, img_size=96)
    assert all(torch.equal(model.net.state_dict()[k], v) for k, v in own.state_dict().items())
    assert not [line for line in timm_repository.asked if "model.safetensors" in line]


def put_json(local_hub, name, content):
    local_hub.put(REPO, name, json.dumps(content).encode())


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (TIMM, {"model_type": "vit", "architectures": ["ViTModel"]}, "has no configuration of timm or open_clip"),
        (TIMM, ["architecture"], "config.json of hf-hub:.* is wrong .*holds a list"),
        (TIMM, {"architecture": "resnet18", "pretrained_cfg": {"sizzle": 3}}, "is wrong .*sizzle"),
        (TIMM, {"architecture": "resnet81", "pretrained_cfg": {}}, "cannot be built .*resnet81"),
        (TIMM, {"architecture": "resnet18", "model_args": {"depth": 3}, "pretrained_cfg": {}}, "cannot be built"),
        (OPEN_CLIP, {"vision_cfg": {}}, "is wrong .*model_cfg"),
        (OPEN_CLIP, {"model_cfg": {"embed_dim": 3}}, "is wrong .*no `vision_cfg`"),
        (OPEN_CLIP, {"model_cfg": {**TINY_CLIP, "vision_cfg": {"layers": 2, "wdth": 3}}}, "cannot be built .*wdth"),
    ],
)  # fmt: skip
def test_what_is_no_configuration_is_refused_with_the_reason(local_hub, name, content, said):
    put_json(local_hub, name, content)
    put_json(local_hub, "model.safetensors", {})
    put_json(local_hub, "open_clip_model.safetensors", {})
    with pytest.raises(Refusal, match=said) as refusal:
        blueprint(card())
    assert "\n" not in str(refusal.value)
    assert NAME in str(refusal.value)


def test_a_configuration_that_is_no_json_is_refused(local_hub):
    local_hub.put(REPO, TIMM, b'{"architecture": ')
    with pytest.raises(Refusal, match=f"config.json of {NAME} is wrong .*JSONDecodeError"):
        blueprint(card())


def test_a_repository_without_any_configuration_is_refused(local_hub):
    put_json(local_hub, "model.safetensors", {})
    said = f"configuration of {NAME}: .*none of {OPEN_CLIP}, {TIMM} is on the hub"
    with pytest.raises(Refusal, match=said):
        blueprint(card())


def test_absent_repositories_and_weights_are_refused(timm_repository):
    gone = ModelCard("hf-hub:nobody/nothing", "hf-hub", "hf-hub:nobody/nothing")
    with pytest.raises(Refusal, match="nobody/nothing"):
        blueprint(gone)
    for path in [p for p in timm_repository.files if p.endswith("model.safetensors")]:
        del timm_repository.files[path]
    with pytest.raises(Refusal, match=f"weights of {REPO}"):
        blueprint(card())


def test_weights_that_do_not_fit_the_configuration_are_refused(timm_repository):
    other = timm_library.create_model("test_resnet")
    timm_repository.put(REPO, "model.safetensors", save(other.state_dict()))
    with pytest.raises(Refusal, match=f"weights of {NAME} cannot be loaded") as refusal:
        open_model(card(), CPU)
    assert "\n" not in str(refusal.value)


def test_a_tokenizer_of_the_hubs_that_is_not_here_is_refused(clip_repository, monkeypatch):
    # Open_clip takes tokenizers that a configuration names from `transformers`.
    monkeypatch.setitem(sys.modules, "transformers", None)
    text = {**TINY_CLIP["text_cfg"], "hf_tokenizer_name": "somebody/words"}
    put_json(clip_repository, OPEN_CLIP, {"model_cfg": {**TINY_CLIP, "text_cfg": text}})
    with pytest.raises(Refusal, match=f"the tokenizer of {NAME} cannot be had .*transformers"):
        open_model(card(), CPU)


def test_a_pattern_over_the_hub_is_bad_input():
    with pytest.raises(BadInput, match="repositories are not listed; name each, hf-hub:OWNER/NAME"):
        registry.cards(["hf-hub:timm/*"])


def test_a_repository_is_listed_without_asking_anybody(timm_repository, capsys):
    assert cli.main(["models", NAME, "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["model"], row["source"], row["architecture"]) == (NAME, "hf-hub", NAME)
    assert timm_repository.asked == []


SWEEP = """
[store]
uri = "store"
[models]
include = ["hf-hub:somebody/something", "local/own"]
[[models.local]]
name = "own"
architecture = "hf-hub:somebody/something"
weights = "untrained"
[stimuli.photos]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_0[0-3]*.jpg"]
[[evaluations]]
kind = "features"
stimuli = "photos"
layers = ["blocks:cls"]
"""


def test_a_sweep_includes_a_repository_and_takes_it_as_an_architecture(timm_repository, tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text(SWEEP)
    said = []
    assert sweep.run(SweepOptions(file, tmp_path, runner="local"), said.append) == 0, said
    rows = connect(Store(str(tmp_path / "store"))).rows(
        "SELECT model, family, architecture FROM models ORDER BY model"
    )
    assert rows == [
        {"model": NAME, "family": "vision_transformer", "architecture": NAME},
        {"model": "local/own", "family": "vision_transformer", "architecture": NAME},
    ]


def test_a_repository_that_is_not_there_is_refused_in_a_plan_and_the_rest_is_planned(
    timm_repository, tmp_path, capsys
):
    file = tmp_path / "sweep.toml"
    text = SWEEP.replace("[models]\ninclude = [", '[models]\ninclude = ["hf-hub:nobody/nothing", ')
    assert text != SWEEP
    file.write_text(text)
    assert sweep.show_plan(SweepOptions(file, tmp_path, runner="local")) == 1
    said = capsys.readouterr().out
    assert "refused: hf-hub:nobody/nothing" in said
    assert f"  {NAME}: " in said
