"""Claims: every question is answered in one sentence, with its grounds, or says what it would need."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from tests.queries.test_views import accuracy
from tests.trends import zoo
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
from zoo_eval.trends.analysis import analysis
from zoo_eval.trends.claims import QUESTIONS, claims


def by_name(found):
    return {(claim.name, claim.rows[0]["trend"] if claim.rows else None): claim for claim in found}


def test_what_was_planted_is_answered(zoo_analysis):
    found = by_name(zoo_analysis.claims)
    falls = found["neural_falls_beyond", "accuracy_vs_neural"]
    assert falls.question == (
        "Does the neural score of it, pls (r / sqrt(ceiling)) fall beyond some accuracy?"
    )
    assert falls.answer.startswith("Yes: it rises to top-1 0.50 and falls beyond;")
    assert found["tolerance_rises", "accuracy_vs_tolerance"].answer.startswith("Yes, it rises: ")
    assert found["alignment_falls", "accuracy_vs_alignment"].answer.startswith("Yes, it falls: ")
    for claim in zoo_analysis.claims:
        assert "40 models of 10 families (G* 10.0)" in claim.answer
        assert claim.answer.count("\n") == 0
    assert "adjusted" in falls.answer


def test_p_of_all_answers_are_adjusted_together_and_kept(zoo_analysis):
    firsts = [claim.rows[0] for claim in zoo_analysis.claims]
    known = [row for row in firsts if row["p_value"] is not None]
    expected = multipletests([row["p_value"] for row in known], method="holm")[1]
    assert [row["p_adjusted"] for row in known] == pytest.approx(list(expected))
    kept = [row["p_adjusted"] for row in zoo_analysis.rows
            if row.get("p_adjusted") is not None and row["statistic"] != "paired_difference"]  # fmt: skip
    assert sorted(kept) == pytest.approx(sorted(row["p_adjusted"] for row in known))


def test_an_empty_store_says_what_each_question_needs(tmp_path):
    found = claims(connect(Store(str(tmp_path / "empty"), create=True)))
    assert [claim.name for claim in found] == [question.name for question in QUESTIONS]
    assert all(
        claim.answer.startswith("Cannot be told: nothing measured yet; it needs ")
        for claim in found
    )


def test_a_relation_that_runs_the_other_way_is_said(tmp_path):
    store = Store(str(tmp_path / "store"), create=True)
    with zoo.Together(store) as together:
        for i in range(40):
            zoo.card(together, zoo.MODELS[i], zoo.FAMILIES[i])
            accuracy(together, zoo.MODELS[i], float(1 - zoo.X[i]))
            zoo.attacks(together, zoo.MODELS[i], np.full(5, zoo.TOLERANCE[i]))
    (claim,) = [one for one in claims(connect(store)) if one.name == "tolerance_rises"]
    assert claim.answer.startswith("No, the opposite: ")


def harmonized(store, lifted):
    """Six families of three; one of each is harmonized, as accurate and `lifted` in its score."""
    rng = np.random.default_rng(0)
    for i in range(18):
        name, family = f"m{i}", f"f{i % 6}"
        made = {"harmonized_from": f"m{i - 12}"} if i >= 12 else {}
        zoo.card(store, name, family, **made)
        accuracy(store, name, 0.3 + 0.02 * (i % 12))
        # Made-up scores fall with accuracy: a trade-off.
        value = 0.6 - 0.02 * (i % 12) + (lifted + 0.02 * rng.standard_normal() if made else 0)
        zoo.neural(store, name, value)


@pytest.mark.parametrize(("lifted", "said"), [(0.2, "Yes: "), (-0.2, "No, they stay below: ")])
def test_harmonized_models_leave_the_trade_off_or_stay_below(tmp_path, lifted, said):
    store = Store(str(tmp_path / "store"), create=True)
    with zoo.Together(store) as together:
        harmonized(together, lifted)
    found = analysis(connect(store))
    claim = by_name(found.claims)["harmonized_leave", "accuracy_vs_neural"]
    assert claim.answer.startswith(said)
    assert f"{6 if lifted > 0 else 0} of 6 harmonized models above" in claim.answer
    (row,) = [row for row in found.rows if row["statistic"] == "above_front"]
    assert row["estimate"] == pytest.approx(lifted, abs=0.03)
    (contrast,) = [
        row for row in found.rows if (row.get("detail") or "").startswith("harmonized less")
    ]
    assert (contrast["n_pairs"], contrast["estimate"]) == (6, pytest.approx(lifted, abs=0.03))


def test_of_few_harmonized_families_there_is_no_error_and_the_answer_says_so(tmp_path):
    store = Store(str(tmp_path / "store"), create=True)
    with zoo.Together(store) as together:
        for i in range(12):
            made = {"harmonized_from": "m0"} if i == 11 else {}
            zoo.card(together, f"m{i}", f"f{i % 6}", **made)
            accuracy(together, f"m{i}", 0.3 + 0.02 * i if i < 11 else 0.3)
            zoo.neural(together, f"m{i}", 0.5 if i < 11 else 0.9)
    claim = by_name(claims(connect(store)))["harmonized_leave", "accuracy_vs_neural"]
    assert claim.answer.startswith("Cannot be told with an error: 1 of 1 harmonized models above")
    assert "too few families: 1" in claim.answer


def test_answers_about_planted_data_say_so(planted_store):
    found = [claim for claim in claims(connect(planted_store)) if claim.rows and claim.rows[0]["trend"] == "accuracy_vs_neural"]  # fmt: skip
    assert found
    assert all("Planted data" in claim.answer for claim in found)
