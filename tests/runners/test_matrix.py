"""Models from all over the catalogue x 8 evaluations, planned and run as stand-ins: each cell has a row."""

from collections import Counter

import pytest

from benchmarks import matrix, stand_ins
from zoo_eval.models import open_model
from zoo_eval.networks.anatomy import POOLED
from zoo_eval.sources import registry
from zoo_eval.store import Store
from zoo_eval.sweep.cards import roster

N_MODELS = 100


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    with stand_ins.opened():
        found, why = matrix.matrix(N_MODELS, "local", folder)
    return found, why, Store(str(folder / "store"))


def test_every_cell_ends_as_a_row(ran):
    found, _, _ = ran
    assert found["cells"] == 8 * found["models"]
    assert found["models"] >= N_MODELS - 1
    assert found["cells_no_row"] == 0
    assert found["cells_failed"] == 0
    assert found["cells_ok"] + found["cells_refused"] == found["cells"]


def test_what_is_refused_has_no_imagenet_classes_and_says_so(ran):
    found, why, _ = ran
    by_key = {one.card.name: one for one in registry.listed_cards(["*"])}
    names = matrix.names(N_MODELS)
    others = [name for name in names if by_key[name].anatomy.n_classes != 1000]
    assert 0 < len(others) < len(names)
    assert found["cells_refused"] >= len(others)
    assert all(said.startswith("refused") for said, _ in why)
    assert any("not the 1000 ImageNet classes" in said for said, _ in why)


def test_a_cell_without_a_row_would_be_counted(ran):
    _, _, store = ran
    found = matrix.cells(store)
    (model, _), statuses = next(iter(found.items()))
    assert matrix.state(statuses) != "no row"
    assert matrix.state(found.get((model, "no such evaluation"), Counter())) == "no row"
    assert {kind for _, kind in found} == set(matrix.EVALUATIONS)


def test_stand_ins_are_of_the_block_only_and_have_the_real_modules(tmp_path):
    real = open_model._network
    sweep = matrix.sweep_of([matrix.PLANTED], str(tmp_path / "store"), tmp_path)
    (card,) = roster(sweep.models).cards
    with stand_ins.opened():
        net = open_model._network(card, "digest")
        anatomy = stand_ins.anatomy_of_card(card)
    assert open_model._network is real
    for choice in anatomy.named.values():
        for layer in choice:
            assert layer.name == POOLED or net.get_submodule(layer.name) is not None
    assert sum(p.numel() for p in net.parameters()) < 20_000
