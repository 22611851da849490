"""All statistics of a planted zoo: each row says of whom it is, and equals its witness."""

import json

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from tests.trends import zoo
from zoo_eval.queries.connection import connect
from zoo_eval.tables import TRENDS
from zoo_eval.trends.analysis import as_text
from zoo_eval.trends.words import describe

NEURAL = "accuracy_vs_neural"
CEILING = 0.7


def rows(found, trend, statistic):
    return {row.get("detail"): row for row in found.rows if (row["trend"], row["statistic"]) == (trend, statistic)}  # fmt: skip


def test_rows_fit_the_table_and_no_two_are_of_one_thing(zoo_analysis):
    TRENDS.arrow(zoo_analysis.rows)
    names = ("trend", "subject", "measure", "statistic", "detail", "at", "unit")
    keys = [tuple(row.get(name) for name in names) for row in zoo_analysis.rows]
    assert len(set(keys)) == len(keys)


def test_every_row_says_of_whom_it_is_and_how_it_was_made(zoo_analysis):
    for row in zoo_analysis.rows:
        assert row["population"]
        assert row["method"]
        assert isinstance(json.loads(row["exclusions"]), dict)
        if row["statistic"] not in ("paired_difference", "ceiled_score"):
            assert row["n_families"] >= 1
            assert row["effective_families"] > 0
        if row["low"] is None and row["estimate"] is not None:
            assert row["no_interval"], row["statistic"]


@pytest.mark.parametrize(
    ("trend", "values"),
    [(NEURAL, zoo.Y / CEILING**0.5), ("accuracy_vs_alignment", zoo.ALIGNMENT)],
)
def test_correlations_are_scipys_with_a_jackknife_over_families(zoo_analysis, trend, values):
    row = rows(zoo_analysis, trend, "spearman_rho")[None]
    codes = np.arange(40) % 10
    r = stats.spearmanr(zoo.X, values).statistic
    left_out = [stats.spearmanr(zoo.X[codes != g], values[codes != g]).statistic for g in range(10)]
    z = np.arctanh(r)
    wide = stats.t.ppf(0.975, 9) * (0.9 * ((np.arctanh(left_out) - z) ** 2).sum()) ** 0.5
    assert row["estimate"] == pytest.approx(r)
    assert (row["low"], row["high"]) == pytest.approx((np.tanh(z - wide), np.tanh(z + wide)))
    assert (row["n_families"], row["effective_families"]) == (10, pytest.approx(10))
    assert row["moves_most"] == f"family{int(np.argmax(np.abs(np.array(left_out) - r)))}"


def test_partial_correlations_take_models_facts(zoo_analysis):
    facts = [zoo.facts(i) for i in range(40)]
    data = np.array([fact["pretraining"] == "in1k" for fact in facts], dtype=float)
    each = {
        "given parameters": [np.log10([fact["n_params"] for fact in facts])],
        "given year": [[fact["year"] for fact in facts]],
        "given training data": [data],
    }
    each["given parameters, year, training data"] = [
        column for one in each.values() for column in one
    ]
    found = rows(zoo_analysis, "accuracy_vs_alignment", "partial_pearson_r")
    assert set(found) == set(each)
    for detail, columns in each.items():
        plane = sm.add_constant(np.column_stack(columns))
        left = [sm.OLS(side, plane).fit().resid for side in (zoo.X, zoo.ALIGNMENT)]
        assert found[detail]["estimate"] == pytest.approx(stats.pearsonr(*left).statistic)


def test_facts_that_are_not_known_or_all_alike_are_said(planted_store):
    from zoo_eval.trends.analysis import analysis

    found = analysis(connect(planted_store))
    partial = rows(found, NEURAL, "partial_spearman_rho")
    assert json.loads(partial["given year"]["exclusions"])["without year"] == 5
    assert partial["given year"]["estimate"] is None


