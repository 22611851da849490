"""Open_clip's models, from a served file to zero-shot logits, against open_clip's own code."""

import hashlib

import open_clip as open_clip_library
import pytest
import torch
from open_clip.pretrained import _PRETRAINED
from open_clip.transformer import QuickGELU
from safetensors.torch import save
from torch import nn

from tests.rounding import float32_network, float32_products
from zoo_eval.catalog import ModelCard
from zoo_eval.digests import digest
from zoo_eval.errors import Refusal
from zoo_eval.models.blueprint import blueprint
from zoo_eval.models.open_model import open_model
from zoo_eval.sources import open_clip, registry, zero_shot
from zoo_eval.sources.source import INITIAL_SEED

CPU = torch.device("cpu")
ARCHITECTURE = "ViT-S-32-alt"
REPO, SAFE_REPO = "somebody/small-clip", "somebody/safe-clip"
MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
# Planted: an architecture of open_clip's with tags of its own, in the form of open_clip's list.
TAGS = {
    "planted": {"url": "", "hf_hub": f"{REPO}/", "mean": MEAN, "std": STD,
                "interpolation": "bilinear", "resize_mode": "squash"},
    "planted_quick": {"url": "", "hf_hub": f"{REPO}/", "quick_gelu": True},
    "planted_file": {"url": "", "hf_hub": f"{REPO}/other_name.bin"},
    "planted_safe": {"url": "", "hf_hub": f"{SAFE_REPO}/other_name.bin"},
    "planted_padded": {"url": "", "hf_hub": f"{REPO}/", "resize_mode": "longest"},
    "planted_nowhere": {"url": "https://example.org/weights.pt"},
}  # fmt: skip
WORDS = ["cat", "dog", "axolotl"]


def card(tag="planted", **facts):
    name = f"open_clip/{ARCHITECTURE}:{tag}"
    return ModelCard(name, "open_clip", name, **facts)


@pytest.fixture(autouse=True)
def planted(monkeypatch, tmp_path):
    """Some tags and class names, few enough for a text tower on one thread."""
    # What is listed meanwhile is not kept for others.
    monkeypatch.setattr(registry, "cache_folder", lambda name: tmp_path / "kept" / name)
    monkeypatch.setitem(_PRETRAINED, ARCHITECTURE, TAGS)
    monkeypatch.setattr(open_clip_library, "IMAGENET_CLASSNAMES", WORDS)
    monkeypatch.setattr(
        open_clip_library,
        "OPENAI_IMAGENET_TEMPLATES",
        open_clip_library.OPENAI_IMAGENET_TEMPLATES[:4],
    )


def randomised(seed, **options):
    torch.manual_seed(seed)
    return open_clip_library.create_model(ARCHITECTURE, load_weights=False, **options).eval()


@pytest.fixture(scope="module")
def clip():
    """A model with random weights: the hub's file is made from it."""
    return randomised(3)


@pytest.fixture(scope="module")
def content(clip):
    return save(clip.state_dict())


@pytest.fixture
def stocked(local_hub, content):
    local_hub.put(REPO, "open_clip_model.safetensors", content)
    return local_hub


