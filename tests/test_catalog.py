"""Cards are chosen by pattern; a pattern that fits nothing names the nearest cards."""

import pytest

from zoo_eval.catalog import Catalog, Edits, ModelCard
from zoo_eval.errors import BadInput


def card(name, **facts):
    return ModelCard(name, "local", "timm/resnet18", **facts)


@pytest.fixture
def catalog():
    return Catalog(card(n) for n in ("timm/resnet18", "timm/resnet50", "timm/vit_tiny", "local/a"))


def names(cards):
    return [one.name for one in cards]


def test_patterns_choose_and_exclude(catalog):
    assert names(catalog.select(["timm/resnet*"])) == ["timm/resnet18", "timm/resnet50"]
    assert names(catalog.select(["*"], ["timm/*"])) == ["local/a"]
    assert names(catalog.select(["timm/*"], ["*50", "nothing*"])) == [
        "timm/resnet18",
        "timm/vit_tiny",
    ]


def test_a_card_chosen_twice_comes_once_in_the_order_asked_for(catalog):
    assert names(catalog.select(["local/a", "timm/resnet5?", "*"])) == [
        "local/a", "timm/resnet50", "timm/resnet18", "timm/vit_tiny",
    ]  # fmt: skip


def test_case_matters(catalog):
    with pytest.raises(BadInput, match="unknown model 'TIMM/resnet18'"):
        catalog.select(["TIMM/resnet18"])


def test_an_unknown_pattern_names_the_nearest(catalog):
    with pytest.raises(BadInput, match="unknown model 'timm/resnet81'; nearest: timm/resnet18"):
        catalog.select(["timm/vit_tiny", "timm/resnet81"])


def test_one_name_twice_is_an_error():
    with pytest.raises(BadInput, match="model 'a' is described twice"):
        Catalog([card("a"), card("b"), card("a")])


def test_a_catalog_counts_and_lists_its_cards(catalog):
    assert len(catalog) == len(list(catalog)) == 4


def test_edits_tell_weights_from_input():
    edits = Edits(prune=0.2, input_px=96)
    assert edits.changed == {"prune": 0.2, "input_px": 96}
    assert edits.of_weights == {"prune": 0.2}
    assert Edits().changed == {}


def test_an_untrained_card_claims_nothing_of_its_training():
    trained = card("a", pretraining="ImageNet-1k", published_top1=0.8, year=2020)
    untrained = trained.untrained()
    assert (untrained.weights, untrained.pretraining, untrained.published_top1) == (
        "untrained",
        None,
        None,
    )
    assert (untrained.name, untrained.architecture, untrained.year) == ("a", "timm/resnet18", 2020)


@pytest.fixture
def odd():
    return Catalog(card(n) for n in ("local/a[1]", "local/a1", "local/b*", "local/bc", "local/q?"))


def test_a_name_means_itself_whatever_is_in_it(odd):
    for name in ("local/a[1]", "local/b*", "local/q?"):
        assert names(odd.select([name])) == [name]
    assert names(odd.select(["local/a[0-9]"])) == ["local/a1"]
    assert names(odd.select(["local/?1", "local/q*"])) == ["local/a1", "local/q?"]


def test_what_is_excluded_by_name_is_that_alone(odd):
    assert names(odd.select(["*"], ["local/a[1]", "local/b*"])) == [
        "local/a1",
        "local/bc",
        "local/q?",
    ]
