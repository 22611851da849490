"""The view of harmonized networks less their controls: SciPy's paired t, and the same as `trends --compare`."""

import numpy as np
import pytest
from scipy import stats

from tests.queries.zoo import Zoo
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
from zoo_eval.trends.pairs import compared

PAIR = ("harmonized/a", "harmonized/a_control")


def run(zoo, model, control=None, **changes):
    row = {"trained_from": "timm/x", "control": control, "harmonization_lambda": 2.0, "epochs": 1, **changes}  # fmt: skip
    zoo.add("harmonize", "training_runs", [row], model=model)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two networks with everything, of which one is harmonized and the other its control, and a third."""
    zoo = Zoo(Store(str(tmp_path_factory.mktemp("pairs")), create=True), seed=5)
    for name in (*PAIR, "timm/x"):
        zoo.model(name)
        zoo.attack(name, [1.0 + zoo.random.random() for _ in range(6)], stimuli_digest="all_found")
    run(zoo, *PAIR)
    run(zoo, PAIR[1], harmonization_lambda=0.0)
    run(zoo, "harmonized/alone")
    run(zoo, "harmonized/other", "harmonized/never_swept")
    return zoo.commit()


@pytest.fixture(scope="module")
def connection(store):
    return connect(store)


@pytest.fixture(scope="module")
def rows(connection):
    return connection.rows("FROM harmonized_pairs")


@pytest.fixture(scope="module")
def measured(connection):
    return connection.rows("FROM paired_values")


def values(measured, row):
    """Of either network, by unit: what paired_values has for the setting of a row."""
    keys = ("trend", "name", "protocol", "parameters", "recording_digest", "stimuli_digest", "importance_digest", "seed")  # fmt: skip
    both = [
        {r["unit_id"]: r["value"] for r in measured
         if r["model"] == model and all(r[key] == row[key] for key in keys)}
        for model in PAIR
    ]  # fmt: skip
    shared = [u for u in both[0] if u in both[1] and None not in (both[0][u], both[1][u])]
    return (np.array([one[unit] for unit in shared], float) for one in both)


def test_each_thing_measured_of_both_has_a_row_and_others_have_none(rows):
    assert {(row["model"], row["control"]) for row in rows} == {PAIR}
    assert {row["trend"] for row in rows} == {
        "accuracy_vs_neural", "accuracy_vs_spatial", "accuracy_vs_tolerance", "accuracy_vs_alignment",
    }  # fmt: skip
    assert {row["harmonization_lambda"] for row in rows} == {2.0}
    assert {row["trained_from"] for row in rows} == {"timm/x"}


def test_differences_and_intervals_are_scipys_paired_t(measured, rows):
    n_intervals = 0
    for row in rows:
        one, other = values(measured, row)
        known = ~(np.isnan(one) | np.isnan(other))
        one, other = one[known], other[known]
        assert row["n"] == len(one)
        assert (row["larger"], row["smaller"]) == ((one > other).sum(), (one < other).sum())
        if row["no_interval"] is None:
            found = stats.ttest_rel(one, other)
            low, high = found.confidence_interval()
            assert row["difference"] == pytest.approx(float(np.mean(one - other)), rel=1e-9)
            assert (row["low"], row["high"]) == pytest.approx((low, high), rel=1e-6)
            n_intervals += 1
    assert n_intervals >= 3


def test_an_infinite_value_is_counted_and_not_averaged(measured, rows):
    (row,) = [
        r for r in rows if r["trend"] == "accuracy_vs_tolerance" and r["stimuli_digest"] == "p"
    ]
    one, other = values(measured, row)
    n_infinite = int((np.isinf(one) | np.isinf(other)).sum())
    assert n_infinite > 0
    assert row["n_infinite"] == n_infinite
    assert [row[k] for k in ("difference", "low", "high", "harmonized")] == [None] * 4
    assert row["no_interval"].startswith("a value is infinite")


def test_it_says_what_trends_says_of_the_same_two(connection, rows):
    found = {
        (r["trend"], r["stimuli_digest"], r["recording_digest"], r["subject"]): r
        for r in compared(connection, [PAIR])
    }
    assert len(found) == len(rows)
    said = sorted((r["estimate"], r["low"], r["high"], r["n_pairs"]) for r in found.values() if r["low"] is not None)  # fmt: skip
    here = sorted((r["difference"], r["low"], r["high"], r["n"]) for r in rows if r["low"] is not None)  # fmt: skip
    assert np.allclose(said, here, rtol=1e-6)


def test_few_units_and_a_constant_difference_have_no_interval(tmp_path):
    zoo = Zoo(Store(str(tmp_path / "s"), create=True))
    for name, shift in zip(PAIR, (0.5, 0.0), strict=True):
        zoo.card(name)
        zoo.attack(name, [1.0 + shift] * 6, aligned=None)
        zoo.attack(name, [1.0 + shift, 2.0, 3.0, 4.0], aligned=None, stimuli_digest="few")
    run(zoo, *PAIR)
    found = {r["n"]: r for r in connect(zoo.commit()).rows("FROM harmonized_pairs")}
    assert found[6]["difference"] == 0.5
    assert found[6]["no_interval"] == "the difference is the same throughout"
    assert found[4]["difference"] == pytest.approx(0.125)
    assert found[4]["no_interval"] == "an interval takes 5 of them"
    assert {r["low"] for r in found.values()} == {None}


def test_a_store_without_such_runs_has_no_rows(tmp_path):
    assert connect(Store(str(tmp_path / "s"), create=True)).rows("FROM harmonized_pairs") == []


def test_the_quantile_of_students_t_is_scipys_for_any_number(tmp_path):
    zoo = Zoo(Store(str(tmp_path / "s"), create=True), seed=3)
    for name in PAIR:
        for n in (5, 6, 9, 30, 400):
            zoo.attack(name, list(1 + zoo.random.random(n)), aligned=None, stimuli_digest=f"of {n}")
    run(zoo, *PAIR)
    connection = connect(zoo.commit())
    rows = connection.rows("FROM harmonized_pairs")
    assert sorted(row["n"] for row in rows) == [5, 6, 9, 30, 400]
    measured = connection.rows("FROM paired_values")
    for row in rows:
        one, other = values(measured, row)
        t = (row["high"] - row["low"]) / 2 / stats.sem(one - other)
        assert t == pytest.approx(stats.t.ppf(0.975, row["n"] - 1), rel=1e-6)
