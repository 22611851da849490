"""Trends equal scipy's statistics on the numbers of the views."""

import numpy as np
import pytest
from scipy import stats

from tests.report.conftest import DISTANCES, GATES, NAMES, SCORES, TOP1, commit_model
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
from zoo_eval.tables import TRENDS
from zoo_eval.trends.comparisons import as_text, describe, trends


def by_key(rows):
    return {(row["trend"], row["statistic"]): row for row in rows}


def test_they_equal_scipy(planted_store):
    rows = by_key(trends(connect(planted_store)))
    neural = rows["accuracy_vs_neural", "spearman_rho"]
    assert neural["subject"] == "it, pls"
    assert neural["estimate"] == pytest.approx(stats.spearmanr(TOP1, SCORES).statistic)
    pearson = rows["accuracy_vs_neural", "pearson_r"]
    assert pearson["estimate"] == pytest.approx(stats.pearsonr(TOP1, SCORES).statistic)
    assert neural["low"] <= neural["estimate"] <= neural["high"]
    assert neural["n_models"] == len(TOP1)


def test_a_model_that_withstands_every_attack_ranks_last_and_is_counted(planted_store):
    rows = by_key(trends(connect(planted_store)))
    ranked = [np.inf if d is None else d for d in DISTANCES]
    tolerance = rows["accuracy_vs_tolerance", "spearman_rho"]
    assert tolerance["estimate"] == pytest.approx(stats.spearmanr(TOP1, ranked).statistic)
    assert tolerance["n_infinite"] == 1
    finite = [(t, d) for t, d in zip(TOP1, DISTANCES, strict=True) if d is not None]
    pearson = rows["accuracy_vs_tolerance", "pearson_r"]
    assert pearson["estimate"] == pytest.approx(
        stats.pearsonr(*zip(*finite, strict=True)).statistic
    )


def test_rows_fit_their_table_and_read_well(planted_store):
    rows = trends(connect(planted_store))
    TRENDS.arrow(rows)
    assert "1 of them infinite" in as_text(rows)


def test_a_quarantined_model_is_in_no_trend(quarantined_store):
    assert all("local/wrong" not in row["models"] for row in trends(connect(quarantined_store)))


def test_an_empty_store_has_no_trends_and_says_why(tmp_path):
    rows = trends(connect(Store(str(tmp_path / "empty"), create=True)))
    assert rows == []
    assert "no trends yet" in as_text(rows)


def test_of_too_few_models_no_interval_is_printed_and_the_line_says_why(tmp_path):
    store = Store(str(tmp_path / "few"), create=True)
    for i, (name, gate) in enumerate(zip(NAMES[:3], GATES[:3], strict=True)):
        commit_model(store, name, i, gate)
    rows = trends(connect(store))
    assert {row["n_models"] for row in rows} == {3}
    assert all(row["low"] is None and row["high"] is None for row in rows)
    TRENDS.arrow(rows)
    said = describe(next(row for row in rows if row["statistic"] == "spearman_rho"))
    assert said.endswith("no interval (an interval takes 5 models), 3 models")
    assert "[" not in as_text(rows).partition("\n")[2]