@torch.no_grad()
def own_logits(clip, view, mean=MEAN, std=STD):
    """What open_clip itself would say: its text tower, its classifier, its cosine similarities."""
    weights = open_clip_library.build_zero_shot_classifier(
        clip,
        open_clip_library.get_tokenizer(ARCHITECTURE),
        WORDS,
        open_clip_library.OPENAI_IMAGENET_TEMPLATES,
    )
    images = (view - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    return clip.logit_scale.exp() * clip.encode_image(images, normalize=True) @ weights


def views(n=3):
    return torch.rand(n, 3, 224, 224, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_served_weights_give_open_clips_own_zero_shot_logits(stocked, clip):
    model = open_model(card(), CPU)
    expected = own_logits(clip, views())
    assert (expected[:, 0] - expected[:, 1]).abs().min() > 0.01
    bound = float32_network(clip, float(expected.abs().max()))
    assert (model.logits(views()) - expected).abs().max() <= bound
    transform = model.transform
    assert (transform.mean, transform.std) == (MEAN, STD)
    assert (transform.squash, transform.interpolation) == (True, "bilinear")
    assert not [m for m in model.net.modules() if isinstance(m, nn.Embedding)]  # no text tower


def test_a_second_opening_downloads_and_computes_nothing(stocked, clip, monkeypatch):
    first = open_model(card(), CPU)
    n_asked = len(stocked.asked)
    monkeypatch.setattr(open_clip_library, "build_zero_shot_classifier", None)
    again = open_model(card(), CPU)
    assert torch.equal(again.logits(views(1)), first.logits(views(1)))
    assert len(stocked.asked) == n_asked


@torch.no_grad()
def test_an_own_checkpoint_has_embeddings_of_its_own(stocked, tmp_path):
    open_model(card(), CPU)
    other = randomised(4)
    file = tmp_path / "own.safetensors"
    file.write_bytes(save(other.state_dict()))
    model = open_model(card(checkpoint=file), CPU)
    expected = own_logits(other, views())
    bound = float32_network(other, float(expected.abs().max()))
    assert (model.logits(views()) - expected).abs().max() <= bound


@torch.no_grad()
def test_a_tag_with_the_other_activation_runs_with_it(stocked, clip, content):
    model = open_model(card("planted_quick"), CPU)
    quick = randomised(0, force_quick_gelu=True)
    quick.load_state_dict(clip.state_dict())
    usual = {"mean": open_clip_library.OPENAI_DATASET_MEAN, "std": open_clip_library.OPENAI_DATASET_STD}  # fmt: skip
    expected = own_logits(quick, views(), **usual)
    bound = float32_network(quick, float(expected.abs().max()))
    assert (model.logits(views()) - expected).abs().max() <= bound
    assert (expected - own_logits(clip, views(), **usual)).abs().max() > 1e-3
    n_blocks = len(model.net.visual.transformer.resblocks)
    assert sum(isinstance(m, QuickGELU) for m in model.net.modules()) == n_blocks


def test_the_activation_is_part_of_the_identity(stocked):
    # One file, two networks; and both at their own anatomies' keys.
    assert blueprint(card()).weights_digest != blueprint(card("planted_quick")).weights_digest
    plain, quick = (
        open_clip.variant(f"open_clip/{ARCHITECTURE}:{tag}") for tag in ("planted", "planted_quick")
    )
    assert (plain.architecture, quick.architecture) == (
        f"open_clip/{ARCHITECTURE}",
        f"open_clip/{ARCHITECTURE}:quick_gelu",
    )


@pytest.mark.parametrize("tag", ["openai", "laion2b_s34b_b79k"])
def test_listed_tags_have_the_activation_that_open_clip_records(tag):
    quick = open_clip_library.get_pretrained_cfg("ViT-B-32", tag).get("quick_gelu", False)
    assert quick == (tag == "openai")
    skeleton = open_clip.skeleton(f"open_clip/ViT-B-32:{tag}")
    assert any(isinstance(m, QuickGELU) for m in skeleton.modules()) == quick
    outline = open_clip.outline(f"open_clip/ViT-B-32:{tag}")
    assert any(isinstance(m, QuickGELU) for m in outline.modules()) == quick


def test_a_named_file_is_taken_in_its_safe_form_first(local_hub, clip, content, tmp_path):
    torch.save(clip.state_dict(), tmp_path / "w.bin")
    local_hub.put(REPO, "other_name.bin", (tmp_path / "w.bin").read_bytes())
    local_hub.put(SAFE_REPO, "other_name.bin", b"not asked for")
    local_hub.put(SAFE_REPO, "other_name.safetensors", content)
    for tag, name in (("file", "other_name.bin"), ("safe", "other_name.safetensors")):
        architecture = card(f"planted_{tag}").architecture
        assert open_clip.fetch(architecture).name == name
        found = open_clip.pretrained(architecture).state_dict()
        assert all(torch.equal(found[k], v) for k, v in clip.state_dict().items())


def test_the_digest_is_of_the_file_and_the_activation(stocked, content):
    sha256 = hashlib.sha256(content).hexdigest()
    expected = digest({"file": sha256[:32], "quick_gelu": False})
    assert blueprint(card()).weights_digest == expected
    assert not [line for line in stocked.asked if line.startswith("GET")]


def test_weights_of_another_architecture_are_refused(local_hub):
    torch.manual_seed(0)
    local_hub.put(REPO, "open_clip_model.safetensors", save({"a": torch.zeros(3)}))
    with pytest.raises(Refusal, match=f"weights of open_clip/{ARCHITECTURE}:planted cannot be loaded") as refusal:  # fmt: skip
        open_model(card(), CPU)
    assert "\n" not in str(refusal.value)


@torch.no_grad()
def test_untrained_models_have_open_clips_initial_weights_and_random_embeddings():
    model = open_model(card(weights="untrained"), CPU)
    own = randomised(INITIAL_SEED)
    state = own.visual.state_dict()
    assert all(torch.equal(model.net.visual.state_dict()[k], v) for k, v in state.items())
    assert model.net.embeddings.shape == (1000, 256)
    assert (model.net.embeddings.norm(dim=1) - 1).abs().max() <= float32_products(2 * 256)


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("open_clip/ViT-B-33", "unknown architecture 'open_clip/ViT-B-33'; nearest: .*ViT-B-32"),
        ("open_clip/ViT-B-32:openia", "unknown weights 'open_clip/ViT-B-32:openia'; nearest: openai"),
        ("open_clip/ViT-S-32-alt", "names no weights; add a tag, set weights = \"untrained\""),
        (f"open_clip/{ARCHITECTURE}:planted_nowhere", "names no weights; add a tag"),
    ],
)  # fmt: skip
def test_unknown_names_and_tags_name_the_nearest(architecture, said):
    with pytest.raises(Refusal, match=said):
        open_clip.weights_digest(architecture)


