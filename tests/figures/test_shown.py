"""What a figure holds is what SQL finds; nothing else is drawn, and nothing is left out in silence."""

import json
import math

import numpy as np
import pytest

from tests.figures.conftest import (
    HOSTILE,
    MODELS,
    add_accuracy,
    add_attacks,
    add_ceiling,
    add_scores,
)
from zoo_eval.evaluations import gate
from zoo_eval.figures.figure import Figure, slug
from zoo_eval.figures.looks import KINDS
from zoo_eval.figures.profiles import MOST_LINES
from zoo_eval.figures.scatter import MOST_BARS
from zoo_eval.figures.shown import figures
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

NEURAL = "accuracy-vs-neural-it-pls"
TOLERANCE = "accuracy-vs-tolerance-photos-ddn-l2"
ALIGNMENT = "accuracy-vs-alignment-clickme-photos-ddn-abs-of-mean"
NAMES = [
    NEURAL, "accuracy-vs-spatial-v4", TOLERANCE, ALIGNMENT, "tolerance-vs-alignment", "layers-it-pls",
]  # fmt: skip


def made(store: Store) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures(connect(store))}


@pytest.fixture
def new_store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def by_model(figure: Figure, *columns: str, of: str = "points") -> dict[str, tuple]:
    return {row["model"]: tuple(row[c] for c in columns) for row in figure.data[of]}


def asked(connection, sql: str) -> dict[str, tuple]:
    return {row.pop("model"): tuple(row.values()) for row in connection.rows(sql)}


def test_every_figure_of_the_papers_is_there_in_their_order(drawn):
    assert list(drawn) == NAMES
    assert [drawn[name].section for name in NAMES] == [
        "neural", "maps", "tolerance", "alignment", "tradeoff", "layers",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "columns", "sql"),
    [
        (NEURAL, ("top1", "top1_low", "top1_high", "score"),
         "SELECT model, top1, top1_low, top1_high, ceiled_score FROM accuracy_vs_neural"),
        ("accuracy-vs-spatial-v4", ("top1", "score"),
         "SELECT model, top1, ceiled_score FROM accuracy_vs_spatial"),
        (TOLERANCE, ("top1", "tolerance"),
         "SELECT model, top1, if(isinf(tolerance), NULL, tolerance) FROM accuracy_vs_tolerance"),
        (ALIGNMENT, ("top1", "alignment", "null"),
         "SELECT model, top1, alignment, null_alignment FROM accuracy_vs_alignment"),
        ("tolerance-vs-alignment", ("tolerance", "alignment", "null"),
         "SELECT model, if(isinf(tolerance), NULL, tolerance), alignment, null_alignment FROM leaderboard"),
    ],
)  # fmt: skip
def test_points_are_the_rows_of_the_view(drawn, connection, name, columns, sql):
    found, expected = by_model(drawn[name], *columns), asked(connection, sql)
    assert set(found) == set(expected) == set(MODELS)
    for model, values in expected.items():
        # Carried with five significant digits.
        assert [value is None for value in found[model]] == [value is None for value in values]
        numbers = [
            [value for value in some if value is not None] for some in (found[model], values)
        ]
        assert numbers[0] == pytest.approx(numbers[1], rel=5e-5), model


def test_bars_are_one_standard_error_of_the_mean_over_folds(drawn):
    # Three folds, 0.01 apart, over sqrt(0.81): the mean's error is 0.01 / sqrt(3).
    error = 0.01 / math.sqrt(3) / 0.9
    bars = by_model(drawn[NEURAL], "score", "score_low", "score_high")
    for score, low, high in bars.values():
        assert (score - low, high - score) == pytest.approx((error, error), abs=2e-5)
    assert any("one standard error of the mean over folds" in note for note in drawn[NEURAL].notes)


def test_kinds_are_told_apart_by_shape_and_by_colour(drawn):
    kinds = {model: kind for model, (kind,) in by_model(drawn[NEURAL], "kind").items()}
    assert kinds == {
        "timm/base.a1": "trained", "timm/better": "trained", HOSTILE: "trained",
        "timm/blank": "untrained", "timm/worse": "graded", "local/human": "harmonized",
    }  # fmt: skip
    assert len({shape for shape, *_ in KINDS.values()}) == len(KINDS)
    for column in (1, 2):
        assert len({looks[column] for looks in KINDS.values()}) == len(KINDS)


