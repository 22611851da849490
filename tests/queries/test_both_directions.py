"""Who explains whom: the two directions side by side, and neither in the other's place."""

import pytest

from tests.planted_rows import ledger_row, result_row
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
from zoo_eval.trial import Trial

KNOWN = {"recording": "it", "recording_digest": "r", "stimuli": "s", "stimuli_digest": "s", "seed": 0}  # fmt: skip
FOLDS = {"n_folds": 2, "n_inner_folds": 4}
# By layer: score of the fit, of the reverse, and the variance that the reverse explains.
LAYERS = {"a": (0.6, 0.9, 0.5), "b": (0.7, 0.2, 0.1)}


def fitted(readout, layer, scores, *, mode="fit", model="m", parameters=FOLDS, shares=(None, None)):
    """A trial and its rows, one a fold."""
    own = Trial(
        "neural_fit", 5, "nested", parameters=parameters, layer=layer, readout=readout, model=model,
        weights_digest="w", transform={}, numerics={}, **KNOWN,
    )  # fmt: skip
    rows = [
        result_row(
            "neural_scores", own, recording="it", layer=layer, readout=readout, mode=mode,
            protocol="nested", statistic="pearson_r", fold=fold, score=score, selection_score=score,
            r=[score] * 3, target_ids=["1", "2", "3"], n_constant_targets=0, variance_explained=share,
            n_predictors=None if share is None else 8,
        )
        for fold, (score, share) in enumerate(zip(scores, shares, strict=True))
    ]  # fmt: skip
    return own, {"neural_scores": rows}


def both(layer, model="m", **choices):
    score, back, share = LAYERS[layer]
    forward = fitted("ridge", layer, (score - 0.1, score + 0.1), model=model)
    parameters = {**FOLDS, "n_units": 3, **choices}
    reverse = fitted(
        "reverse_ridge", layer, (back - 0.1, back + 0.1), mode="reverse", model=model,
        parameters=parameters, shares=(share - 0.05, share + 0.05),
    )  # fmt: skip
    return [forward, reverse]


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def commit(store, *everything):
    for minute, (own, rows) in enumerate(everything):
        store.commit(rows, [ledger_row(own, minute=minute)])
    return connect(store)


def asked(connection, sql):
    return connection.query(sql).to_pylist()


def test_both_directions_stand_side_by_side(store):
    connection = commit(store, *both("a"), *both("b"))
    found = asked(connection, "SELECT * FROM both_directions ORDER BY layer")
    assert [row["layer"] for row in found] == ["a", "b"]
    for row, (score, back, share) in zip(found, LAYERS.values(), strict=True):
        assert row["score"] == pytest.approx(score)
        assert row["reverse_score"] == pytest.approx(back)
        assert row["variance_explained"] == pytest.approx(share)
        assert (row["readout"], row["reverse_readout"]) == ("ridge", "reverse_ridge")
        assert (row["n_folds"], row["n_units"], row["n_predictors"]) == (2, 3, 8)
        assert row["ceiled_score"] is None


def test_a_direction_alone_has_no_other_and_other_folds_are_no_partner(store):
    connection = commit(store, *both("a", n_folds=3), both("b")[1])
    found = asked(connection, "SELECT layer, score, reverse_score FROM both_directions ORDER BY 1")
    assert [row["score"] for row in found] == [None, None]
    assert [row["reverse_score"] for row in found] == pytest.approx([0.9, 0.2])


def test_no_other_readouts_score_is_taken_for_the_other_direction(store):
    connection = commit(store, fitted("pls", "a", (0.5, 0.5)), both("a")[1])
    assert asked(connection, "SELECT score FROM both_directions") == [{"score": None}]


@pytest.mark.parametrize(
    "view", ["neural_folds", "best_layer", "best_layer_on_test", "neural_leaderboard", "neural_targets"]
)  # fmt: skip
def test_views_of_the_fit_are_as_without_the_reverse(store, view):
    every = [*both("a"), *both("b"), *both("a", model="other")]
    connection = commit(store, *every)
    found = asked(connection, f"SELECT DISTINCT readout FROM {view}")
    assert found == [{"readout": "ridge"}]


def test_the_leaderboard_never_has_a_reverse_score_even_where_there_is_no_other(store):
    of_model = [
        (own, {**rows, "models": [result_row("models", own)]})
        for own, rows in (both("a")[1], both("b")[1])
    ]
    connection = commit(store, *of_model)
    found = asked(connection, "SELECT model, neural_scores FROM leaderboard")
    assert found == [{"model": "m", "neural_scores": None}]
    assert asked(connection, "SELECT * FROM best_layer") == []


def test_a_store_from_before_the_reverse_has_the_view_and_nothing_in_it(store):
    connection = commit(store, fitted("ridge", "a", (0.5, 0.6)))
    assert asked(connection, "SELECT * FROM both_directions") == []
