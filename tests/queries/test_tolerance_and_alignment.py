"""Tolerance and alignment of all models come from one setting, on hand-written (planted) rows."""

import math

import pytest

from tests.queries.test_alignment_views import PARAMETERS, align, attack
from tests.queries.test_views import gate
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

ANIMATE = {**PARAMETERS, "decision": "animate"}
WIDE = {**PARAMETERS, "canvas": 224}
SETTINGS = [
    {"parameters": ANIMATE},
    {"parameters": WIDE},
    {"parameters": {**PARAMETERS, "anything": 1}},
    {"stimuli_digest": "other"},
    {"seed": 1},
]


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def column(store, name):
    return {row["model"]: row[name] for row in connect(store).rows("SELECT * FROM leaderboard")}


def gradient(store, value, **facts):
    align(store, [value], method="input_gradient", reduction="abs_max", attack=None,
          evaluation="human_alignment", **{"protocol": "standard", **facts})  # fmt: skip


def test_tolerance_and_alignment_are_of_one_setting(store):
    gate(store)
    attack(store, [0.4], parameters=WIDE)
    align(store, [0.2], parameters=WIDE)
    # Smaller, and aligned on more images: another canvas, another decision.
    attack(store, [0.1], minute=1)
    align(store, [0.5, 0.5], minute=1)
    attack(store, [0.9], parameters=ANIMATE, minute=2)
    align(store, [0.8, 0.8], parameters=ANIMATE, minute=2)
    (row,) = connect(store).rows("SELECT * FROM leaderboard")
    assert (row["tolerance"], row["alignment"]) == (0.4, pytest.approx(0.2))
    assert (row["tolerance_decision"], row["tolerance_canvas"]) == ("argmax", "224")
    assert (row["tolerance_stimuli"], row["alignment_stimuli"]) == ("photos", "photos")


@pytest.mark.parametrize("facts", SETTINGS)
def test_models_are_compared_in_the_setting_that_most_share(store, facts):
    for model in ("a", "b", "c"):
        gate(store, model)
    for model, distance in (("a", 0.01), ("c", 0.02)):
        attack(store, [distance], model=model, minute=9, **facts)
        align(store, [0.9], model=model, minute=9, **facts)
    for model, distance in (("a", 0.3), ("b", 0.4), ("d", 0.5)):  # d has no gate
        attack(store, [distance], model=model)
        align(store, [distance / 2], model=model)
    assert column(store, "tolerance") == {"a": 0.3, "b": 0.4, "c": None}
    assert column(store, "alignment") == {"a": 0.15, "b": 0.2, "c": None}


@pytest.mark.parametrize(
    ("facts", "others", "tolerance"),
    [
        ({}, {"parameters": ANIMATE}, 0.3),
        ({"parameters": WIDE}, {}, 0.3),
        ({}, {"parameters": {**ANIMATE, "canvas": 224}}, 0.3),
        ({"seed": 1}, {"seed": 2}, 0.1),
        ({"stimuli_digest": "x"}, {"stimuli_digest": "y"}, 0.1),
    ],
)
def test_of_equally_shared_settings_argmax_then_a_common_canvas_then_the_newest(
    store, facts, others, tolerance
):
    gate(store)
    attack(store, [0.3], minute=1, **facts)
    attack(store, [0.1], minute=2, **others)
    assert column(store, "tolerance") == {"a": tolerance}


def test_options_maps_and_what_is_saved_are_no_setting(store):
    gate(store)
    gate(store, "b")
    bare = {name: value for name, value in PARAMETERS.items() if name != "importance"}
    attack(store, [0.3], parameters={**bare, "options": {"steps": 9}, "save_perturbations": True},
           importance=None, importance_digest=None)  # fmt: skip
    attack(store, [0.2], model="b", name="fmn")
    assert column(store, "tolerance") == {"a": 0.3, "b": 0.2}
    assert column(store, "tolerance_attack") == {"a": "ddn", "b": "fmn"}


def test_a_model_that_is_always_wrong_does_not_choose_the_setting(store):
    gate(store)
    attack(store, [0.3])
    for model in ("b", "c"):
        attack(store, [], model=model, seed=1)
    assert column(store, "tolerance") == {"a": 0.3}


def test_alignment_is_that_of_the_smallest_perturbations(store):
    gate(store)
    for name, distance, aligned in (
        ("ddn", 0.4, 0.1),
        ("fmn", 0.2, 0.3),
        ("deepfool", math.inf, 0.9),
    ):
        attack(store, [distance], name=name)
        align(store, [aligned], method=name)
    (row,) = connect(store).rows("SELECT * FROM leaderboard")
    assert (row["tolerance"], row["tolerance_attack"]) == (0.2, "fmn")
    assert (row["alignment"], row["alignment_method"]) == (pytest.approx(0.3), "fmn")


def test_alignment_is_with_the_maps_that_most_models_share(store):
    planted = {
        "parameters": {**PARAMETERS, "importance": {"planted": True}},
        "importance_digest": "p",
    }
    gate(store)
    for model in ("a", "b"):
        attack(store, [0.3], model=model)
        align(store, [0.2], model=model)
    attack(store, [0.3], **planted)
    align(store, [0.9], minute=5, **planted)
    assert column(store, "alignment") == {"a": pytest.approx(0.2)}


def test_gradients_stand_in_for_all_models_or_none(store):
    for model in ("a", "b"):
        gate(store, model)
        attack(store, [0.3], model=model)
        gradient(store, 0.6, model=model)
        # Newer, on other images or for one model alone.
        gradient(store, 0.1, model=model, stimuli_digest="other", minute=5)
    gradient(store, 0.7, parameters=WIDE, minute=5)
    assert column(store, "alignment") == {"a": 0.6, "b": 0.6}
    align(store, [0.2])
    assert column(store, "alignment") == {"a": pytest.approx(0.2), "b": None}
    assert column(store, "alignment_method") == {"a": "ddn", "b": None}


def test_a_gradient_at_the_canvas_of_the_attacks_is_preferred(store):
    gate(store)
    attack(store, [0.3], parameters=WIDE)
    gradient(store, 0.7, parameters=WIDE)
    gradient(store, 0.6, minute=5)
    assert column(store, "alignment") == {"a": 0.7}
