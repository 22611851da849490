"""Every source is found by its name; what the libraries have is listed once, and kept."""

import open_clip as open_clip_library
import pytest
import timm as timm_library
import torchvision as torchvision_library

from zoo_eval.catalog import Catalog, ModelCard
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.networks import anatomy
from zoo_eval.sources import factory, hf_hub, open_clip, registry, timm, torchvision
from zoo_eval.sources.registry import cards, listed_cards, source_of


@pytest.mark.parametrize(
    ("architecture", "source"),
    [
        ("timm/resnet18.a1_in1k", timm),
        ("open_clip/ViT-B-32:openai", open_clip),
        ("torchvision/alexnet", torchvision),
        ("factory/a.b:c", factory),
        ("hf-hub:owner/name", hf_hub),
    ],
)
def test_an_architecture_has_the_source_that_it_begins_with(architecture, source):
    assert source_of(architecture) is source


@pytest.mark.parametrize(
    "name", ["cards", "family", "skeleton", "outline", "variant", "initial", "classifier",
             "transform", "weights_digest", "code_digest", "revision", "fetch", "pretrained"],
)  # fmt: skip
def test_every_source_answers_every_question(name):
    for source in (timm, open_clip, torchvision, factory, hf_hub):
        assert callable(getattr(source, name))


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("tim/resnet18", "it starts with no source; nearest: timm"),
        ("resnet18", "it starts with no source; known: open_clip, timm, torchvision"),
        ("hf_hub:owner/name", "it starts with no source"),
        ("", "it starts with no source"),
    ],
)
def test_an_unknown_source_names_the_nearest(architecture, said):
    with pytest.raises(Refusal, match=said):
        source_of(architecture)


def test_every_pretrained_name_and_pair_is_listed_exactly_once():
    names = [one.card.name for one in listed_cards(["*"])]
    assert len(names) == len(set(names))
    expected = {f"timm/{name}" for name in timm_library.list_models(pretrained=True)}
    expected |= {f"open_clip/{n}:{tag}" for n, tag in open_clip_library.list_pretrained()}
    for name in torchvision_library.models.list_models(module=torchvision_library.models):
        for weights in torchvision_library.models.get_model_weights(name):
            if weights.meta["categories"]:
                expected.add(f"torchvision/{name}.{weights.name}")
    assert set(names) == expected
    assert len(Catalog(cards(["*"]))) == len(expected) > 2000


@pytest.mark.parametrize(
    ("patterns", "sources"),
    [
        (["timm/resnet*"], {"timm"}),
        (["open_clip/*", "torchvision/*"], {"open_clip", "torchvision"}),
        (["*resnet*"], {"timm", "open_clip", "torchvision"}),
        (["t*"], {"timm", "open_clip", "torchvision"}),
        (["local/*"], set()),
        (["local/*", "hf-hub:owner/name"], {"hf-hub"}),
    ],
)
def test_only_sources_that_a_pattern_may_mean_are_listed(patterns, sources):
    assert {one.card.source for one in listed_cards(patterns)} == sources


def test_a_repository_asked_for_twice_is_listed_once():
    listed = listed_cards(["hf-hub:a/b", "hf-hub:a/c", "hf-hub:a/b"])
    assert [one.card for one in listed] == [
        ModelCard(name, "hf-hub", name) for name in ("hf-hub:a/b", "hf-hub:a/c")
    ]


@pytest.mark.parametrize("pattern", ["hf-hub:*", "hf-hub:timm/resnet?", "hf-hub:timm/[ab]"])
def test_patterns_over_the_hub_are_bad_input(pattern):
    with pytest.raises(BadInput, match="repositories are not listed; name each"):
        listed_cards([pattern])


def test_the_cards_that_are_kept_are_the_libraries_own(monkeypatch, tmp_path):
    monkeypatch.setenv("ZOO_EVAL_CACHE", str(tmp_path))
    first = listed_cards(["torchvision/*"])
    (kept,) = (tmp_path / "cards").iterdir()
    assert [one.card for one in first] == list(torchvision.cards())
    monkeypatch.setattr(torchvision, "cards", None)  # read, not made again
    assert listed_cards(["torchvision/*"]) == first
    assert [*kept.parent.iterdir()] == [kept]


def test_another_version_of_a_library_is_listed_anew(monkeypatch, tmp_path):
    monkeypatch.setenv("ZOO_EVAL_CACHE", str(tmp_path))
    listed_cards(["torchvision/*"])
    own = registry.metadata.version
    monkeypatch.setattr(registry.metadata, "version", lambda name: f"{own(name)}.post1")
    listed_cards(["torchvision/*"])
    assert len([*(tmp_path / "cards").iterdir()]) == 2


def test_a_listed_cards_key_is_that_of_its_shape():
    listed = {one.card.name: one for one in listed_cards(["torchvision/*", "open_clip/*"])}
    one = listed["torchvision/vit_b_16.IMAGENET1K_SWAG_E2E_V1"]
    assert one.key == ("torchvision/vit_b_16", (384, 384), 1000)
    assert one.anatomy is not None
    assert one.anatomy.n_params == torchvision_library.models.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1.meta["num_params"]  # fmt: skip
    quick = listed["open_clip/ViT-B-32:openai"]
    assert quick.key == ("open_clip/ViT-B-32:quick_gelu", (224, 224), 1000)
    assert quick.anatomy is not None


def test_every_card_of_the_libraries_has_the_key_of_what_it_sees():
    listed = listed_cards(["open_clip/*", "timm/*", "torchvision/*"])
    assert not [one.card.name for one in listed if one.key is None]
    sides = {one.card.name: one.key[1] for one in listed}
    assert sides["timm/vit_base_patch16_sapiens2.fb"] == (1024, 768)


def test_a_card_that_cannot_be_used_has_no_key(monkeypatch, tmp_path):
    def refusing(architecture, input_px):
        if architecture == "torchvision/alexnet.IMAGENET1K_V1":
            raise Refusal("planted")
        return own(architecture, input_px)

    own = torchvision.transform
    monkeypatch.setattr(torchvision, "transform", refusing)
    monkeypatch.setenv("ZOO_EVAL_CACHE", str(tmp_path))
    (refused,) = [one for one in listed_cards(["torchvision/*"]) if one.key is None]
    assert refused.card.name == "torchvision/alexnet.IMAGENET1K_V1"
    assert refused.anatomy is None


def test_published_parameters_are_those_of_the_shipped_anatomies():
    listed = [one for one in listed_cards(["torchvision/*"]) if one.anatomy is not None]
    assert len(listed) > 90
    for one in listed:
        name, _, tag = one.card.name.removeprefix("torchvision/").partition(".")
        published = torchvision_library.models.get_model_weights(name)[tag].meta["num_params"]
        # Inception's count has its auxiliary head in it, which evaluation leaves out.
        if name != "inception_v3":
            assert one.anatomy.n_params == published, one.card.name
    assert anatomy.SHIPPED.is_dir()