@pytest.mark.parametrize(
    ("tag", "input_px", "said"),
    [
        ("planted", 256, "takes 224 px input only; remove `input_px`"),
        ("planted_padded", 256, "takes 224 px input only; remove `input_px`"),
    ],
)
def test_input_that_it_does_not_take_is_refused(tag, input_px, said):
    with pytest.raises(Refusal, match=said):
        open_clip.transform(f"open_clip/{ARCHITECTURE}:{tag}", input_px)
    assert open_clip.transform(f"open_clip/{ARCHITECTURE}:planted", 224).input_px == 224


def test_every_listed_pair_has_a_card_and_every_card_a_family_and_a_transform():
    cards = open_clip.cards()
    pairs = open_clip_library.list_pretrained()
    assert {card.name for card in cards} >= {f"open_clip/{n}:{t}" for n, t in pairs if n != ARCHITECTURE}  # fmt: skip
    assert not [card.name for card in cards if not card.family]
    for name, tag in pairs:
        config = open_clip_library.get_pretrained_cfg(name, tag)
        found = open_clip.transform(f"open_clip/{name}:{tag}", None)
        assert found.mean == tuple(config.get("mean") or open_clip_library.OPENAI_DATASET_MEAN)
        assert found.squash == (config.get("resize_mode") == "squash")


def test_every_image_tower_has_as_many_parameters_on_the_meta_device_as_in_memory(clip):
    outline = open_clip.outline(f"open_clip/{ARCHITECTURE}")
    shapes = {name: tensor.shape for name, tensor in clip.visual.state_dict().items()}
    assert {n: t.shape for n, t in outline.visual.state_dict().items()} == shapes
    assert all(tensor.is_meta for tensor in outline.parameters())
    assert outline(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, zero_shot.N_CLASSES)