def test_the_curve_that_was_planted_is_found(zoo_analysis):
    errors = rows(zoo_analysis, NEURAL, "unseen_rmse")
    best = min(errors, key=lambda shape: errors[shape]["estimate"])
    assert best == "two lines"
    gain = rows(zoo_analysis, NEURAL, "unseen_gain")["two lines"]
    assert gain["estimate"] == pytest.approx(
        errors["line"]["estimate"] ** 2 - errors["two lines"]["estimate"] ** 2
    )
    assert rows(zoo_analysis, NEURAL, "change_point")[None]["p_value"] < 0.05


def test_two_lines_are_two_regressions_and_the_loss_beyond_the_break(zoo_analysis):
    value = zoo.Y / CEILING**0.5
    one = rows(zoo_analysis, NEURAL, "two_lines")[None]
    before = rows(zoo_analysis, NEURAL, "two_lines_before")[None]
    after = rows(zoo_analysis, NEURAL, "two_lines_after")[None]
    for row, side in ((before, one["at"] >= zoo.X), (after, one["at"] <= zoo.X)):
        assert row["estimate"] == pytest.approx(stats.linregress(zoo.X[side], value[side]).slope)
        assert row["n_models"] == side.sum()
    length = zoo.X.max() - one["at"]
    assert one["estimate"] == pytest.approx(after["estimate"] * length)
    assert (one["low"], one["high"]) == pytest.approx(
        (after["low"] * length, after["high"] * length)
    )


def test_contrasts_are_means_of_pairs_that_differ_in_one_fact(zoo_analysis):
    (row,) = rows(zoo_analysis, "accuracy_vs_alignment", "contrast").values()
    values = zoo.ALIGNMENT.reshape(4, 10)
    # The last of each family has other data than the three before it, which are alike but for their size.
    apart = values[3] - values[:3].mean(0)
    assert row["detail"] == "training data: in21k less in1k"
    assert row["estimate"] == pytest.approx(apart.mean())
    interval = stats.ttest_1samp(apart, 0).confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx(tuple(interval))
    assert (row["n_pairs"], row["n_models"]) == (10, 40)


def test_the_front_has_the_models_that_nobody_beats(zoo_analysis):
    told = rows(zoo_analysis, NEURAL, "front_probability")
    beaten = [(zoo.X[i] < zoo.X) & (zoo.Y[i] < zoo.Y) for i in range(40)]
    on_it = {zoo.MODELS[i] for i in range(40) if not beaten[i].any()}
    assert on_it <= set(told)
    assert all(told[model]["estimate"] > 0 for model in on_it)
    reached = [row for row in zoo_analysis.rows if row["statistic"] == "front_reached" and row["trend"] == NEURAL]  # fmt: skip
    for row in reached:
        best = zoo.Y[row["at"] <= zoo.X].max() / CEILING**0.5
        assert row["estimate"] == pytest.approx(best)


def test_the_best_models_score_has_the_ceilings_error_in_it(zoo_analysis):
    (row,) = rows(zoo_analysis, NEURAL, "ceiled_score").values()
    assert row["detail"] == zoo.MODELS[int(zoo.Y.argmax())]
    assert row["estimate"] == pytest.approx(zoo.Y.max() / CEILING**0.5, rel=1e-6)
    assert row["low"] < row["naive_low"] < row["estimate"] < row["naive_high"] < row["high"] or (
        row["high"] - row["low"] != row["naive_high"] - row["naive_low"]
    )
    assert (row["n_pairs"], row["unit"]) == (zoo.N_TARGETS, "target")


def test_the_text_has_answers_first_and_every_number(zoo_analysis):
    text = as_text(zoo_analysis)
    assert text.index("questions") < text.index("Does tolerance") < text.index("spearman_rho")
    shown = [row for row in zoo_analysis.rows if not row["statistic"].startswith("front_")]
    assert all(describe(row) in text for row in shown if row["estimate"] is not None)
