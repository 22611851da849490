"""What was measured in two ways is two comparisons: two names, captions and axes."""

import pytest

from tests.queries.test_alignment_views import PARAMETERS, align
from tests.queries.test_views import accuracy, add, ceiling, gate, neural
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
from zoo_eval.tables import TRENDS
from zoo_eval.trends.analysis import analysis, as_text, trends
from zoo_eval.trends.comparisons import comparisons

TOP1 = {"a": 0.4, "b": 0.6, "c": 0.8}
RISING, FALLING = (1.0, 2.0, 3.0), (0.03, 0.02, 0.01)
WIDE = {**PARAMETERS, "canvas": 224}


@pytest.fixture
def store(tmp_path):
    made = Store(str(tmp_path / "store"), create=True)
    for model, top1 in TOP1.items():
        gate(made, model)
        accuracy(made, model, top1)
    return made


def attacks(store, distances, *, norm="l2", **facts):
    """One found perturbation for each model."""
    facts = {"attack": "ensemble", "protocol": "corrected", "parameters": PARAMETERS, **facts}
    for model, distance in zip(TOP1, distances, strict=True):
        row = {"norm": norm, "status": "found", "distance": distance, "l2": distance}
        add(store, "minimal_attack", "attacks", [row], model=model, **facts)


def layers(store, model):
    row = {"layer": "l", "depth": 0.5, "shape": [1], "n_features": 1, "effective_dim": 1.0}
    add(store, "layers", "layers", [row], model=model, layer="l")


def spearman(rows):
    """The estimate by subject."""
    return {row["subject"]: row["estimate"] for row in rows if row["statistic"] == "spearman_rho"}


def tolerance(store):
    """Each comparison of tolerances by its subject."""
    return {one.subject: one for one in comparisons(connect(store), "accuracy_vs_tolerance")}


def test_two_decisions_are_two_trends_with_their_own_captions(store):
    attacks(store, RISING)
    attacks(store, FALLING, parameters={**WIDE, "decision": "animate"})
    expected = {
        "photos, ensemble l2, argmax, canvas own": pytest.approx(1),
        "photos, ensemble l2, animate, canvas 224": pytest.approx(-1),
    }
    found = analysis(connect(store))
    assert spearman(found.rows) == expected
    text = as_text(found)
    assert all(f"accuracy_vs_tolerance  {subject} (tolerance)" in text for subject in expected)
    assert {subject: spearman(one.statistics()) for subject, one in tolerance(store).items()} == {
        subject: {subject: rho} for subject, rho in expected.items()
    }


@pytest.mark.parametrize(
    "facts",
    [{"seed": 1}, {"stimuli_digest": "q"}, {"parameters": {**PARAMETERS, "options": {"x": 1}}}],
)
def test_seeds_contents_and_options_are_never_mixed(store, facts):
    attacks(store, RISING)
    attacks(store, FALLING, **facts)
    found = {name: spearman(one.statistics())[name] for name, one in tolerance(store).items()}
    assert sorted(found.values()) == [pytest.approx(-1), pytest.approx(1)]


@pytest.mark.parametrize(
    "facts",
    [{"seed": 1}, {"stimuli_digest": "q"}, {"recording_digest": "s"}, {"protocol": "kfold"},
     {"parameters": {"components": 3}}],
)  # fmt: skip
def test_a_neural_comparison_has_its_own_statistics_alone(store, facts):
    for (model, top1), falling in zip(TOP1.items(), FALLING, strict=True):
        neural(store, "l", [(top1, 0.1)], model=model)
        neural(store, "l", [(falling, 0.1)], model=model, **facts)
    found = comparisons(connect(store), "accuracy_vs_neural")
    assert len({one.subject for one in found}) == 2
    rhos = [spearman(one.statistics())[one.subject] for one in found]
    assert sorted(rhos) == [pytest.approx(-1), pytest.approx(1)]


def test_ceiled_and_raw_values_are_apart_and_each_axis_says_which_it_has(store):
    for model, top1 in TOP1.items():
        layers(store, model)
        neural(store, "l", [(top1, 0.1), (top1 / 2, 0.1)], model=model)
        raw = {"recording": "v4", "recording_digest": "s"}
        neural(store, "l", [(top1, 0.1)], model=model, **raw)
        neural(store, "l", [(top1 / 9, 0.1)], model=model, readout="rsa", mode="similarity",
               statistic="spearman_rho")  # fmt: skip
    ceiling(store, [0.25])
    measures = {
        "it, pls": "r / sqrt(ceiling)", "it, rsa": "spearman_rho", "v4, pls": "pearson_r",
    }  # fmt: skip
    found = comparisons(connect(store), "accuracy_vs_neural")
    assert {one.subject: one.measure for one in found} == measures
    values = {one.subject: one.sample.y.tolist() for one in found}
    # Of 3/4 of the accuracies over sqrt(0.25), of the accuracies, and of ninths of them.
    for subject, factor in {"it, pls": 1.5, "v4, pls": 1, "it, rsa": 1 / 9}.items():
        assert values[subject] == pytest.approx([factor * top1 for top1 in TOP1.values()])
    text = as_text(analysis(connect(store)))
    assert all(f"{subject} ({measure})" in text for subject, measure in measures.items())


@pytest.mark.parametrize(
    "facts",
    [{"seed": 1}, {"importance_digest": "j"}, {"parameters": {**PARAMETERS, "norm": "linf"}}],
)
def test_alignments_of_other_maps_norms_and_seeds_are_apart(store, facts):
    for (model, top1), falling in zip(TOP1.items(), FALLING, strict=True):
        align(store, [top1], model=model, parameters={**PARAMETERS, "norm": "l2"})
        align(
            store, [falling], model=model, **{"parameters": {**PARAMETERS, "norm": "l2"}, **facts}
        )
    found = [one.statistics()[0] for one in comparisons(connect(store), "accuracy_vs_alignment")]
    assert sorted(row["estimate"] for row in found) == [pytest.approx(-1), pytest.approx(1)]
    assert all(row["subject"].startswith("clickme, photos, ddn l") for row in found)


def test_rows_name_all_that_a_comparison_has_in_common(store):
    attacks(store, RISING, seed=3)
    rows = trends(connect(store))
    TRENDS.arrow(rows)
    assert {(r["protocol"], r["stimuli_digest"], r["seed"]) for r in rows} == {
        ("corrected", "p", 3)
    }
    store.replace("trends", rows)
    (row,) = connect(store).rows(
        "SELECT DISTINCT recording_digest, importance_digest, parameters ->> '$.canvas' AS canvas FROM trends"
    )
    assert row == {"recording_digest": None, "importance_digest": None, "canvas": "own"}