def test_the_gate_says_of_an_untrained_model_what_the_query_looks_for():
    with open(gate.__file__) as file:
        assert '"untrained on purpose"' in file.read()


def test_the_front_and_the_arrows(drawn):
    # Of those not harmonized: base has the highest score, better the highest top-1.
    assert [row["model"] for row in drawn[NEURAL].data["front"]] == ["timm/base.a1", "timm/better"]
    (arrow,) = drawn[NEURAL].data["arrows"]
    assert arrow["model"] == "local/human"
    assert (arrow["from_x"], arrow["to_x"], arrow["x"]) == pytest.approx((0.8, 0.75, 0.775))
    assert (arrow["from_y"], arrow["to_y"]) == pytest.approx((0.5 / 0.9, 0.6 / 0.9), rel=1e-4)
    # The middle of a logarithmic axis is the geometric mean.
    (arrow,) = drawn[TOLERANCE].data["arrows"]
    assert arrow["y"] == pytest.approx(math.sqrt(0.2 * 0.4), rel=1e-4)


def test_infinite_tolerances_are_at_the_edge_and_counted(drawn):
    for name in (TOLERANCE, "tolerance-vs-alignment"):
        figure = drawn[name]
        assert [m for m, (value,) in by_model(figure, "tolerance").items() if value is None] == [
            "timm/better"
        ]
        assert any("1 model of infinite tolerance" in note for note in figure.notes)
        assert "!isValid(datum.tolerance)" in json.dumps(figure.spec)


def test_what_the_text_compares_with_is_drawn(drawn):
    (ceiling,) = drawn[ALIGNMENT].data["levels"]
    assert (ceiling["name"], ceiling["low"], ceiling["high"]) == (
        "people with each other",
        0.6,
        0.6,
    )
    # The ceiling of scores, 1, would flatten them: it is said.
    assert "levels" not in drawn[NEURAL].data
    assert any("Not drawn" in note and "ceiling, 1" in note for note in drawn[NEURAL].notes)


def test_planted_is_written_on_the_figure(drawn):
    assert drawn[NEURAL].spec["title"] == "Planted responses, to check the method: not neural data"
    assert drawn["layers-it-pls"].spec["title"] == drawn[NEURAL].spec["title"]
    assert drawn[ALIGNMENT].spec["title"] == "Planted maps, to check the method: not human data"
    assert drawn["tolerance-vs-alignment"].spec["title"] == drawn[ALIGNMENT].spec["title"]
    assert "title" not in drawn[TOLERANCE].spec


def test_profiles_are_means_over_folds(drawn, connection):
    expected = {
        (row["model"], round(row["depth"], 5)): row["score"]
        for row in connection.rows(
            "SELECT n.model, l.depth, avg(n.score) / 0.9 AS score FROM neural_scores AS n "
            "JOIN layers AS l ON l.model = n.model AND l.layer = n.layer GROUP BY ALL"
        )
    }
    found = {(r["model"], r["depth"]): r["score"] for r in drawn["layers-it-pls"].data["lines"]}
    assert found.keys() == expected.keys()
    for key, score in expected.items():
        assert found[key] == pytest.approx(score, rel=5e-5)


def test_of_many_models_the_best_are_lines_and_all_a_band(new_store):
    rng = np.random.default_rng(0)
    scores = {f"timm/m{i}": float(rng.uniform(0.1, 0.9)) for i in range(MOST_LINES + 4)}
    for model, score in scores.items():
        add_accuracy(new_store, model, 0.5)
        add_scores(new_store, model, score)
    figure = made(new_store)["layers-it-pls"]
    shown = {row["model"] for row in figure.data["lines"]}
    assert shown == set(sorted(scores, key=scores.get)[-MOST_LINES:])
    middle = next(row for row in figure.data["band"] if row["depth"] == 0.5)
    expected = np.quantile(list(scores.values()), [0.25, 0.5, 0.75])
    assert [middle[name] for name in ("low", "median", "high")] == pytest.approx(expected, rel=1e-4)
    # Depth 0.05 lies before the first layer of all.
    assert min(row["depth"] for row in figure.data["band"]) == pytest.approx(0.1)


