"""The report's table of similarities: each beside its subjects' mean and Nili's bounds."""

import re

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
    shown = similarities.section(connect(store))
    body = shown.partition("<tbody>")[2]
    return [
        dict(zip(similarities.HEADER, re.findall("<td[^>]*>(.*?)</td>", row), strict=True))
        for row in body.split("</tr>")[:-1]
    ]


def test_each_models_chosen_layer_stands_beside_subjects_and_bounds(store):
    similarity(store, "early", 0.75, 0.1)
    similarity(store, "late", 0.5, 0.2)
    bounds(store, 0.4375, 0.625)
    assert cells(store) == [
        {
            "model": "a", "recording": "it", "readout": "rsa", "layer": "late",
            "statistic": "spearman_rho", "score": "0.500", "95 % over stimuli": "0.375 to 0.625",
            "mean over subjects": "0.312", "Nili lower": "0.438", "Nili upper": "0.625",
            "subjects": "2",
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
    assert [row[name] for name in similarities.HEADER[-5:]] == [""] * 5


def test_a_store_without_similarities_says_so(store):
    assert "No similarity" in similarities.section(connect(store))
