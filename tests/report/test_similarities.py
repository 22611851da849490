"""The report's table of similarities: each beside its subjects' mean and Nili's bounds."""

import pytest

from tests.queries.test_ceiling_views import bounds
from tests.queries.test_views import add
from zoo_eval.queries.connection import connect
from zoo_eval.report import similarities
from zoo_eval.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def similarity(store, layer, whole, selection, **facts):
    """A similarity over all stimuli, and one fold by which its layer may be chosen."""
    rows = [
        {"score": whole, "statistic": "spearman_rho", "r": [0.25, 0.375], "target_ids": ["s0", "s1"],
         "stimuli_low": whole - 0.125, "stimuli_high": whole + 0.125, "mode": "similarity"},
        {"fold": 0, "score": 0.9, "selection_score": selection, "statistic": "spearman_rho",
         "mode": "similarity"},
    ]  # fmt: skip
    facts = {"recording": "it", "recording_digest": "r", "protocol": "nested", **facts}
    add(store, "neural_fit", "neural_scores", rows, layer=layer, readout="rsa", **facts)


def cells(store):
    table = similarities.similarities(connect(store))
    return [{column.label: row[column.name] for column in table.columns} for row in table.rows]


def test_each_models_chosen_layer_stands_beside_subjects_and_bounds(store):
    similarity(store, "early", 0.75, 0.1)
    similarity(store, "late", 0.5, 0.2)
    bounds(store, 0.4375, 0.625)
    assert cells(store) == [
        {
            "model": "a", "recording": "it", "readout": "rsa", "layer": "late",
            "statistic": "spearman_rho", "score": 0.5, "95 % over stimuli": "0.375 to 0.625",
            "mean over subjects": 0.3125, "Nili lower": 0.4375, "Nili upper": 0.625, "subjects": 2,
        }
    ]  # fmt: skip


def test_without_subjects_their_columns_are_empty(store):
    rows = [
        {"score": 0.5, "statistic": "cka", "mode": "similarity"},
        {"fold": 0, "score": 0.5, "selection_score": 0.1, "statistic": "cka", "mode": "similarity"},
    ]
    add(store, "neural_fit", "neural_scores", rows, layer="l", readout="cka", recording="it",
        recording_digest="r", protocol="nested")  # fmt: skip
    (row,) = cells(store)
    empty = ("95 % over stimuli", "mean over subjects", "Nili lower", "Nili upper", "subjects")
    assert [row[name] for name in empty] == [None] * 5


def test_a_store_without_similarities_has_no_rows(store):
    assert not similarities.similarities(connect(store))