def test_an_empty_store_has_no_figure(new_store):
    assert made(new_store) == {}


def test_a_store_without_some_evaluation_has_the_other_figures(new_store):
    add_accuracy(new_store, "timm/one", 0.5)
    assert made(new_store) == {}
    add_scores(new_store, "timm/one", 0.4)
    # One model, without a ceiling: its raw score, and an axis of some width.
    found = made(new_store)
    assert list(found) == [NEURAL, "layers-it-pls"]
    assert by_model(found[NEURAL], "score") == {"timm/one": pytest.approx((0.4,))}
    assert "Pearson r" in found[NEURAL].alt


def test_equal_values_still_have_an_axis(new_store):
    for name in ("timm/a", "timm/b", "timm/c"):
        add_accuracy(new_store, name, 0.5)
        add_attacks(new_store, name, 0.3, 0.1)
    for figure in made(new_store).values():
        # All three are on the front, for none is better.
        assert len(figure.data["front"]) == 3
        text = json.dumps(figure.spec, allow_nan=False)
        assert "NaN" not in text


def test_all_infinite_tolerances_are_drawn_too(new_store):
    for name in ("timm/a", "timm/b"):
        add_accuracy(new_store, name, 0.5)
        add_attacks(new_store, name, math.inf, 0.1)
    figure = made(new_store)[TOLERANCE]
    assert any("2 models of infinite tolerance" in note for note in figure.notes)


def test_nan_is_left_out_and_counted(new_store):
    for name, score in (("timm/a", 0.4), ("timm/b", math.nan)):
        add_accuracy(new_store, name, 0.5)
        add_scores(new_store, name, score)
    figure = made(new_store)[NEURAL]
    assert set(by_model(figure, "score")) == {"timm/a"}
    assert any(note.startswith("1 model left out") for note in figure.notes)


def test_hostile_names_become_harmless_names_of_files(drawn):
    assert HOSTILE in by_model(drawn[NEURAL], "score")
    labels = [row["text"] for row in drawn[NEURAL].data["labels"]]
    assert all(text.isprintable() for text in labels)
    assert slug("../<b>É</b>\x1b\n") == "b-b"
    assert slug("///") == "x"
    assert slug("a" * 500) == "a" * 80


def test_two_thousand_models_are_light(new_store):
    names = [f"timm/model_{i:04d}.some_recipe_in1k" for i in range(2000)]
    rng = np.random.default_rng(1)
    store_many(new_store, names, rng)
    found = made(new_store)
    assert list(found) == [NEURAL]
    assert len(json.dumps(found[NEURAL].spec)) < 400_000
    assert "score_low" not in found[NEURAL].data["points"][0]
    assert any(f"more than {MOST_BARS} models" in note for note in found[NEURAL].notes)


def store_many(store: Store, names: list[str], rng: np.random.Generator) -> None:
    """Accuracies and scores of many models in one commit."""
    from tests.figures.conftest import trial
    from tests.planted_rows import ledger_row, result_row

    rows: dict[str, list[dict]] = {"accuracy": [], "neural_scores": []}
    trials = []
    for name in names:
        one = trial("accuracy", name)
        other = trial(
            "neural_fit", name, layer="l", readout="pls", recording="it", recording_digest="r"
        )
        top1, score = rng.uniform(0, 1, 2)
        rows["accuracy"].append(
            result_row("accuracy", one, top1=top1, top1_low=top1, top1_high=top1, n_images=10)
        )
        rows["neural_scores"].append(
            result_row("neural_scores", other, recording="it", layer="l", readout="pls", fold=0,
                       statistic="pearson_r", score=score, selection_score=score)
        )  # fmt: skip
        trials += [ledger_row(one), ledger_row(other)]
    store.commit(rows, trials)


def test_the_ceiling_is_drawn_where_the_scores_come_near_it(new_store):
    for name, score in (("timm/a", 0.9), ("timm/b", 0.6)):
        add_accuracy(new_store, name, score)
        add_scores(new_store, name, score)
    add_ceiling(new_store)
    (level,) = made(new_store)[NEURAL].data["levels"]
    assert (level["name"], level["low"]) == ("ceiling", 1.0)
