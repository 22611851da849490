"""What was measured in two ways is two comparisons: two names, captions and axes."""

import math
import re

import pytest

from tests.queries.test_alignment_views import PARAMETERS, align
from tests.queries.test_views import accuracy, add, ceiling, gate, neural
from zoo_eval.queries.connection import connect
from zoo_eval.report.html import page
from zoo_eval.store import Store
from zoo_eval.tables import TRENDS
from zoo_eval.trends.analysis import as_text, trends
from zoo_eval.trends.comparisons import describe

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


def panels(store, title):
    """Of a section: (heading, the y axis' label, its ticks, the caption's statistics) per panel."""
    section = page(connect(store), "x").partition(f"<h2>{title}</h2>")[2].partition("<h2>")[0]
    return [
        (
            re.search("<h3>(.*?)</h3>", figure)[1],
            re.search(r"rotate\(-90\)\"[^>]*>(.*?)</text>", figure)[1],
            re.findall('text-anchor="end">([^<]*)</text>', figure),
            next(iter(re.findall("<br>(.*?)<br>", figure)), None),
        )
        for figure in section.split("<figure>")[1:]
    ]


def said(rows, subject):
    return "; ".join(describe(row) for row in rows if row["subject"] == subject)


def test_two_decisions_are_two_trends_with_their_own_captions(store):
    attacks(store, RISING)
    attacks(store, FALLING, parameters={**WIDE, "decision": "animate"})
    expected = {
        "photos, ensemble l2, argmax, canvas own": pytest.approx(1),
        "photos, ensemble l2, animate, canvas 224": pytest.approx(-1),
    }
    rows = trends(connect(store))
    assert spearman(rows) == expected
    shown = panels(store, "Accuracy against tolerance")
    assert {heading: caption for heading, *_, caption in shown} == {
        subject: said(rows, subject) for subject in expected
    }
    text = as_text(rows)
    assert all(subject in text for subject in expected)


@pytest.mark.parametrize(
    "facts",
    [{"seed": 1}, {"stimuli_digest": "q"}, {"parameters": {**PARAMETERS, "options": {"x": 1}}}],
)
def test_seeds_contents_and_options_are_never_mixed(store, facts):
    attacks(store, RISING)
    attacks(store, FALLING, **facts)
    found = spearman(trends(connect(store)))
    assert sorted(found.values()) == [pytest.approx(-1), pytest.approx(1)]
    assert len(panels(store, "Accuracy against tolerance")) == 2


@pytest.mark.parametrize(
    "facts",
    [{"seed": 1}, {"stimuli_digest": "q"}, {"recording_digest": "s"}, {"protocol": "kfold"},
     {"parameters": {"components": 3}}],
)  # fmt: skip
def test_a_neural_panel_says_its_own_statistics_alone(store, facts):
    for (model, top1), falling in zip(TOP1.items(), FALLING, strict=True):
        neural(store, "l", [(top1, 0.1)], model=model)
        neural(store, "l", [(falling, 0.1)], model=model, **facts)
    rows = trends(connect(store))
    assert sorted(spearman(rows).values()) == [pytest.approx(-1), pytest.approx(1)]
    shown = panels(store, "Accuracy against neural score")
    assert [caption for *_, caption in shown] == [said(rows, heading) for heading, *_ in shown]
    assert len({heading for heading, *_ in shown}) == 2


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
    rows = trends(connect(store))
    assert {row["subject"]: row["measure"] for row in rows} == measures
    assert all(f"{subject} ({measure}): " in as_text(rows) for subject, measure in measures.items())
    shown = panels(store, "Accuracy against neural score")
    assert {heading: label for heading, label, *_ in shown} == {
        subject: f"{measure}, mean over folds, best layer" for subject, measure in measures.items()
    }
    profiles = panels(store, "Score by layer")
    assert {heading: label for heading, label, *_ in profiles} == {
        subject: f"{measure}, mean over folds" for subject, measure in measures.items()
    }
    # Of 3/4 of the accuracies over sqrt(0.25), of the accuracies, and of ninths of them.
    for drawn in (shown, profiles):
        highest = {heading: max(map(float, ticks)) for heading, _, ticks, *_ in drawn}
        assert 1 < highest["it, pls"] < 1.5
        assert 0.5 < highest["v4, pls"] < 1
        assert highest["it, rsa"] < 0.1


def test_the_leaderboard_names_the_statistic_and_the_readout_of_its_scores(store):
    for model, top1 in TOP1.items():
        neural(store, "l", [(top1, 0.1)], model=model, readout="rsa", mode="similarity",
               statistic="spearman_rho")  # fmt: skip
    shown = page(connect(store), "x").partition("<h2>Leaderboard</h2>")[2].partition("<h2>")[0]
    headers = re.findall("<button>(.*?)</button>", shown)
    assert {"it spearman_rho", "it r / sqrt(ceiling)", "it readout"} <= {*headers}
    assert ">rsa</td>" in shown


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
    found = spearman(trends(connect(store)))
    assert sorted(found.values()) == [pytest.approx(-1), pytest.approx(1)]
    assert all(subject.startswith("clickme, photos, ddn l") for subject in found)


def test_the_leaderboard_says_which_setting_it_shows(store):
    assert "of one setting" not in page(connect(store), "x")
    attacks(store, RISING)
    attacks(store, FALLING, parameters={**WIDE, "decision": "animate"})
    assert "of one setting: photos, argmax, canvas own" in page(connect(store), "x")


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


def test_each_norm_and_unit_has_its_own_label_and_axis(store):
    attacks(store, RISING)
    attacks(store, [100 * d for d in RISING], parameters=WIDE)
    attacks(store, FALLING, norm="linf", parameters={**PARAMETERS, "norm": "linf"})
    attacks(
        store, [1e4 * d for d in RISING], attack="l2_pgd_release", protocol="linsley2023_release"
    )
    attacks(
        store, [1e6 * d for d in RISING], attack="foolbox_fmn_release", protocol="feng2025_release"
    )
    shown = panels(store, "Accuracy against tolerance")
    labels = [label for _, label, *_ in shown]
    pixels = "median smallest {} perturbation ([0, 1] pixels)"
    assert labels == [
        pixels.format("l2"), pixels.format("l2"), pixels.format("linf"),
        *["median l2 distance (the protocol&#x27;s own unit)"] * 2,
    ]  # fmt: skip
    ticks = [[float(tick) for tick in ticks] for *_, ticks, _ in shown]
    assert ticks[0] == ticks[1]
    # Wide enough for all that share it, and for nothing else.
    for mine, low, high in (
        (ticks[0], 1, 300), (ticks[2], 0.01, 0.03), (ticks[3], 1e6, 3e6), (ticks[4], 1e4, 3e4)
    ):  # fmt: skip
        assert low / 1.4 < min(mine) <= max(mine) < high * 1.4
    assert not any(math.isinf(tick) for some in ticks for tick in some)
