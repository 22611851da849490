"""NaN, to DuckDB the largest number, is never the best: it is chosen by nothing and ranked last."""

import math

import numpy as np
import pytest

from tests.queries.zoo import LAYERS, TARGETS, Zoo
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

NAN = float("nan")
# By layer: of `stem` nothing is known, and of the others `late` is the best.
SELECTION = {"stem": NAN, "middle": 0.3, "late": 0.5, "head": 0.2}
SCORES = {"stem": NAN, "middle": 0.2, "late": 0.4, "head": 0.6}


def fit(zoo: Zoo, model: str, selection, scores, readout="pls") -> None:
    """Two folds of each layer; every r is its score."""
    for layer in LAYERS:
        rows = [
            {
                "layer": layer, "fold": fold, "mode": "fit", "statistic": "pearson_r", "score": scores[layer],
                "selection_score": selection[layer], "r": [scores[layer]] * len(TARGETS), "target_ids": list(TARGETS),
            }
            for fold in range(2)
        ]  # fmt: skip
        zoo.add(
            "neural_fit", "neural_scores", rows, model=model, layer=layer, protocol="nested", readout=readout,
            recording="it", recording_digest="r",
        )  # fmt: skip


def maps(zoo: Zoo, model: str, selection, scores) -> None:
    rows = [
        {
            "layer": layer, "stimulus_id": f"s{n}", "selection_score": selection[layer], "score": scores[layer],
            "r": [], "channel_ids": [],
        }
        for layer in LAYERS
        for n in range(2)
    ]  # fmt: skip
    zoo.add("spatial_fit", "spatial_scores", rows, model=model, recording="maps", recording_digest="m", protocol="corrected")  # fmt: skip


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    zoo = Zoo(Store(str(tmp_path_factory.mktemp("nan") / "store"), create=True))
    for model, top1 in (("known", 0.5), ("undefined", NAN)):
        zoo.card(model)
        zoo.accuracy(model, top1)
    fit(zoo, "known", SELECTION, SCORES)
    # Of this readout nothing was known when it was to be chosen.
    fit(zoo, "known", dict.fromkeys(LAYERS, NAN), dict.fromkeys(LAYERS, 0.9), "ridge")
    fit(zoo, "undefined", SELECTION, dict.fromkeys(LAYERS, NAN))
    maps(zoo, "known", SELECTION, SCORES)
    maps(zoo, "undefined", SELECTION, dict.fromkeys(LAYERS, NAN))
    return connect(zoo.commit())


@pytest.mark.parametrize(
    ("view", "condition"), [("neural_leaderboard", "readout = 'pls'"), ("spatial_leaderboard", "TRUE")]
)  # fmt: skip
def test_it_has_the_last_place(connection, view, condition):
    rows = connection.rows(
        f"SELECT model, place, score FROM {view} WHERE {condition} ORDER BY place"
    )
    assert [(row["model"], row["place"]) for row in rows] == [("known", 1), ("undefined", 2)]
    assert math.isnan(rows[1]["score"])


@pytest.mark.parametrize("view", ["neural_leaderboard", "spatial_leaderboard"])
def test_a_layer_is_not_chosen_by_it(connection, view):
    (row,) = connection.rows(
        f"SELECT layer, score FROM {view} WHERE model = 'known' AND NOT isnan(selection_score)"
    )
    assert (row["layer"], row["score"]) == ("late", pytest.approx(0.4))


def test_of_the_layers_on_test_the_best_number_is_best(connection):
    (row,) = connection.rows(
        "SELECT layer, score FROM best_layer_on_test WHERE model = 'known' AND readout = 'pls'"
    )
    assert (row["layer"], row["score"]) == ("head", pytest.approx(0.6))


def test_two_models_are_compared_at_layers_that_are_not_chosen_by_it(connection):
    rows = connection.rows(
        "SELECT DISTINCT trend, value FROM paired_values WHERE model = 'known' AND name IN ('it, pls', 'maps')"
    )
    found = {row["trend"]: row["value"] for row in rows}
    assert found == {
        "accuracy_vs_neural": pytest.approx(np.float32(0.4)), "accuracy_vs_spatial": pytest.approx(0.4),
    }  # fmt: skip
    assert len(rows) == 2


def test_the_leaderboard_takes_the_readout_that_could_be_chosen_and_ends_with_it(connection):
    rows = connection.rows("SELECT model, top1, neural_readouts['it'] AS readout FROM leaderboard")
    assert [row["model"] for row in rows] == ["known", "undefined"]
    assert rows[0]["readout"] == "pls"
