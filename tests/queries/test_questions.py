"""The shipped questions on every kind of store: none, little, one of a kind, all equal, no numbers."""

import math

import pytest

from tests.planted_rows import failure
from tests.queries.zoo import LAYERS, TARGETS, Zoo, planted
from zoo_eval.errors import BadInput
from zoo_eval.queries.connection import connect
from zoo_eval.queries.questions import notes, question, questions
from zoo_eval.queries.unfilled import unfilled
from zoo_eval.store import Store

# Of these there is something to say as soon as anything was run.
OF_TRIALS = {"completeness", "cost_per_model"}
SCORES = {"score", "median_score", "best_score", "spearman_rho", "value"}


@pytest.fixture
def empty(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def asked(store, name):
    return connect(store).rows(question(name).sql)


def answers(store):
    connection = connect(store)
    return {name: connection.rows(one.sql) for name, one in questions().items()}


def test_each_question_is_one_select_that_asks_and_explains_its_columns():
    assert len(questions()) >= 13
    for name, one in questions().items():
        assert one.name == name
        assert one.question.endswith("?")
        assert notes(one).endswith(".")


def test_an_unknown_question_is_answered_with_the_nearest():
    with pytest.raises(BadInput, match="unknown question 'completness'; nearest: completeness"):
        question("completness")


def test_an_empty_store_has_no_answers_and_says_that_nothing_was_run(empty):
    connection = connect(empty)
    for name, rows in answers(empty).items():
        assert rows == [], name
        assert "nothing was run" in unfilled(connection, question(name).sql)


def test_every_question_has_an_answer_where_everything_was_run(empty):
    planted(empty)
    for name, rows in answers(empty).items():
        assert rows or name == "failures_by_class", name


@pytest.mark.parametrize(
    ("left_out", "empty_answers", "said"),
    [
        ({"neural_fit"}, {
            "accuracy_and_score_by_family", "accuracy_and_score_by_year", "best_layer_per_region",
            "depth_profile", "layer_profile", "recording_disagreement", "scaling_in_data",
            "scaling_in_parameters",
        }, "neural_scores (filled by neural_fit)"),
        ({"minimal_attack"}, {"robust_accuracy", "tolerance_vs_alignment"}, "attacks (filled by minimal_attack)"),
        ({"accuracy"}, {"accuracy_and_score_by_family", "accuracy_and_score_by_year"}, "accuracy (filled by accuracy)"),
        ({"layers"}, {"depth_profile"}, "layers (filled by neural_fit)"),
        ({"gate"}, {
            "accuracy_and_score_by_family", "accuracy_and_score_by_year", "recording_disagreement",
            "scaling_in_data", "scaling_in_parameters", "tolerance_vs_alignment",
        }, "models (filled by every sweep)"),
    ],
)  # fmt: skip
def test_without_an_evaluation_its_questions_say_what_would_fill_them(
    empty, left_out, empty_answers, said
):
    zoo = Zoo(empty)
    real = zoo.add
    zoo.add = lambda evaluation, *rest, **facts: (  # type: ignore[method-assign]
        None if evaluation in left_out else real(evaluation, *rest, **facts)
    )
    for n in range(4):
        zoo.model(f"m{n}", family="resnet", year=2020) if "minimal_attack" not in left_out else (
            zoo.card(f"m{n}", family="resnet", year=2020), zoo.accuracy(f"m{n}"),
            zoo.depths(f"m{n}"), zoo.fit(f"m{n}"), zoo.fit(f"m{n}", recording="v4", recording_digest="r4"),
        )  # fmt: skip
    zoo.targets()
    connection = connect(zoo.commit())
    for name, one in questions().items():
        found = connection.rows(one.sql)
        assert (found == []) == (name in {*empty_answers, "failures_by_class"}), name
        if name in empty_answers:
            assert said in unfilled(connection, one.sql)


def test_one_model_has_answers_and_no_correlations(empty):
    zoo = Zoo(empty)
    zoo.model("alone", family="resnet", pretraining="ImageNet-1k", year=2020)
    zoo.commit()
    for name, rows in answers(empty).items():
        assert rows or name == "failures_by_class", name
        for row in rows:
            assert row.get("spearman_rho") is None, name
            assert row.get("score_per_tenfold") is None, name
            assert row.get("rank", 1) == 1
            assert row.get("share_of_models") is None, name


def test_where_all_values_are_equal_there_is_no_correlation_and_all_share_a_rank(empty):
    zoo = Zoo(empty)
    for n in range(5):
        zoo.card(f"m{n}", family="resnet", year=2020, pretraining="ImageNet-1k", n_params=10)
        zoo.accuracy(f"m{n}", 0.5)
        zoo.depths(f"m{n}")
        for recording in ("it", "v4"):
            zoo.fit(f"m{n}", scores=[0.25] * 3, recording=recording, recording_digest=recording)
        zoo.attack(f"m{n}", [1.0] * 6, aligned=0.125)
    zoo.commit()
    for name, rows in answers(empty).items():
        for row in rows:
            assert row.get("spearman_rho") is None, name
            assert row.get("score_per_tenfold") is None, name
            for rank in ("rank", "other_rank", "tolerance_rank", "alignment_rank"):
                assert row.get(rank, 3) == 3, name
            assert row.get("difference", 0) == 0
    (profile,) = {row["share_of_best"] for row in asked(empty, "layer_profile")}
    assert profile == 1


def test_one_family_of_one_size_has_correlations_but_no_slope(empty):
    zoo = Zoo(empty)
    for n in range(5):
        zoo.model(f"m{n}", family="resnet", architecture="x", n_params=10, pretraining="d")
    zoo.commit()
    (by_family,) = {row["family"] for row in asked(empty, "accuracy_and_score_by_family")}
    assert by_family == "resnet"
    for row in asked(empty, "scaling_in_parameters"):
        assert (row["n_families"], row["score_per_tenfold"], row["spearman_rho"]) == (1, None, None)
    for row in asked(empty, "scaling_in_data"):
        assert (row["usual"], row["gain_over_usual"], row["n_architectures"]) == ("d", None, 0)


@pytest.mark.parametrize(
    ("broken", "n_undefined", "n_infinite"),
    [(math.nan, 1, 0), (None, 1, 0), (-math.inf, 0, 1)],
)
def test_scores_that_are_no_numbers_are_counted_and_in_nothing_else(
    empty, broken, n_undefined, n_infinite
):
    zoo = Zoo(empty)
    for n, scores in enumerate([[0.1] * 3, [0.2] * 3, [0.3] * 3, [0.4] * 3, [broken] * 3]):
        zoo.card(f"m{n}", family="resnet", year=2020, pretraining="d", n_params=10 ** (n + 1))
        zoo.accuracy(f"m{n}", n / 10)
        zoo.depths(f"m{n}")
        zoo.fit(f"m{n}", scores=scores)
    zoo.commit()
    for name in ("accuracy_and_score_by_family", "accuracy_and_score_by_year", "scaling_in_parameters"):  # fmt: skip
        (row,) = asked(empty, name)
        assert (row["n_models"], row["n_undefined"], row["n_infinite"]) == (
            4,
            n_undefined,
            n_infinite,
        )
        assert row["spearman_rho"] == pytest.approx(1)
    assert asked(empty, "scaling_in_parameters")[0]["score_per_tenfold"] == pytest.approx(0.1)
    (row,) = asked(empty, "scaling_in_data")
    assert (row["n_models"], row["n_undefined"], row["n_infinite"]) == (4, n_undefined, n_infinite)
    assert row["median_score"] == pytest.approx(0.25)
    for row in asked(empty, "depth_profile"):
        assert (row["n_models"], row["n_undefined"], row["n_infinite"]) == (
            4,
            n_undefined,
            n_infinite,
        )
        assert row["median_score"] == pytest.approx(0.25)
    profile = [row for row in asked(empty, "layer_profile") if row["model"] == "m4"]
    assert len(profile) == len(LAYERS)
    for row in profile:
        assert (row["n_undefined_folds"], row["n_infinite_folds"]) == (
            3 * n_undefined,
            3 * n_infinite,
        )
        assert row["score"] is None
    (pair,) = asked(empty, "evaluation_agreement")
    assert (pair["n_models"], pair["n_excluded"]) == (4, 1)
    assert pair["spearman_rho"] == pytest.approx(1)


def test_infinite_tolerances_rank_as_the_largest_and_others_are_counted(empty):
    zoo = Zoo(empty)
    distances = ([1.0] * 6, [2.0] * 6, [math.inf] * 6, [math.inf] * 6, [3.0] * 6)
    for n, (some, aligned) in enumerate(
        zip(distances, (0.1, 0.2, 0.4, 0.3, math.nan), strict=True)
    ):
        zoo.card(f"m{n}", family="f")
        zoo.accuracy(f"m{n}", 0.5)
        zoo.attack(f"m{n}", some, aligned=aligned)
    zoo.commit()
    found = {row["model"]: row for row in asked(empty, "tolerance_vs_alignment")}
    assert [found[f"m{n}"]["tolerance_rank"] for n in range(5)] == [4, 3, 1.5, 1.5, None]
    assert [found[f"m{n}"]["alignment_rank"] for n in range(5)] == [4, 3, 1, 2, None]
    row = found["m0"]
    assert (row["n_models"], row["n_infinite_tolerances"], row["n_excluded"]) == (4, 2, 1)
    pairs = {(row["kind"], row["other_kind"]): row for row in asked(empty, "evaluation_agreement")}
    assert pairs["alignment", "tolerance"]["n_excluded"] == 1
    assert pairs["alignment", "tolerance"]["spearman_rho"] == pytest.approx(row["spearman_rho"])


def test_a_model_whose_gate_failed_is_in_no_answer_but_those_of_trials(empty):
    zoo = Zoo(empty)
    for n in range(4):
        zoo.model(f"m{n}", gate="fail" if n == 3 else "pass", family="f", year=2020)
    zoo.targets()
    zoo.commit()
    for name, rows in answers(empty).items():
        there = {row["model"] for row in rows if "model" in row}
        assert ("m3" in there) == (name in OF_TRIALS), name
        for row in rows:
            assert row.get("n_models", 0) <= 3, name
    (verdict,) = {r["gate"] for r in asked(empty, "completeness") if r["model"] == "m3"}
    assert verdict == "fail"


def test_versions_digests_protocols_and_seeds_are_mixed_in_none(empty):
    zoo = Zoo(empty)
    variants = (
        {}, {"recording_digest": "r2"}, {"stimuli_digest": "p2"}, {"seed": 1}, {"parameters": {"k": 1}},
        {"readout": "ridge"},
    )  # fmt: skip
    for n in range(3):
        zoo.card(f"m{n}", family="f", year=2020, pretraining="d")
        zoo.accuracy(f"m{n}", n / 10)
        zoo.depths(f"m{n}")
        for place, facts in enumerate(variants):
            zoo.fit(f"m{n}", scores=[place / 10] * 3, **facts)
        # An older version of the evaluation counts nowhere.
        zoo.fit(f"m{n}", scores=[9.0] * 3, version=0)
    zoo.commit()
    for name, column in (
        ("accuracy_and_score_by_year", "best_score"), ("accuracy_and_score_by_family", "best_score"),
        ("scaling_in_data", "best_score"), ("depth_profile", "median_score"), ("layer_profile", "score"),
        ("best_layer_per_region", "score"),
    ):  # fmt: skip
        found = {round(row[column], 6) for row in asked(empty, name)}
        assert found == {place / 10 for place in range(len(variants))}, name


HOSTILE = (
    "</script><b>",
    "a\x1b[2J",
    "q'uo\"te",
    "two\nlines",
    "\u202eback",
    "; DROP TABLE x",
    "=1+1",
)


def test_hostile_names_come_through_as_they_are(empty):
    zoo = Zoo(empty)
    for n, name in enumerate(HOSTILE):
        zoo.model(name, family=name, pretraining=name, architecture=name, year=2000 + n)
    zoo.add("gate", "models", model=HOSTILE[0], seed=9, ledger=failure(HOSTILE[1]))
    zoo.targets()
    zoo.commit()
    found = answers(empty)
    for name, rows in found.items():
        told = {row["model"] for row in rows if "model" in row}
        assert not told or told == set(HOSTILE) or name == "failures_by_class", name
    assert {row["family"] for row in found["accuracy_and_score_by_family"]} == set(HOSTILE)
    assert found["failures_by_class"][0]["message"] == HOSTILE[1]


def test_a_region_that_no_target_has_and_targets_that_are_unknown_are_no_rows(empty):
    zoo = Zoo(empty)
    zoo.model("m")
    rows = [{"target": t, "region": "V1", "known": "{}"} for t in ("elsewhere", *list(TARGETS)[:2])]
    zoo.add("targets", "targets", rows, model=None, recording="it", recording_digest="r")
    zoo.commit()
    found = {row["region"] for row in asked(empty, "best_layer_per_region") if row["recording"] == "it"}  # fmt: skip
    assert found == {"V1"}
