"""Comparisons: who is in them and who is not, and their statistics are SciPy's on the views' numbers."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from tests.queries.test_views import accuracy, gate
from tests.report.conftest import DISTANCES, GATES, NAMES, SCORES, TOP1, commit_model
from tests.trends import zoo
from zoo_eval.errors import BadInput
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
from zoo_eval.tables import TRENDS
from zoo_eval.trends.analysis import NONE_YET, analysis, as_text, trends
from zoo_eval.trends.comparisons import Comparison, Population, comparisons, describe


def by_key(rows):
    return {(row["trend"], row["statistic"]): row for row in rows}


def statistics(connection, *names):
    return [
        row
        for name in names or ("accuracy_vs_neural", "accuracy_vs_tolerance")
        for one in comparisons(connection, name)
        for row in one.statistics()
    ]


def test_they_equal_scipy(planted_store):
    rows = by_key(statistics(connect(planted_store)))
    neural = rows["accuracy_vs_neural", "spearman_rho"]
    assert neural["subject"] == "it, pls"
    assert neural["estimate"] == pytest.approx(stats.spearmanr(TOP1, SCORES).statistic)
    pearson = rows["accuracy_vs_neural", "pearson_r"]
    assert pearson["estimate"] == pytest.approx(stats.pearsonr(TOP1, SCORES).statistic)
    kendall = rows["accuracy_vs_neural", "kendall_tau"]
    assert kendall["estimate"] == pytest.approx(stats.kendalltau(TOP1, SCORES).statistic)
    assert neural["naive_low"] <= neural["estimate"] <= neural["naive_high"]
    assert (neural["n_models"], neural["n_families"]) == (len(TOP1), 1)
    assert (neural["low"], neural["p_value"]) == (None, None)
    assert neural["no_interval"].startswith("too few families: 1")


def test_a_condition_narrows_who_is_compared_and_is_said(zoo_store):
    connection = connect(zoo_store)
    among = Population.of(connection, "year >= 2018 AND pretraining = 'in1k'")
    kept = [
        i for i in range(40) if zoo.facts(i)["year"] >= 2018 and zoo.facts(i)["pretraining"] == "in1k"
    ]  # fmt: skip
    (one,) = comparisons(connection, "accuracy_vs_neural", among)
    (whole,) = comparisons(connection, "accuracy_vs_neural")
    known = {zoo.MODELS[i] for i in kept} & {row["model"] for row in whole.rows}
    assert {row["model"] for row in one.rows} == known
    row = one.statistics()[0]
    assert row["population"].endswith(", where year >= 2018 AND pretraining = 'in1k'")
    assert json.loads(row["exclusions"])["outside the condition"] == len(whole.rows) - len(known)
    x, y = ([row[name] for row in one.rows] for name in ("top1", "value"))
    assert row["estimate"] == pytest.approx(stats.spearmanr(x, y).statistic)
    assert ", where" not in whole.statistics()[0]["population"]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("yeer > 2000", "--where: .*yeer.*columns are model, weights_digest, kin,"),
        ("year > ", "--where: "),
        ("year > 3000", "--where: no model of 40 fulfils it"),
    ],
)
def test_a_wrong_condition_is_one_line(zoo_store, where, said):
    with pytest.raises(BadInput, match=said) as found:
        Population.of(connect(zoo_store), where)
    assert "\n" not in str(found.value)


def test_a_model_that_withstands_every_attack_ranks_last_and_is_counted(planted_store):
    rows = by_key(statistics(connect(planted_store)))
    ranked = [np.inf if d is None else d for d in DISTANCES]
    tolerance = rows["accuracy_vs_tolerance", "spearman_rho"]
    assert tolerance["estimate"] == pytest.approx(stats.spearmanr(TOP1, ranked).statistic)
    assert tolerance["n_infinite"] == 1
    finite = [(t, d) for t, d in zip(TOP1, DISTANCES, strict=True) if d is not None]
    pearson = rows["accuracy_vs_tolerance", "pearson_r"]
    assert pearson["estimate"] == pytest.approx(
        stats.pearsonr(*zip(*finite, strict=True)).statistic
    )
    assert json.loads(pearson["exclusions"]) == {"infinite": 1}
    assert json.loads(tolerance["exclusions"]) == {}


def test_planted_recordings_are_called_planted(planted_store):
    (neural,) = comparisons(connect(planted_store), "accuracy_vs_neural")
    assert neural.planted
    assert neural.statistics()[0]["population"].endswith("of it, pls (planted)")
    (tolerance,) = comparisons(connect(planted_store), "accuracy_vs_tolerance")
    assert not tolerance.planted


def test_rows_fit_their_table_and_read_well(planted_store):
    found = analysis(connect(planted_store))
    TRENDS.arrow(found.rows)
    text = as_text(found)
    assert "1 of them infinite" in text
    assert "left out: 1 infinite" in text
    assert text.startswith("questions\n")


def test_a_value_that_is_not_a_number_is_left_out_and_counted():
    rows = [
        {"model": name, "top1": top1, "value": value}
        for name, top1, value in (("a", 0.1, 1.0), ("b", 0.2, math.nan), ("c", 0.3, 2.0))
    ]
    one = Comparison("accuracy_vs_tolerance", "photos", "tolerance", {}, rows)
    assert one.sample.models == ("a", "c")
    assert one.sample.excluded == {"not a number": 1}


def test_who_is_left_out_is_counted_by_reason(tmp_path):
    store = zoo.made(tmp_path / "store", n=8)
    with zoo.Together(store) as together:
        gate(together, "local/wrong", "fail")
        accuracy(together, "local/wrong", 0.9)
        gate(together, "local/unlabelled")
        gate(together, "local/unmeasured")
        accuracy(together, "local/unmeasured", 0.3)
        zoo.card(together, "local/nan", "family0")
        accuracy(together, "local/nan", 0.4)
        zoo.neural(together, "local/nan", float("nan"))
    (one,) = comparisons(connect(store), "accuracy_vs_neural")
    row = one.statistics()[0]
    assert json.loads(row["exclusions"]) == {
        "gate failed": 1, "without accuracy": 1, "without this value": 1, "not a number": 1,
    }  # fmt: skip
    assert row["n_models"] == 8
    assert row["estimate"] == pytest.approx(stats.spearmanr(zoo.X[:8], zoo.Y[:8]).statistic)


def test_a_quarantined_model_is_in_no_trend(quarantined_store):
    rows = trends(connect(quarantined_store))
    assert all("local/wrong" not in row["models"] for row in rows)
    assert all(json.loads(row["exclusions"])["gate failed"] == 1 for row in rows)


def test_an_empty_store_has_no_trends_and_says_why(tmp_path):
    found = analysis(connect(Store(str(tmp_path / "empty"), create=True)))
    assert found.rows == []
    assert as_text(found) == NONE_YET
    assert all("nothing measured yet; it needs" in claim.answer for claim in found.claims)


@pytest.mark.parametrize("n", [1, 3])
def test_of_too_few_models_everything_says_why(tmp_path, n):
    store = Store(str(tmp_path / "few"), create=True)
    for i, (name, verdict) in enumerate(zip(NAMES[:n], GATES[:n], strict=True)):
        commit_model(store, name, i, verdict)
    found = analysis(connect(store))
    assert {row["n_models"] for row in found.rows if row["statistic"] == "spearman_rho"} == {n}
    assert all(row["low"] is None and row["high"] is None for row in found.rows)
    TRENDS.arrow(found.rows)
    assert all(claim.answer.startswith("Cannot be told: ") for claim in found.claims)
    rho = next(row for row in found.rows if row["statistic"] == "spearman_rho")
    assert describe(rho) == (
        "spearman_rho -0.50, no interval (too few families: 1; an interval takes 5 of one size), "
        "3 models of 1 family (G* 1.0)"
        if n == 3
        else f"spearman_rho undefined with {n} model{'s' if n > 1 else ''}"
    )


def test_models_of_one_value_have_no_statistic_and_break_nothing(tmp_path):
    store = Store(str(tmp_path / "same"), create=True)
    with zoo.Together(store) as together:
        for i in range(10):
            zoo.card(together, f"m{i}", f"f{i}")
            accuracy(together, f"m{i}", 0.5)
            zoo.neural(together, f"m{i}", 0.25)
    found = analysis(connect(store))
    TRENDS.arrow(found.rows)
    rows = by_key(found.rows)
    for name in ("spearman_rho", "pearson_r", "kendall_tau", "two_lines", "change_point"):
        assert rows["accuracy_vs_neural", name]["estimate"] is None
    as_text(found)
